"""`mindres check`: finds wrong labels, copies and bad images in a data set."""

from __future__ import annotations

from pathlib import Path

from mindres.cli.flags import (
    add_ckpt_flag,
    add_device_flag,
    add_json_flag,
    load_network,
    print_json,
)
from mindres.data import BUILT_IN


def add_flags(parser) -> None:
    add = parser.add_argument
    add(
        "data",
        metavar="DATA",
        help="a folder of class folders, a table of paths and labels (.csv, .tsv, .jsonl, "
        f".parquet), or a built-in data set: {', '.join(BUILT_IN)}",
    )
    add("--dataset_path", help="folder of a built-in data set (default: ./datasets)")
    add("--out", metavar="DIR", help="folder for check.html and check.csv (default: check)")
    add_ckpt_flag(parser, required=False)
    add(
        "--arch",
        help="network with published weights to compare images by, without --ckpt (default: "
        "resnet18); none compares pixels",
    )
    add_device_flag(parser)
    add_json_flag(parser)
    parser.set_defaults(out="check")


def run(args) -> None:
    from mindres import files
    from mindres.check.checked_images import open_checked
    from mindres.check.checking import check_data
    from mindres.check.page import write_page
    from mindres.cli.training_data import BUILT_IN_IMAGES, OWN_IMAGES, find_data

    name, path = find_data(args.data, args.dataset_path)
    net, options, note = _network(args, name)
    held_out = BUILT_IN_IMAGES if name in BUILT_IN else OWN_IMAGES
    images = open_checked(name, path, held_out, **options)
    folder = files.make_folder(args.out)
    result = check_data(images, net)
    if note:
        result.notes.insert(0, note)
    result.write_csv(folder / "check.csv")
    write_page(result, folder / "check.html", Path(args.data).name)
    if args.json:
        print_json({"data": args.data, **result.to_json()})
    else:
        print(f"{result}\n\n{folder / 'check.html'}\n{folder / 'check.csv'}")


def _network(args, name: str):
    """The network to compare images by, or None; the options of its images; a note for the user."""
    from mindres.data import dataset_class
    from mindres.devices.set_device import set_device
    from mindres.errors import UserError
    from mindres.models.build import create_model
    from mindres.models.load import load_weights

    choices = dataset_class(name).channel_choices
    if args.ckpt:
        net, metadata = load_network(args)
        channels = len(metadata.mean or ()) or net.architecture.get("in_channels", 3)
        options = _options(net, choices, channels, metadata.input_size)
        return net, {**options, "metadata": metadata}, ""
    if args.arch == "none":
        return None, {}, ""
    set_device(args.device_target)
    net = create_model(args.arch or "resnet18")
    try:
        load_weights(net, True)
    except UserError as error:
        if args.arch:
            raise
        return None, {}, f"No published weights could be loaded to compare images by: {error}."
    return net, _options(net, choices, 3, None), ""


def _options(net, choices, channels: int, size) -> dict:
    """The options of the data set that suit a network."""
    from mindres.models.registry import network

    size = size or network(net.architecture["arch"]).input_shape[1:]
    return {"resize": size, **({"channels": channels} if channels in choices else {})}
