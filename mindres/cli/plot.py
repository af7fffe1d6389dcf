"""`mindres plot`: draws a picture to a file."""

from __future__ import annotations

import importlib
from functools import cached_property

from mindres.cli.arguments import positive_int
from mindres.cli.flags import (
    add_data_flags,
    add_network_flags,
    add_seed_flag,
    load_network,
    open_images,
)
from mindres.data import AUTO_AUGMENT
from mindres.errors import UserError
from mindres.pictures import PICTURES

SAMPLES = 24  # images without --count


def add_flags(parser) -> None:
    add = parser.add_argument
    add("what", choices=PICTURES, metavar="PICTURE", help=f"one of {', '.join(PICTURES)}")
    add(
        "run_dirs",
        nargs="*",
        metavar="RUN_DIR",
        help=f"for {_that_take('run_dirs')}: the --ckpt_dir of one or several training runs",
    )
    add_network_flags(parser, required=False)
    add_data_flags(
        parser, f"test; train for {_that_take('images')} and {_that_take('augmented_images')}"
    )
    add(
        "--images",
        metavar="FOLDER",
        help=f"for {_that_take('samples')}: images to use instead of a data set",
    )
    add("--count", type=positive_int, help="how many images (default: 24; 4 for augmentation)")
    add(
        "--stage",
        help=f"for {_that_take('stage')}: conv1, layer1 ... (default: the first for features, the "
        "deepest with 4x4 cells for gradcam)",
    )
    add(
        "--auto_augment",
        default="none",
        choices=AUTO_AUGMENT,
        help=f"for {_that_take('augmented_images')}: random operations on each image "
        "(default: none)",
    )
    add_seed_flag(parser)
    add("--out", metavar="FILE", help="PNG, SVG or PDF file (default: PICTURE.png)")


def _that_take(name) -> str:
    """The pictures that take an input or an option, as a list in English."""
    takers = [what for what, row in PICTURES.items() if name in row.inputs + row.options]
    return " and ".join(filter(None, [", ".join(takers[:-1]), takers[-1]]))


def run(args) -> None:
    from mindres.pictures import drawing
    from mindres.training.trainer import set_seed

    picture = PICTURES[args.what]
    out = args.out or f"{args.what}.png"
    drawing.format_of(out)
    if args.run_dirs and "run_dirs" not in picture.inputs:
        raise UserError(
            f"mindres plot {args.what} takes no {args.run_dirs[0]}: name weights with --ckpt, "
            "images with --dataset or --images"
        )
    set_seed(args.seed)
    given = Inputs(args)
    inputs = [getattr(given, name) for name in picture.inputs]
    options = {name: getattr(args, name) for name in picture.options}
    options = {name: value for name, value in options.items() if value is not None}
    draw = getattr(importlib.import_module(picture.module), args.what)
    figure = draw(*inputs, **options)
    if given.about:
        drawing.entitle(figure, given.about)
    drawing.save(figure, out)
    print(out)


class Inputs:
    """The inputs of pictures that the flags name: each `inputs` of `PICTURES` is a property."""

    def __init__(self, args):
        self.args = args
        self.about = ""  # a description of the images that a network was evaluated on

    @property
    def run_dirs(self):
        if not self.args.run_dirs:
            raise UserError(
                f"mindres plot {self.args.what} needs the folder of a training run, or several"
            )
        return self.args.run_dirs

    @property
    def images(self):
        """A data set without augmentation, by default its training images."""
        self.args.dataset = self.args.dataset or "digits"
        return open_images(self.args, {}, "train")

    @property
    def augmented_images(self):
        """The training images, augmented."""
        if self.args.split not in (None, "train"):
            raise UserError(f"only training images are augmented, not the split {self.args.split}")
        self.args.dataset = self.args.dataset or "digits"
        augmented = {"augment": True, "auto_augment": self.args.auto_augment}
        return open_images(self.args, {}, "train", **augmented)

    @cached_property
    def _loaded(self):
        if not self.args.ckpt:
            raise UserError(
                f"mindres plot {self.args.what} needs a network: name its weights with --ckpt"
            )
        return load_network(self.args)

    @property
    def net(self):
        return self._loaded[0]

    @property
    def range_test(self):
        """A learning-rate range test of --arch or of --ckpt on the training images."""
        import mindres
        from mindres.devices.set_device import set_device
        from mindres.training.lr_finder import MINUTE, range_test
        from mindres.training.recipes import make_recipe

        set_device(self.args.device_target)
        self.args.dataset = self.args.dataset or "digits"
        data = open_images(self.args, {}, "train", augment=True)
        if self.args.ckpt:
            net = self.net
        elif self.args.arch:
            channels = {"in_channels": data.channels}
            net = mindres.create_model(self.args.arch, num_classes=len(data.classes), **channels)
        else:
            raise UserError("mindres plot lr_finder needs a network: name it with --arch or --ckpt")
        return range_test(net, data, make_recipe("fast"), 10 * MINUTE)

    @cached_property
    def evaluated_images(self):
        from mindres.runs.images import described, use_of

        metadata = self._loaded[1]
        data = open_images(self.args, metadata)
        self.about = described(data, use_of(data, self.args.ckpt, metadata))
        return data

    @cached_property
    def evaluation(self):
        from mindres.evaluation.evaluator import evaluate

        return evaluate(self.net, self.evaluated_images)

    @property
    def robustness(self):
        from mindres.evaluation.robustness import robustness

        return robustness(self.net, self.evaluated_images)

    @property
    def samples(self):
        """Some images of --images or of the data set."""
        from mindres import pictures
        from mindres.data.image_files import image_files
        from mindres.evaluation.predictor import class_names

        count = self.args.count or SAMPLES
        if not self.args.images:
            return pictures.samples(self.evaluated_images, count)
        paths = image_files(self.args.images)[:count]
        net, metadata = self._loaded
        return pictures.samples_from_files(paths, metadata, class_names(net, metadata))
