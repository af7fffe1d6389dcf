"""Train the ConvNet or LeNet-5 on MNIST.

The test images choose the best weights; `mindres train mnist` uses other images.
"""

import mindres
from mindres.cli import training_options as options
from mindres.cli.program import run
from mindres.cli.training_flags import training_parser
from mindres.data import create_dataset, dataset_class
from mindres.training.recipes import make_recipe

EXAMPLE = "python examples/train_mnist.py --arch lenet5 --recipe fast --download"
DEFAULTS = {
    "dataset": "mnist",
    "arch": "convnet",
    "pretrained": "false",
    "recipe": "sgd_mnist",
    "resize": None,
}


def main():
    args = training_parser(__doc__, EXAMPLE, **DEFAULTS).parse_args()
    # LeNet-5 takes images of 32 pixels, so that strokes at the edge meet whole filters
    # (LeCun et al., section II.B).
    args.resize = args.resize or (28 if args.arch == "convnet" else 32)
    recipe = make_recipe(args.recipe, **options.recipe_values(args))
    device = options.start(args)  # sets the device and the seed, and joins other workers

    images = options.image_options(args, recipe)
    augmentation = options.augmentation_options(args, recipe)
    held_out = dataset_class(args.dataset).validation_split(args.validation_fraction)
    train_data = create_dataset(args.dataset, args.dataset_path, "train", **images, **augmentation)
    val_data = create_dataset(args.dataset, args.dataset_path, held_out, **images)

    net = mindres.create_model(args.arch, num_classes=10, in_channels=train_data.channels)
    options.load_pretrained(net, args)
    mindres.say(options.first_line(args, recipe, device))
    mindres.train(
        net,
        train_data,
        val_data,
        recipe=args.recipe,
        **options.recipe_values(args),
        freeze=args.freeze,
        ckpt_dir=args.ckpt_dir,
        resume=args.resume,
        **options.run_options(args),
    )


if __name__ == "__main__":
    run(main)
