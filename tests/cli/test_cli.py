"""The command line: help, mistakes in one line, one JSON document, and the commands models, summary and convert."""

import json
import re
import subprocess
import sys
import types

import pytest
from conftest import clean_environment
from PIL import Image

import mindres
from mindres.cli import COMMANDS, Command, program
from mindres.cli.parser import build_parser
from mindres.cli.training_flags import training_parser
from mindres.models.registry import networks

MINDRES = [sys.executable, "-m", "mindres"]


@pytest.fixture
def run(capsys):
    """Runs a command line in this process: status, standard output, standard error."""

    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            program.main([str(argument) for argument in arguments])
        return (left.value.code or 0, *capsys.readouterr())

    return run


def one_line(run, *arguments):
    """The explanation of a mistake: exit status 2, one line, nothing else."""
    status, out, err = run(*arguments)
    assert (status, out, err.count("\n")) == (2, "", 1) and err.startswith("mindres: error: "), (
        status,
        out,
        err,
    )
    return err.removeprefix("mindres: error: ").rstrip("\n")


def test_help_and_mistakes_are_answered_without_mindspore():
    """MindSpore takes seconds to load."""
    code = """
import contextlib, io, sys
from mindres.cli import program
for line in ("--help", "summary --help", "summary", "nothing", "--version", "convert a b.pth"):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            program.main(line.split())
        except SystemExit as end:
            status = end.code or 0
    print(status, {"mindspore", "matplotlib", "numpy"} & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=clean_environment()
    )
    statuses = [line.split()[0] for line in done.stdout.splitlines()]
    assert statuses == ["0", "0", "2", "2", "0", "2"], done.stderr
    assert done.stdout.count("set()") == len(statuses), done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(run, command):
    status, out, err = run(command, "--help")
    assert status == 0 and not err
    assert re.search(rf"example:\n  mindres {command}\b", out)
    assert command in run("--help")[1]


def test_the_example_in_the_help_is_a_valid_command_line():
    for _, example in COMMANDS.values():
        words = example.replace("'", "").split()
        assert words[0] == "mindres"
        build_parser().parse_args(words[1:])


def test_models_lists_what_there_is(run):
    status, out, err = run("models")
    lines = out.splitlines()
    assert status == 0 and not err and len(lines) == 1 + len(networks())
    assert lines[3].split() == [
        "resnet50",
        "25,557,032",
        "4.09",
        "G",
        "3x224x224",
        "mindvision,",
        "mindcv,",
        "torchvision,",
        "timm",
    ]
    [convnet] = [line for line in lines if line.startswith("convnet")]
    assert convnet.split() == ["convnet", "9,098", "290.1", "k", "1x28x28", "mindres"]
    assert [line.split()[0] for line in run("models", "*net??")[1].splitlines()[1:]] == [
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet20",
        "resnet32",
        "resnet44",
        "resnet56",
    ]
    assert one_line(run, "models", "vit*") == "no network matches 'vit*': mindres models lists all"


def test_models_as_json_is_the_pretrained_table(run):
    status, out, err = run("models", "--json")
    assert status == 0 and not err
    table = {entry["name"]: entry for entry in json.loads(out)}
    assert table.keys() == networks().keys()
    assert table["inception_v3"]["input_shape"] == [3, 299, 299]
    mindcv = table["resnet50"]["weights"]["mindcv"]
    assert mindcv["url"].endswith("/resnet50-e0733ab8.ckpt") and mindcv["sha256"] == "e0733ab8"
    assert "mindcv" not in table["googlenet"]["weights"]
    for entry in table.values():
        for publisher, weights in entry["weights"].items():
            where = "package:/" if publisher == "mindres" else "https://"
            assert weights["url"].startswith(where) and weights["num_classes"] in (10, 1000)
            assert 0.5 < weights["top1"] < 1
            size = entry["input_shape"][1]  # timm tests some at a larger one
            assert weights["input_size"] == size or (
                publisher == "timm" and weights["input_size"] > size
            )
            assert len(weights["mean"]) == len(weights["std"]) == entry["input_shape"][0]
            source = weights["top1_source"].lower().replace(" ", "")
            assert {"timm": "pytorch-image-models"}.get(publisher, publisher) in source
            carried = re.search(r"-([0-9a-f]{8})\.", weights["url"])
            assert weights["sha256"] == (carried and carried[1])


def test_summary(run):
    status, out, err = run("summary", "resnet20", "--shortcut", "A")
    assert status == 0 and not err
    assert "parameters     269,722" in out and "resnet20 at 3x32x32" in out
    assert "backbone.layer3 " in out and "backbone.layer3.0" not in out
    status, out, err = run("summary", "resnet20", "--layers")
    assert status == 0 and "backbone.layer3.0.conv1.features.0" in out
    status, out, err = run(
        "summary", "resnet18", "--input", "1,64,48", "--num_classes", 5, "--json"
    )
    assert status == 0 and not err
    document = json.loads(out)
    assert document["arch"] == "resnet18" and document["input_shape"] == [1, 64, 48]
    assert document["rows"][0] == {
        "name": "backbone.conv1.features.0",
        "kind": "Conv2d",
        "output_shape": [64, 32, 24],
        "parameters": 3136,
        "multiply_adds": 2408448,
        "receptive_field": [7, 7],
    }
    assert document["rows"][-1]["output_shape"] == [5]
    assert document["multiply_adds"] == sum(row["multiply_adds"] for row in document["rows"])
    assert document["multiply_adds"] == sum(part["multiply_adds"] for part in document["stages"])


def test_summary_of_a_checkpoint(run, tmp_path):
    net = mindres.resnet20(3, in_channels=1)
    mindres.save_checkpoint(net, tmp_path / "best.ckpt", input_size=[24, 16])
    status, out, err = run("summary", tmp_path / "best.ckpt")
    assert status == 0 and not err
    assert "resnet20 at 1x24x16" in out and "parameters     271,731" in out


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "the following arguments are required: COMMAND (see mindres --help)"),
        (["modles"], "argument COMMAND: unknown value 'modles': did you mean models"),
        (["summary"], "the following arguments are required: network (see mindres summary --help)"),
        (["summary", "resnet51"], "unknown network 'resnet51': did you mean"),
        (
            ["summary", "resnet50", "--input", "224"],
            "argument --input: must be CHANNELS,HEIGHT,WIDTH such as 3,224,224",
        ),
        (
            ["summary", "resnet50", "--input", "3,0,224"],
            "argument --input: must be a whole number of at least 1, not '0'",
        ),
        (["summary", "resnet50", "--shortcut", "A"], "resnet50 has no option 'shortcut'"),
        (
            ["summary", "lenet5", "--input", "1,28,28"],
            "this network takes images of 32x32 pixels, not 28x28: resize them",
        ),
        (["summary", "resnet50", "--inp", "3,224,224"], "unrecognized arguments: --inp"),
        (["convert", "missing.pth", "out.ckpt"], "there is no weight file missing.pth"),
        (
            ["convert", "missing.pth", "out.pth"],
            "cannot write mindres's names to out.pth: end its name in .ckpt or",
        ),
        (
            ["convert", "a.ckpt", "out.ckpt", "--to", "torchvision"],
            "cannot write torchvision's names to out.ckpt: end its",
        ),
    ],
)
def test_mistakes_get_one_line(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert one_line(run, *arguments).startswith(message)
    assert not list(tmp_path.iterdir())


def test_a_reader_that_goes_away_is_no_error():
    done = subprocess.run(
        f"{' '.join(MINDRES)} models | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        env=clean_environment(),
    )
    assert done.stdout.startswith("name") and done.stderr == ""


def test_train_trains_on_a_built_in_data_set(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = "--arch lenet5 --pretrained false --epochs 1 --batch_size 64 --lr 0.01 --seed 3"
    status, out, err = run("train", "digits", "--device_target", "CPU", *flags.split())
    assert (status, err) == (0, "")
    first, *lines = out.splitlines()
    assert first.startswith("lenet5 on digits, CPU in ")
    assert first.endswith("): 1 epoch in batches of 64, tutorial recipe")
    assert [line for line in lines if line.startswith("Epoch: [1 / 1], Train Loss: [")]
    recorded = json.loads((tmp_path / "ckpt" / "config.json").read_text())
    assert (recorded["dataset"], recorded["lr"], recorded["seed"]) == ("digits", 0.01, 3)
    assert not {"data", "debug", "run_command"} & recorded.keys() and "func" not in str(recorded)
    assert (tmp_path / "ckpt" / "best.ckpt").is_file()


def test_train_trains_on_a_folder(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, color in (("blue", (0, 0, 255)), ("red", (255, 0, 0))):
        for i in range(5):
            path = tmp_path / "photos" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 30), color).save(path)
    flags = "--arch resnet20 --pretrained false --epochs 1 --batch_size 4 --device_target CPU"
    status, out, err = run("train", "photos", *flags.split())
    assert (status, err) == (0, "") and "Epoch: [1 / 1]" in out
    recorded = json.loads((tmp_path / "ckpt" / "config.json").read_text())
    assert recorded["dataset"] == "folder" and recorded["dataset_path"].endswith("photos")


def test_train_has_every_flag_of_the_scripts():
    def flags(parser):
        return {flag for action in parser._actions for flag in action.option_strings}

    commands = next(a for a in build_parser()._actions if isinstance(a.choices, dict)).choices
    commands["train"].add_flags()
    own = {"--time", "--test_fraction", "--group", "--image_column", "--label_column", "--shortcut"}
    own |= {"--without", "--relabel"}
    assert flags(training_parser("", "")) - {"--dataset"} == flags(commands["train"]) - own


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            "cifar11",
            "there is no folder cifar11, and no data set of that name: did you mean cifar10",
        ),
        ("file", "file is neither a folder nor a table"),
        (
            "photos --dataset_path elsewhere",
            "photos is your own data, which needs no --dataset_path",
        ),
        ("digits --epochs 0", "epochs must be at least 1"),
        (
            "digits --auto_augment randaugmnt",
            "argument --auto_augment: unknown value 'randaugmnt': did",
        ),
        ("", "the following arguments are required: DATA"),
    ],
)
def test_mistakes_in_what_to_train(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    (tmp_path / "photos").mkdir()
    assert one_line(run, "train", *arguments.split()).startswith(message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "photos"]


def test_frozen_random_weights_are_refused_unless_they_are_asked_for(run, tmp_path, monkeypatch):
    """With a network for which no weights are published."""
    monkeypatch.chdir(tmp_path)
    flags = "digits --arch convnet --resize 28 --freeze backbone --epochs 1 --device_target CPU"
    line = one_line(run, "train", *flags.split())
    assert line.startswith("--freeze backbone would freeze random weights")
    assert "--pretrained false to train with frozen random weights" in line
    assert not list(tmp_path.iterdir())
    line = one_line(run, "train", *flags.replace("backbone", "layer9").split())
    assert line.startswith("unknown freeze 'layer9': choose none, backbone, conv1")
    status, out, err = run("train", *flags.split(), "--pretrained", "false")
    assert (status, err) == (0, "") and "Epoch: [1 / 1]" in out


def test_a_row_is_a_command(run, monkeypatch):
    """A file and a row: found in the list of commands, in its own help, and in suggestions."""
    file = types.ModuleType("mindres.cli.count")
    file.add_flags = lambda parser: parser.add_argument("--to", type=int, help="how far to count")
    file.run = lambda args: print(*range(1, args.to + 1)) or 3
    monkeypatch.setitem(sys.modules, file.__name__, file)
    monkeypatch.setitem(COMMANDS, "count", Command("count aloud", "mindres count --to 3"))
    assert re.search(r"^ +count +count aloud$", run("--help")[1], re.M)
    shown = run("count", "--help")[1]
    assert (
        "Count aloud." in shown and "how far to count" in shown and "mindres count --to 3" in shown
    )
    assert run("count", "--to", 3) == (3, "1 2 3\n", "")
    assert "did you mean count" in one_line(run, "cuont")


def test_matplotlib_is_silent_where_there_is_no_home(run_python):
    code = "from mindres.cli.program import run; run(lambda: __import__('matplotlib.pyplot') and 0)"
    done = run_python("-c", code, HOME="/dev/null/home", XDG_CONFIG_HOME="", MPLCONFIGDIR="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
