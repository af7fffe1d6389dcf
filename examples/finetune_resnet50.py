"""Fine-tune ResNet-50: MindSpore's tutorial, on today's MindSpore, on any of the datasets or your own images."""

import mindres
from mindres.cli.program import run
from mindres.cli.training_flags import (
    load_datasets,
    load_pretrained,
    recipe_values,
    train_as_asked,
    training_parser,
)
from mindres.training.recipes import make_recipe


def main():
    parser = training_parser(
        __doc__, "python examples/finetune_resnet50.py --dataset cifar10 --download --epochs 5"
    )
    args = parser.parse_args()
    recipe = make_recipe(args.recipe, **recipe_values(args))
    device = mindres.set_device(args.device_target, args.device_id)
    if args.distributed:
        mindres.start_workers()
    mindres.set_seed(args.seed)

    # The datasets: augmented batches for training, every image once for validation.
    train_data, val_data = load_datasets(args, recipe)

    # The network: weights learnt on ImageNet, and a fresh classifier for these classes.
    net = mindres.create_model(
        args.arch, num_classes=len(train_data.classes), in_channels=len(train_data.mean)
    )
    load_pretrained(net, args.pretrained, args.freeze)

    mindres.say(
        f"{args.arch} on {args.dataset}, {device}: {recipe.epochs} epochs in batches of {recipe.batch_size}, "
        f"{args.recipe} recipe"
    )
    train_as_asked(net, train_data, val_data, args)


if __name__ == "__main__":
    run(main)
