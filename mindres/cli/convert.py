"""`mindres convert`: converts weights to mindres's or torchvision's format."""

from __future__ import annotations

import sys
from dataclasses import asdict

from mindres.cli.flags import (
    add_arch_flag,
    add_json_flag,
    add_num_classes_flag,
    add_shortcut_flag,
    architecture_line,
    model_options,
    print_json,
)
from mindres.errors import UserError
from mindres.weights.publishers import PUBLISHERS

# The extensions of the files that can be written, by the convention of the parameter names.
ENDINGS = {"mindres": (".ckpt", ".safetensors"), "torchvision": (".safetensors",)}


def add_flags(parser) -> None:
    parser.add_argument(
        "source",
        help="weights: a MindSpore, .safetensors or PyTorch file, the URL of one, or a publisher "
        f"of weights for --arch ({', '.join(PUBLISHERS)})",
    )
    parser.add_argument("out", help="file to write, ending in .ckpt or .safetensors")
    add_arch_flag(parser)
    add_shortcut_flag(parser, "default: the file's")
    add_num_classes_flag(parser, "a classifier of another width is random; default: the file's")
    parser.add_argument(
        "--to",
        default="mindres",
        choices=ENDINGS,
        help="parameter names to write; torchvision writes .safetensors only (default: mindres)",
    )
    add_json_flag(parser)


def run(args) -> None:
    endings = ENDINGS[args.to]
    if not args.out.endswith(endings):
        raise UserError(
            f"cannot write {args.to}'s names to {args.out}: end its name in {' or '.join(endings)}"
        )
    from mindres.models import save
    from mindres.models.checkpoints import open_weights
    from mindres.runs.folder import refuse_checkpoint_of_running_run

    refuse_checkpoint_of_running_run(args.out)
    net, metadata, report = open_weights(args.source, **model_options(args))
    write = save.save_checkpoint if args.to == "mindres" else save.save_torch
    write(net, args.out, **metadata)
    if args.to == "torchvision" and net.architecture.get("pad_mode") == "same":
        print(
            "mindres: warning: these weights were trained with MindSpore's `same` pooling; with "
            "torchvision's, which pads all sides, the logits differ",
            file=sys.stderr,
        )
    if args.json:
        print_json({**asdict(report), "out": args.out, "architecture": net.architecture})
    else:
        print(f"{report}\nwrote {args.out}: {architecture_line(net)}")
