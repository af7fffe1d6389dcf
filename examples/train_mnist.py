"""Train the ConvNet or LeNet-5 on MNIST, validated on the test images."""

import mindres
from mindres.cli.program import run
from mindres.cli.training_flags import load_datasets, recipe_values, train_as_asked, training_parser
from mindres.training.recipes import make_recipe


def main():
    parser = training_parser(
        __doc__,
        "python examples/train_mnist.py --arch lenet5 --recipe fast --download",
        dataset="mnist",
        arch="convnet",
        recipe="sgd_mnist",
        resize=None,
    )
    args = parser.parse_args()
    # LeNet-5 takes images of 32 pixels, so that strokes at the edge meet whole filters (LeCun et al., section II.B).
    args.resize = args.resize or (28 if args.arch == "convnet" else 32)
    recipe = make_recipe(args.recipe, **recipe_values(args))
    mindres.set_device(args.device_target, args.device_id)
    mindres.set_seed(args.seed)

    train_data, val_data = load_datasets(args, recipe)
    net = mindres.create_model(args.arch, num_classes=10, in_channels=train_data.channels)
    train_as_asked(net, train_data, val_data, args)


if __name__ == "__main__":
    run(main)
