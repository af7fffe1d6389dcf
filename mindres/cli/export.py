"""`mindres export`: exports a network to a file for other programs."""

from __future__ import annotations

from dataclasses import replace

from mindres.cli.arguments import positive_int
from mindres.cli.flags import (
    add_arch_flag,
    add_ckpt_flag,
    add_json_flag,
    add_num_classes_flag,
    add_shortcut_flag,
    architecture_line,
    model_options,
    print_json,
)
from mindres.errors import UserError
from mindres.export import FORMATS, format_of


def add_flags(parser) -> None:
    add_ckpt_flag(parser)
    parser.add_argument("--out", required=True, help="file to write")
    kinds = ", ".join(f"{name} for {row.read_by}" for name, row in FORMATS.items())
    parser.add_argument("--format", choices=FORMATS, help=f"{kinds} (default: what --out ends in)")
    add_arch_flag(parser)
    add_shortcut_flag(parser, "default: what the file shows")
    add_num_classes_flag(parser, "default: the file's")
    parser.add_argument(
        "--resize",
        type=positive_int,
        metavar="SIDE",
        help="side of the images in pixels (default: what the file says, else the network's)",
    )
    add_json_flag(parser)


def run(args) -> None:
    format = format_of(args.out, args.format)
    from mindres.export.exporter import export_model
    from mindres.models.checkpoints import load_model

    net, metadata = load_model(args.ckpt, **model_options(args))
    if args.resize:
        try:
            metadata = replace(metadata, input_size=[args.resize, args.resize])
        except ValueError as error:
            raise UserError(f"--resize {args.resize} is out of range: {error}") from None
    out = export_model(net, args.out, format, metadata)
    size = out.stat().st_size
    if args.json:
        print_json({"out": str(out), "bytes": size, "architecture": net.architecture})
    else:
        print(
            f"wrote {out} ({size:,} bytes), loaded again with the same logits: "
            f"{architecture_line(net)}"
        )
