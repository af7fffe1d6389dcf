"""Train ResNet-20, ResNet-18 or another network from random weights on CIFAR-10.

45,000 images train, 5,000 choose the best weights, and the test images measure the last epoch.
"""

import mindres
from mindres.cli import training_options as options
from mindres.cli.program import run
from mindres.cli.training_flags import training_parser
from mindres.data import create_dataset, dataset_class
from mindres.training.recipes import make_recipe

EXAMPLE = "python examples/train_cifar10.py --arch resnet20 --recipe fast --epochs 12 --download"
DEFAULTS = {
    "dataset": "cifar10",
    "arch": "resnet20",
    "pretrained": "false",
    "recipe": "fast",
    "validation_fraction": 0.1,
}


def main():
    args = training_parser(__doc__, EXAMPLE, **DEFAULTS).parse_args()
    recipe = make_recipe(args.recipe, **options.recipe_values(args))
    device = options.start(args)  # sets the device and the seed, and joins other workers

    # 45,000 images to train on, and 5,000 to choose the best weights by.
    images = options.image_options(args, recipe)
    augmentation = options.augmentation_options(args, recipe)
    held_out = dataset_class(args.dataset).validation_split(args.validation_fraction)
    train_data = create_dataset(args.dataset, args.dataset_path, "train", **images, **augmentation)
    val_data = create_dataset(args.dataset, args.dataset_path, held_out, **images)

    classes, channels = len(train_data.classes), train_data.channels
    net = mindres.create_model(args.arch, num_classes=classes, in_channels=channels)
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

    # The weights of the last epoch on the test images, which neither trained the network nor chose
    # the best weights.
    test_data = create_dataset(args.dataset, args.dataset_path, "test", **images)
    result = mindres.evaluate(net, test_data, tta=recipe.tta)
    measured = f"{result.num_images:,} {test_data.split} images"
    mindres.say(f"Accuracy of the last epoch on {measured}: {result.accuracy:.4f}")


if __name__ == "__main__":
    run(main)
