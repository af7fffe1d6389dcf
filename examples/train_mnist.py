"""Train the ConvNet or LeNet-5 on MNIST, validated on the test images."""

import mindres
from mindres.cli.program import run
from mindres.cli.training_flags import training_parser
from mindres.cli.training_options import (
    augmentation_options,
    image_options,
    recipe_values,
    run_options,
)
from mindres.data import create_dataset, dataset_class
from mindres.training.recipes import make_recipe

EXAMPLE = "python examples/train_mnist.py --arch lenet5 --recipe fast --download"
DEFAULTS = {"dataset": "mnist", "arch": "convnet", "recipe": "sgd_mnist", "resize": None}


def main():
    args = training_parser(__doc__, EXAMPLE, **DEFAULTS).parse_args()
    # LeNet-5 takes images of 32 pixels, so that strokes at the edge meet whole filters
    # (LeCun et al., section II.B).
    args.resize = args.resize or (28 if args.arch == "convnet" else 32)
    recipe = make_recipe(args.recipe, **recipe_values(args))
    mindres.set_device(args.device_target, args.device_id)
    mindres.set_seed(args.seed)

    images = image_options(args, recipe)
    augmentation = augmentation_options(args, recipe)
    held_out = dataset_class(args.dataset).validation_split(args.validation_fraction)
    train_data = create_dataset(args.dataset, args.dataset_path, "train", **images, **augmentation)
    val_data = create_dataset(args.dataset, args.dataset_path, held_out, **images)

    net = mindres.create_model(args.arch, num_classes=10, in_channels=train_data.channels)
    mindres.train(
        net,
        train_data,
        val_data,
        recipe=args.recipe,
        **recipe_values(args),
        freeze=args.freeze,
        ckpt_dir=args.ckpt_dir,
        resume=args.resume,
        **run_options(args),
    )


if __name__ == "__main__":
    run(main)
