"""What users get wrong, command by command: each row is a command line that is answered with one line."""

LONG = "/x" * 2500
CKPT = ["--ckpt", "run/best.ckpt"]
MISSING = ["missing", "run", LONG, "~nobody-of-this-name/a.ckpt"]
NO_DATA = [
    ["--dataset", dataset, "--dataset_path", path]
    for dataset in ("cifar10", "cifar100", "mnist", "folder")
    for path in ("nowhere", "run/best.ckpt", "run", LONG)
]
SOME_DATA = NO_DATA[::5]  # each dataset once, and each path
NO_FOLDER = ["run/best.ckpt", "/proc/x", LONG]
TRAIN = ["--arch", "lenet5", "--pretrained", "false", "--max_steps", "1", "--ckpt_dir"]


def each(command, *rows):
    return [[*command, *row] for row in rows]


def flag(name, *values):
    """`--name VALUE`; with an equals sign a value may begin with a dash."""
    return [[f"{name}={value}"] for value in values]


def training(script, datasets=NO_DATA):
    return [
        *each(
            [script, *TRAIN, "new"],
            *datasets,
            ["--arch", "nonsense"],
            *flag("--recipe", "nonsense"),
            *flag("--epochs", -1, 0, "x"),
            *flag("--lr", -1, "nan", "inf"),
            *flag("--batch_size", 0, -1, 10**6),
            *flag("--momentum", -2, 1, "nan"),
            *flag("--weight_decay", -1),
            *flag("--min_lr", -1, 9),
            *flag("--resize", -1, 7, 48),
            *flag("--validation_fraction", -1, 1, "nan", 0.99999),
            *flag("--seed", -1, 10**14, "x"),
            *flag("--freeze", "x", "layer9"),
            *flag("--pretrained", *MISSING),
            ["--pretrained", "mindcv"],
            ["--pretrained", "run20/best.ckpt"],
            *flag("--max_steps", 0),
            *flag("--keep_best", 0),
            *flag("--mixup", -1, "nan"),
            *flag("--cutmix", -1),
            ["--mixup=1", "--cutmix=1"],
            *flag("--random_erasing", 2, -1, "nan"),
            *flag("--label_smoothing", 2, -1),
            *flag("--ema", 2, -1),
            *flag("--clip_norm", -1),
            *flag("--accumulate", 0, -1),
            *flag("--patience", -1),
            *flag("--layer_decay", -1, 2),
            *flag("--warmup", 3),
            *flag("--optimizer", "x"),
            *flag("--schedule", "x"),
            *flag("--device_target", "Ascend", "TPU"),
            *flag("--device_id", 5, -1),
            *flag("--amp_level", "O9"),
            *flag("--mode", "x"),
            ["--nonsense"],
        ),
        *each([script, *TRAIN], *([folder] for folder in NO_FOLDER)),
    ]


