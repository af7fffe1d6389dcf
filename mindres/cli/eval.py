"""`mindres eval`: measures a network on labelled images."""

from __future__ import annotations

import argparse

from mindres.cli.arguments import positive_int
from mindres.cli.flags import (
    add_amp_flag,
    add_data_flags,
    add_json_flag,
    add_network_flags,
    load_network,
    open_images,
    print_json,
)
from mindres.cli.training_data import find_data
from mindres.data import OWN
from mindres.errors import UserError


def add_flags(parser) -> None:
    parser.add_argument(
        "data",
        nargs="?",
        metavar="DATA",
        help="images as in mindres train (default: those that the checkpoint was trained on)",
    )
    add_network_flags(parser)
    add_amp_flag(parser)
    add_data_flags(parser)
    parser.add_argument(
        "--batch_size", type=positive_int, default=64, help="images per batch (default: 64)"
    )
    parser.add_argument(
        "--resize",
        type=positive_int,
        help="side of the images in pixels (default: the checkpoint's, else the network's)",
    )
    parser.add_argument(
        "--tta",
        action=argparse.BooleanOptionalAction,
        help="average the logits of each image and its mirror image (default: as in training)",
    )
    parser.add_argument(
        "--corruptions",
        action="store_true",
        help="also measure on noisy, blurred, pale and otherwise corrupted images, which takes 25 "
        "times as long",
    )
    parser.add_argument(
        "--plots",
        metavar="DIR",
        help="folder for confusion.png, mistakes.png and predictions.png, and corruptions.png",
    )
    add_json_flag(parser)


def run(args) -> None:
    from mindres import files, pictures
    from mindres.evaluation.evaluator import evaluate
    from mindres.evaluation.robustness import robustness
    from mindres.pictures import drawing
    from mindres.runs import images

    _name_images(args)
    folder = files.make_folder(args.plots) if args.plots else None
    net, metadata = load_network(args)
    resize = {"resize": args.resize} if args.resize else {}
    data = open_images(args, metadata, batch_size=args.batch_size, **resize)
    tta = bool(metadata.tta) if args.tta is None else args.tta
    result = evaluate(net, data, tta=tta, amp_level=args.amp_level)
    corrupted = robustness(net, data, tta, args.amp_level) if args.corruptions else None
    use = images.use_of(data, args.ckpt, metadata)
    if args.json:
        further = {"robustness": corrupted.to_json()} if corrupted else {}
        print_json(
            {
                "checkpoint": args.ckpt,
                "architecture": net.architecture,
                "dataset": data.name.lower(),
                "split": data.split,
                "used_for": use or None,
                **result.to_json(),
                **further,
            }
        )
    else:
        print(f"{net.architecture['arch']} on the {images.described(data, use)}")
        print(result)
        if corrupted:
            print(f"\n{corrupted}")
    if folder:
        _draw(net, data, result, folder)
        if corrupted:
            drawing.save(pictures.corruptions(corrupted), folder / "corruptions.png")


def _name_images(args) -> None:
    """Let DATA stand for --dataset, and for --dataset_path if it is the user's own."""
    if args.data is None:
        return
    if args.dataset:
        raise UserError(f"{args.data} and `dataset={args.dataset}` both name images: leave one out")
    args.dataset, path = find_data(args.data, args.dataset_path)
    if args.dataset in OWN:
        args.dataset_path = path


def _draw(net, data, result, folder) -> None:
    from mindres import pictures
    from mindres.pictures import drawing

    drawing.save(pictures.confusion(result), folder / "confusion.png")
    drawing.save(pictures.mistakes(result, data), folder / "mistakes.png")
    drawing.save(pictures.predictions(net, pictures.samples(data)), folder / "predictions.png")
