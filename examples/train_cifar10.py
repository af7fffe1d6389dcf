"""Train ResNet-20, ResNet-18 or another network from random weights on CIFAR-10."""

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

EXAMPLE = "python examples/train_cifar10.py --arch resnet20 --recipe fast --epochs 12 --download"
DEFAULTS = {
    "dataset": "cifar10",
    "arch": "resnet20",
    "recipe": "fast",
    "validation_fraction": 0.1,
}


def main():
    args = training_parser(__doc__, EXAMPLE, **DEFAULTS).parse_args()
    recipe = make_recipe(args.recipe, **recipe_values(args))
    mindres.set_device(args.device_target, args.device_id)
    mindres.set_seed(args.seed)

    # 45,000 images to train on, and 5,000 to choose the best weights by.
    images = image_options(args, recipe)
    augmentation = augmentation_options(args, recipe)
    held_out = dataset_class(args.dataset).validation_split(args.validation_fraction)
    train_data = create_dataset(args.dataset, args.dataset_path, "train", **images, **augmentation)
    val_data = create_dataset(args.dataset, args.dataset_path, held_out, **images)

    net = mindres.create_model(args.arch, num_classes=len(train_data.classes))
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

    # The last epoch's weights, on images that neither training nor the choice of weights has seen.
    test_data = create_dataset(args.dataset, args.dataset_path, "test", **images)
    result = mindres.evaluate(net, test_data, tta=recipe.tta)
    accuracy = f"{result.accuracy:.4f} over {result.num_images:,} images"
    print(f"Test accuracy of the last epoch: {accuracy}")


if __name__ == "__main__":
    run(main)
