"""`mindres summary`: shows the layers of a network."""

from __future__ import annotations

from dataclasses import asdict

from mindres.cli.arguments import image_shape
from mindres.cli.flags import (
    add_json_flag,
    add_num_classes_flag,
    add_shortcut_flag,
    model_options,
    print_json,
)


def add_flags(parser) -> None:
    parser.add_argument("arch", help="network, see mindres models")
    parser.add_argument(
        "--input",
        type=image_shape,
        metavar="C,H,W",
        help="channels, height and width of the image (default: what the network is made for)",
    )
    add_num_classes_flag(parser, "default: the network's")
    add_shortcut_flag(parser, "A pads, B projects; default: B")
    add_json_flag(parser)


def run(args) -> None:
    from mindres.models.build import create_model
    from mindres.models.registry import network
    from mindres.models.summary import summarize

    shape = args.input or network(args.arch).input_shape
    options = model_options(args, "num_classes", "shortcut")
    net = create_model(args.arch, in_channels=shape[0], **options)
    found = summarize(net, shape)
    if args.json:
        print_json({**asdict(found), "multiply_adds": found.multiply_adds})
    else:
        print(found)