ROWS = {
    "no command": [
        ["mindres"],
        ["mindres", "nonsense"],
        ["mindres", "models", "vit*"],
        *each(
            ["mindres", "summary"],
            ["nonsense"],
            ["lenet5", "--input", "3,5,5"],
            ["lenet5", "--input=-3,1,1"],
            ["resnet50", "--shortcut", "A"],
        ),
        ["mindres", "doctor", "--device_target", "TPU"],
    ],
    "eval": [
        *each(["mindres", "eval", "--ckpt"], *([path] for path in MISSING)),
        *each(
            ["mindres", "eval", *CKPT],
            ["--arch", "resnet20"],
            ["--arch", "nonsense"],
            *NO_DATA,
            *flag("--batch_size", -3, 0),
            *flag("--resize", -1, 7),
            *flag("--validation_fraction", 2, "nan"),
            ["--split", "val"],
            *flag("--plots", *NO_FOLDER),
        ),
    ],
    "predict": [
        *each(
            ["mindres", "predict", *CKPT],
            ["missing.png"],
            ["run"],
            [LONG],
            ["run/best.ckpt"],
            ["-"],
            ["x", "--top_k=-1"],
            *(["x", "--gradcam", folder] for folder in NO_FOLDER),
        ),
        *each(["mindres", "predict", "x", "--ckpt"], *([path] for path in MISSING)),
    ],
    "convert": [
        *each(
            ["mindres", "convert"],
            *([path, "o.ckpt"] for path in MISSING),
            ["http://127.0.0.1:1/x", "o.ckpt"],
            ["http://[x", "o.ckpt"],
            ["run/config.json", "o.ckpt"],
        ),
        *each(
            ["mindres", "convert", "run/best.ckpt"],
            [f"{LONG}.ckpt"],
            ["/proc/x/o.ckpt"],
            ["run/best.ckpt/o.ckpt"],
            ["dir.ckpt"],
            ["o.pth"],
            ["o.ckpt", "--arch", "resnet20"],
            ["o.ckpt", "--num_classes=-1"],
            ["o.ckpt", "--to", "torchvision"],
        ),
    ],
    "export": [
        *each(
            ["mindres", "export", *CKPT, "--out"],
            ["o.txt"],
            [f"{LONG}.onnx"],
            ["dir.onnx"],
            ["/proc/x.onnx"],
            ["o.onnx", "--resize", "0"],
            ["o.onnx", "--resize", "64"],
            ["o.mindir", "--resize", "5"],
            ["o.onnx", "--end_to_end", "--dataset", "cifar10", "--dataset_path", "nowhere"],
        ),
        *each(
            ["mindres", "export", "--out", "o.onnx", "--ckpt"],
            *([path] for path in MISSING),
            ["run20/best.ckpt", "--resize", "1000000"],
        ),
    ],
    "serve": each(
        ["mindres", "serve"],
        [],
        ["missing.onnx"],
        ["missing.ckpt"],
        ["run"],
        ["run/config.json"],
        [LONG],
        ["missing.onnx", "--port=-1"],
        ["missing.onnx", "--batch_size=0"],
    ),
    "plot": [
        *each(
            ["mindres", "plot"],
            ["nonsense"],
            ["gradcam"],
            ["curves"],
            *(["curves", path] for path in MISSING if path != "run"),
            *(
                ["dataset", "--out", path]
                for path in ("o.xyz", "/proc/x.png", f"{LONG}.png", "dir.png")
            ),
            ["dataset", "--count=-1"],
            ["dataset", "--seed=-1"],
            *(["dataset", *row] for row in SOME_DATA),
        ),
        *each(
            ["mindres", "plot", "gradcam", *CKPT],
            ["--stage", "layer9"],
            *flag("--images", "nowhere", "run", LONG, "~nobody-of-this-name"),
        ),
    ],
    "report": [
        *each(["mindres", "report"], ["nowhere"], ["run/best.ckpt"], ["."], [LONG]),
        *each(
            ["mindres", "report", "run"],
            *SOME_DATA,
            *flag("--out", "/proc/x.html", LONG, "dir.png"),
            *flag("--ckpt", *MISSING),
        ),
    ],
    "finetune_resnet50.py": training("finetune_resnet50.py"),
    "the other examples": [
        *each(
            ["train_cifar10.py"],
            ["--nonsense"],
            ["--lr=-1"],
            ["--dataset_path", LONG],
            ["--dataset_path", "nowhere"],
        ),
        *each(
            ["train_mnist.py"],
            ["--nonsense"],
            ["--lr=-1"],
            ["--dataset_path", LONG],
            ["--dataset_path", "nowhere"],
        ),
        *each(["explore_dataset.py"], ["--nonsense"], *flag("--out", *NO_FOLDER), *SOME_DATA),
        *each(["visualize_predictions.py"], [], *(["--ckpt", path] for path in MISSING)),
        *each(
            ["visualize_predictions.py", *CKPT],
            ["--images", "nowhere"],
            ["--images", LONG],
            ["--seed=-1"],
            ["--count", "0"],
            *flag("--out", "o.xyz", "/proc/x.png", f"{LONG}.png"),
            *SOME_DATA,
        ),
        *each(
            ["serve_onnx.py"],
            [],
            ["missing", "x"],
            ["run", "x"],
            ["run/best.ckpt", "x"],
            [LONG, "x"],
        ),
    ],
}
