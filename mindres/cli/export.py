"""`mindres export`: exports a network to a file for other programs."""

from __future__ import annotations

import sys
from dataclasses import replace

from mindres.cli.arguments import positive_int
from mindres.cli.flags import (
    add_arch_flag,
    add_ckpt_flag,
    add_data_flags,
    add_json_flag,
    add_num_classes_flag,
    add_shortcut_flag,
    architecture_line,
    model_options,
    open_images,
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
    add_shortcut_flag(parser, "default: the file's")
    add_num_classes_flag(parser, "default: the file's")
    parser.add_argument(
        "--resize",
        type=positive_int,
        metavar="SIDE",
        help="side of the images in pixels (default: the file's, else the network's)",
    )
    parser.add_argument(
        "--end_to_end",
        action="store_true",
        help="write a file that takes whole photographs and returns probabilities; it is compared "
        "with the network on the images that the flags below choose",
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="with --end_to_end, not for MindIR: 8-bit weights and activations, calibrated on "
        "training images; not written if it is slower here, or less accurate",
    )
    add_data_flags(parser, "that of the training's validation")
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
    data = _validation_images(args, metadata) if args.end_to_end else None
    calibration = None
    if args.int8 and data is not None:
        args.split = "train"
        calibration = open_images(args, metadata)
    found: list = []
    export_model(
        net,
        args.out,
        format,
        metadata,
        args.end_to_end,
        data,
        args.int8,
        calibration,
        report=found.append,
    )
    (exported,) = found
    size = exported.bytes
    if args.json:
        document = {"out": str(exported.path), "bytes": size, "architecture": net.architecture}
        print_json({**document, **(exported.to_json() if args.end_to_end else {})})
        return
    same = "same answers" if args.end_to_end else "same logits"
    print(
        f"wrote {exported.path} ({size:,} bytes), loaded again with the {same}: "
        f"{architecture_line(net)}"
    )
    if args.end_to_end:
        print(exported)


def _validation_images(args, metadata):
    """The images to compare on; None, with a warning, if none were named and none can be found."""
    from mindres.runs.images import settings

    split = settings(args.ckpt, metadata, args.dataset).get("split")
    try:
        return open_images(args, metadata, split or "test")
    except UserError as error:
        if args.dataset or args.dataset_path or args.split:
            raise
        print(
            "mindres: warning: the file is verified on synthetic images, since there are no "
            f"validation images: {error.on_command_line()}",
            file=sys.stderr,
        )
        return None
