"""`mindres plot`: draws a picture to a file."""

from __future__ import annotations

from mindres.cli.arguments import positive_int
from mindres.cli.flags import (
    AUTO_AUGMENT,
    add_data_flags,
    add_network_flags,
    add_seed_flag,
    load_network,
    open_images,
)
from mindres.errors import UserError

PICTURES = (
    "dataset",
    "augmentation",
    "predictions",
    "mistakes",
    "confusion",
    "curves",
    "filters",
    "features",
    "gradcam",
)


def add_flags(parser) -> None:
    add = parser.add_argument
    add("what", choices=PICTURES, metavar="PICTURE", help=f"one of {', '.join(PICTURES)}")
    add(
        "runs",
        nargs="*",
        metavar="RUN_DIR",
        help="of curves: the --ckpt_dir of one training or of several",
    )
    add_network_flags(parser, required=False)
    add_data_flags(parser, "test; train for dataset and augmentation")
    add(
        "--images",
        metavar="FOLDER",
        help="of predictions, features and gradcam: images in place of a data set's",
    )
    add("--count", type=positive_int, help="how many images (default: 24; 4 of augmentation)")
    add(
        "--stage",
        help="of features and gradcam: conv1, layer1 ... (default: the first; the deepest with "
        "4x4 cells)",
    )
    add(
        "--auto_augment",
        default="none",
        choices=AUTO_AUGMENT,
        help="of augmentation (default: none)",
    )
    add_seed_flag(parser)
    add("--out", metavar="FILE", help="PNG, SVG or PDF file (default: PICTURE.png)")


def run(args) -> None:
    from mindres import pictures
    from mindres.pictures import drawing
    from mindres.training.trainer import set_seed

    out = args.out or f"{args.what}.png"
    drawing.format_of(out)
    if args.what == "curves" and not args.runs:
        raise UserError("mindres plot curves needs the folder of a training, or of several")
    if args.what != "curves" and args.runs:
        raise UserError(
            f"mindres plot {args.what} takes no {args.runs[0]}: name weights with --ckpt, images "
            "with --dataset or --images"
        )
    if args.what == "curves":
        figure = pictures.curves(args.runs)
    else:
        set_seed(args.seed)
        figure = _of_data(args) if args.what in ("dataset", "augmentation") else _of_network(args)
    drawing.save(figure, out)
    print(out)


def _of_data(args):
    from mindres import pictures

    args.dataset = args.dataset or "digits"
    if args.what == "dataset":
        return pictures.dataset(open_images(args, {}, "train"), args.count or 24)
    if args.split not in (None, "train"):
        raise UserError(f"only training images are augmented, not those of {args.split}")
    return pictures.augmentation(
        open_images(args, {}, "train", augment=True, auto_augment=args.auto_augment),
        args.count or 4,
    )


def _of_network(args):
    from mindres import pictures
    from mindres.data.images import image_files
    from mindres.evaluation.evaluator import evaluate
    from mindres.evaluation.predictor import class_names

    if not args.ckpt:
        raise UserError(f"mindres plot {args.what} needs a network: name its weights with --ckpt")
    net, metadata = load_network(args)
    count = args.count or 24
    if args.what == "filters":
        return pictures.filters(net)
    if args.what == "confusion":
        return pictures.confusion(evaluate(net, open_images(args, metadata)))
    if args.what == "mistakes":
        data = open_images(args, metadata)
        return pictures.mistakes(evaluate(net, data), data, count)
    if args.images:
        some = pictures.samples_from_files(
            image_files(args.images)[:count], metadata, class_names(net, metadata)
        )
    else:
        some = pictures.samples(open_images(args, metadata), count)
    if args.what == "predictions":
        return pictures.predictions(net, some)
    draw = pictures.gradcam if args.what == "gradcam" else pictures.features
    return draw(net, some, args.stage)
