"""`mindres summary`: shows the stages and layers of a network."""

from __future__ import annotations

from pathlib import Path

from mindres.cli.arguments import image_shape
from mindres.cli.flags import (
    add_json_flag,
    add_num_classes_flag,
    add_shortcut_flag,
    model_options,
    print_json,
)


def add_flags(parser) -> None:
    parser.add_argument("network", help="name of a network (see mindres models) or a weight file")
    parser.add_argument(
        "--input",
        type=image_shape,
        metavar="C,H,W",
        help="channels, height and width of the image (default: the network's own)",
    )
    parser.add_argument("--layers", action="store_true", help="show layers instead of stages")
    add_num_classes_flag(parser, "default: the network's")
    add_shortcut_flag(parser, "A pads, B projects; default: B")
    add_json_flag(parser)


def run(args) -> None:
    from mindres.models.summary import summarize

    net, shape = _network(args)
    found = summarize(net, shape)
    if args.json:
        print_json(found.document())
    else:
        print(found.layers() if args.layers else found)


def _network(args):
    """The network that the flags name, and the shape of its images."""
    from mindres.models.build import create_model
    from mindres.models.checkpoints import load_model
    from mindres.models.registry import list_models, network

    options = model_options(args, "num_classes", "shortcut")
    if args.network in list_models() or not Path(args.network).is_file():
        shape = args.input or network(args.network).input_shape
        return create_model(args.network, in_channels=shape[0], **options), shape
    net, metadata = load_model(args.network, **options)
    channels, *size = network(net.architecture["arch"]).input_shape
    channels = net.architecture.get("in_channels", channels)
    return net, args.input or (channels, *(metadata.input_size or size))
