"""Train ResNet-20, ResNet-18 or any other network from random weights on CIFAR-10, 5,000 images held out."""

import mindres
from mindres.cli.program import run
from mindres.cli.training_flags import (
    load_dataset,
    load_datasets,
    recipe_values,
    train_as_asked,
    training_parser,
)
from mindres.training.recipes import make_recipe


def main():
    parser = training_parser(
        __doc__,
        "python examples/train_cifar10.py --arch resnet20 --recipe fast --epochs 12 --download",
        dataset="cifar10",
        arch="resnet20",
        recipe="fast",
        validation_fraction=0.1,
    )
    args = parser.parse_args()
    recipe = make_recipe(args.recipe, **recipe_values(args))
    mindres.set_device(args.device_target, args.device_id)
    mindres.set_seed(args.seed)

    train_data, val_data = load_datasets(args, recipe)
    net = mindres.create_model(args.arch, num_classes=len(train_data.classes))
    train_as_asked(net, train_data, val_data, args)

    # The last epoch's weights, on images that neither training nor the choice of weights has seen.
    result = mindres.evaluate(net, load_dataset(args, recipe, "test"), tta=recipe.tta)
    print(
        f"Test accuracy of the last epoch: {result.accuracy:.4f} over {result.num_images:,} images"
    )


if __name__ == "__main__":
    run(main)
