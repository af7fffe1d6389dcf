"""Commands that need no network."""

from __future__ import annotations

import importlib
import json
import sys

from mindres.cli.arguments import image_shape, positive_int
from mindres.cli.flags import eval_flags, plot_flags, predict_flags, report_flags
from mindres.devices.runtime import DEVICES
from mindres.errors import UserError


def print_json(document) -> None:
    """Print `document` as the only thing on standard output."""
    print(json.dumps(document, indent=2))


def model_options(args) -> dict:
    """The options of `create_model` that were given on the command line."""
    return {
        name: value
        for name in ("num_classes", "shortcut")
        if (value := getattr(args, name, None)) is not None
    }


def models_flags(parser) -> None:
    parser.add_argument(
        "pattern", nargs="?", default="*", help="shell-style pattern of names (default: all)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def models(args) -> None:
    from mindres.models.registry import FACTS, SOURCES, list_models
    from mindres.models.summary import in_units
    from mindres.weights.publishers import PUBLISHERS

    names = list_models(args.pattern)
    if not names:
        raise UserError(f"no network matches {args.pattern!r}: mindres models lists all")
    if args.json:
        print_json(
            [
                {
                    "name": name,
                    "parameters": FACTS[name].parameters,
                    "multiply_adds": FACTS[name].multiply_adds,
                    "input_shape": FACTS[name].input_shape,
                    "weights": {
                        publisher: {**vars(source), "top1_source": PUBLISHERS[publisher].accuracy}
                        for publisher, source in SOURCES.get(name, {}).items()
                    },
                }
                for name in names
            ]
        )
        return
    print(f"{'name':<14}{'parameters':>12}  {'multiply-adds':>13}  {'input':>10}  weights")
    for name in names:
        facts = FACTS[name]
        print(
            f"{name:<14}{facts.parameters:>12,}  {in_units(facts.multiply_adds):>13}  "
            f"{'x'.join(map(str, facts.input_shape)):>10}  {', '.join(SOURCES.get(name, {})) or '-'}"
        )


def summary_flags(parser) -> None:
    parser.add_argument("arch", help="network, see mindres models")
    parser.add_argument(
        "--input",
        type=image_shape,
        metavar="C,H,W",
        help="channels, height and width of the image (default: what the network is meant for)",
    )
    parser.add_argument(
        "--num_classes", type=positive_int, help="width of the classifier (default: the network's)"
    )
    parser.add_argument(
        "--shortcut",
        choices=("A", "B"),
        help="of the CIFAR ResNets: A pads, B projects (default: B)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def summary(args) -> None:
    from dataclasses import asdict

    from mindres.models.build import create_model
    from mindres.models.registry import FACTS, known
    from mindres.models.summary import summarize

    shape = args.input or FACTS[known(args.arch)].input_shape
    found = summarize(create_model(args.arch, in_channels=shape[0], **model_options(args)), shape)
    if args.json:
        print_json({**asdict(found), "multiply_adds": found.multiply_adds})
    else:
        print(found)


def convert_flags(parser) -> None:
    parser.add_argument(
        "source", help="weights: a MindSpore, .safetensors or PyTorch file, or its http(s) address"
    )
    parser.add_argument("out", help="file to write, ending in .ckpt or .safetensors")
    parser.add_argument("--arch", help="network (default: what the file says or shows)")
    parser.add_argument(
        "--shortcut", choices=("A", "B"), help="of the CIFAR ResNets (default: what the file shows)"
    )
    parser.add_argument(
        "--num_classes",
        type=positive_int,
        help="width of the classifier; one of another width starts afresh (default: the file's)",
    )
    parser.add_argument(
        "--to",
        default="mindres",
        choices=("mindres", "torchvision"),
        help="whose parameter names to write; torchvision's into .safetensors (default: mindres)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def convert(args) -> None:
    endings = (".safetensors",) if args.to == "torchvision" else (".ckpt", ".safetensors")
    if not args.out.endswith(endings):
        raise UserError(
            f"cannot write {args.to}'s names to {args.out}: end its name in {' or '.join(endings)}"
        )
    from dataclasses import asdict

    from mindres.models import save
    from mindres.models.checkpoints import open_weights

    options = {**model_options(args), **({"arch": args.arch} if args.arch else {})}
    net, metadata, report = open_weights(args.source, **options)
    write = save.save_checkpoint if args.to == "mindres" else save.save_torch
    write(net, args.out, **metadata)
    if args.to == "torchvision" and net.architecture.get("pad_mode") == "same":
        print(
            "mindres: warning: these weights were trained with MindSpore's `same` pooling; with torchvision's, which "
            "pads all sides, the logits differ",
            file=sys.stderr,
        )
    if args.json:
        print_json({**asdict(report), "out": args.out, "architecture": net.architecture})
    else:
        print(
            f"{report}\nwrote {args.out}: {', '.join(f'{key} {value}' for key, value in net.architecture.items())}"
        )


def doctor_flags(parser) -> None:
    parser.add_argument(
        "--device_target", default="auto", choices=DEVICES, help="what should train (default: auto)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def doctor(args) -> int:
    from mindres.doctor import checks

    found = checks.report(args.device_target)
    if args.json:
        print_json(found)
    else:
        print(checks.format_report(found))
    return 0 if found["training"]["ok"] else 1


def of_commands(name):
    """What a function of `mindres.commands` does, which imports MindSpore."""
    return lambda args: getattr(importlib.import_module("mindres.cli.commands"), name)(args)


def export_flags(parser) -> None:
    parser.add_argument(
        "--ckpt", required=True, help="weights: a file as mindres writes, or its http(s) address"
    )
    parser.add_argument("--out", required=True, help="file to write")
    parser.add_argument("--format", choices=("onnx", "mindir"), help="default: what --out ends in")
    parser.add_argument("--arch", help="network (default: what the file says or shows)")
    parser.add_argument(
        "--shortcut", choices=("A", "B"), help="of the CIFAR ResNets (default: what the file shows)"
    )
    parser.add_argument(
        "--num_classes", type=positive_int, help="width of the classifier (default: the file's)"
    )
    parser.add_argument(
        "--resize",
        type=positive_int,
        metavar="SIDE",
        help="side of the images in pixels (default: what the file notes, or the network is meant for)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def export(args) -> None:
    if not args.format and not args.out.endswith((".onnx", ".mindir")):
        raise UserError(
            f"cannot tell the format of {args.out}: end its name in .onnx or .mindir, or add --format"
        )
    from dataclasses import replace

    from mindres.export.exporter import export_model
    from mindres.models.checkpoints import load_model

    net, metadata = load_model(
        args.ckpt, **model_options(args), **({"arch": args.arch} if args.arch else {})
    )
    if args.resize:
        metadata = replace(metadata, input_size=[args.resize, args.resize])
    out = export_model(net, args.out, args.format, metadata)
    if args.json:
        print_json({"out": str(out), "bytes": out.stat().st_size, "architecture": net.architecture})
    else:
        print(
            f"wrote {out} ({out.stat().st_size:,} bytes), loaded again with the same logits: "
            f"{', '.join(f'{key} {value}' for key, value in net.architecture.items())}"
        )


COMMANDS = {
    "models": (
        models_flags,
        models,
        "list the networks, their size and their published weights",
        "mindres models 'resnet*'",
    ),
    "summary": (
        summary_flags,
        summary,
        "show the layers of a network with parameters, multiply-adds, receptive field",
        "mindres summary resnet50 --input 3,224,224",
    ),
    "convert": (
        convert_flags,
        convert,
        "turn weights of PyTorch, MindCV or MindVision into mindres's or torchvision's",
        "mindres convert resnet20.th resnet20.ckpt --arch resnet20 --shortcut A",
    ),
    "export": (
        export_flags,
        export,
        "write a network as ONNX or MindIR, and try the file",
        "mindres export --ckpt ckpt/best.ckpt --out resnet50.onnx",
    ),
    "doctor": (
        doctor_flags,
        doctor,
        "say what this machine can train on, and what is missing",
        "mindres doctor --device_target GPU",
    ),
    "eval": (
        eval_flags,
        of_commands("evaluate"),
        "measure accuracy, loss, each class and the confusion matrix",
        "mindres eval --ckpt ckpt/best.ckpt --plots pictures",
    ),
    "predict": (
        predict_flags,
        of_commands("predict"),
        "say what is in images",
        "mindres predict photo.jpg --ckpt ckpt/best.ckpt",
    ),
    "plot": (
        plot_flags,
        of_commands("plot"),
        "draw data, predictions, curves, filters or Grad-CAM",
        "mindres plot gradcam --ckpt ckpt/best.ckpt --out gradcam.svg",
    ),
    "report": (
        report_flags,
        of_commands("report"),
        "write the page of a training: curves, mistakes and why",
        "mindres report ckpt",
    ),
}
