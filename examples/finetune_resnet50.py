"""Fine-tune ResNet-50 on a data set or on your own images, as MindSpore's tutorial does.

As in the tutorial, the test images choose the best weights; `mindres train` uses other images.
"""

import mindres
from mindres.cli import training_options as options
from mindres.cli.program import run
from mindres.cli.training_flags import training_parser
from mindres.data import create_dataset, dataset_class
from mindres.training.recipes import make_recipe

EXAMPLE = "python examples/finetune_resnet50.py --dataset cifar10 --download --epochs 5"


def main():
    args = training_parser(__doc__, EXAMPLE).parse_args()
    # The recipe: epochs, batch size, optimizer and learning rate, changed by the flags.
    recipe = make_recipe(args.recipe, **options.recipe_values(args))
    device = options.start(args)  # sets the device and the seed, and joins other workers

    # The data: augmented batches to train on, and every image once to validate on.
    images = options.image_options(args, recipe)
    augmentation = options.augmentation_options(args, recipe)
    held_out = dataset_class(args.dataset).validation_split(args.validation_fraction)
    train_data = create_dataset(args.dataset, args.dataset_path, "train", **images, **augmentation)
    val_data = create_dataset(args.dataset, args.dataset_path, held_out, **images)

    # The network: ImageNet weights, and a new classifier for these classes.
    net = mindres.create_model(
        args.arch, num_classes=len(train_data.classes), in_channels=train_data.channels
    )
    options.load_pretrained(net, args)

    # The training: it prints a line per epoch, and keeps the best weights in best.ckpt.
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
