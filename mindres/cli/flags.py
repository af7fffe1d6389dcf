"""Flags that several commands share, and functions that use their values.

Flags are spelled with underscores, as in MindSpore's model zoo.
"""

from __future__ import annotations

import json

from mindres.cli.arguments import positive_int
from mindres.data import CACHES, DATASETS
from mindres.devices import AMP_LEVELS, DEVICES
from mindres.weights.publishers import MINDRES, PUBLISHERS

SPLITS = ("test", "val", "train", "all")


def add_json_flag(parser) -> None:
    parser.add_argument("--json", action="store_true", help="print a JSON document")


def print_json(document) -> None:
    """Print `document` as the only thing on standard output."""
    print(json.dumps(document, indent=2))


def add_device_flag(parser, help="device to run the network on (default: auto)") -> None:
    parser.add_argument("--device_target", default="auto", choices=DEVICES, help=help)


def add_amp_flag(parser, default="O0") -> None:
    parser.add_argument(
        "--amp_level",
        default=default,
        choices=AMP_LEVELS,
        help="mixed precision: on CPU O0 is float32, O2 is bfloat16, and auto is O2 if the "
        "processor has AMX; elsewhere the levels are MindSpore's and auto is O2 (default: "
        "%(default)s)",
    )


def add_ckpt_flag(parser, required=True) -> None:
    parser.add_argument(
        "--ckpt",
        required=required,
        metavar="FILE",
        help="weights: a mindres checkpoint, another file that mindres convert reads, or the URL "
        "of one",
    )


def add_pretrained_flag(parser) -> None:
    """Add --pretrained, a publisher of weights in the place of the file of --ckpt."""
    others = ", ".join(name for name in PUBLISHERS if name != MINDRES)
    parser.add_argument(
        "--pretrained",
        dest="ckpt",
        choices=PUBLISHERS,
        metavar="PUBLISHER",
        help=f"published weights of --arch instead of a file: {MINDRES} (in the package), {others}",
    )


def add_arch_flag(parser) -> None:
    parser.add_argument("--arch", help="network (default: the one that the file holds)")


def add_shortcut_flag(parser, default) -> None:
    parser.add_argument(
        "--shortcut", choices=("A", "B"), help=f"shortcuts of the CIFAR ResNets ({default})"
    )


def add_num_classes_flag(parser, default) -> None:
    parser.add_argument("--num_classes", type=positive_int, help=f"number of classes ({default})")


def add_seed_flag(parser) -> None:
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the random choice of images (default: 0)"
    )


def model_options(args, *names) -> dict:
    """The given options of `create_model` and `load_model` by name."""
    names = names or ("arch", "num_classes", "shortcut")
    given = {name: getattr(args, name, None) for name in names}
    return {name: value for name, value in given.items() if value is not None}


def architecture_line(net) -> str:
    """The network and its options on one line."""
    return ", ".join(f"{key} {value}" for key, value in net.architecture.items())


def add_network_flags(parser, required=True) -> None:
    """Add the flags for a trained network and its device."""
    either = parser.add_mutually_exclusive_group(required=required)
    add_ckpt_flag(either, required=False)
    add_pretrained_flag(either)
    add_arch_flag(parser)
    add_device_flag(parser)


def load_network(args):
    """The network of --ckpt and its metadata; sets the device."""
    from mindres.devices.set_device import set_device
    from mindres.models.checkpoints import load_model

    set_device(args.device_target)
    return load_model(args.ckpt, **model_options(args))


def add_data_flags(parser, split="test") -> None:
    """Add the flags for labelled images; `split` is the default that the help shows."""
    images = parser.add_argument_group("images")
    images.add_argument(
        "--dataset",
        choices=DATASETS,
        help="data set (default: the one that the checkpoint was trained on)",
    )
    images.add_argument(
        "--dataset_path",
        help="folder of the data set or its parent (default: the run's, else ./datasets)",
    )
    images.add_argument(
        "--split",
        choices=SPLITS,
        help=f"split of the data set; all means every image of a folder (default: {split})",
    )
    images.add_argument(
        "--validation_fraction",
        type=float,
        help="fraction of the training images in the split val (default: the run's, else 0)",
    )
    add_skip_broken_flag(images)
    add_workers_flag(images)


def add_skip_broken_flag(parser, default=" (default: as in the run)") -> None:
    help = (
        f"leave out broken images of a folder; new images are decoded once to check them{default}"
    )
    parser.add_argument("--skip_broken", action="store_true", help=help)


def add_workers_flag(parser) -> None:
    parser.add_argument(
        "--num_parallel_workers",
        type=positive_int,
        help="threads that read and prepare images; results do not depend on it (default: one per "
        "core)",
    )


def add_cache_flag(parser) -> None:
    parser.add_argument(
        "--cache",
        default="none",
        choices=CACHES,
        help="keep small copies of your own training images, so that each is decoded once: ram, "
        "disk (the user's cache folder), or auto for whichever has room (default: none)",
    )


def open_images(args, metadata, split="test", **options):
    """The data set that the flags name; settings that are not given are those of --ckpt's run.

    Every image comes once, in order and not augmented, unless `options` has `augment`.
    """
    from mindres.runs import images

    if args.skip_broken:
        options["skip_broken"] = True
    options["num_parallel_workers"] = args.num_parallel_workers
    data = images.open_images(
        args.ckpt or "",
        metadata,
        args.dataset,
        args.dataset_path,
        args.split or split,
        args.validation_fraction,
        **options,
    )
    return data if options.get("augment") else data.plain()
