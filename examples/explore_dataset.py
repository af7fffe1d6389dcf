"""Look at a dataset: its classes and sizes, some images with their names, and what augmentation makes of them."""

from pathlib import Path

import numpy as np

import mindres
from mindres.cli.arguments import positive_int
from mindres.cli.parser import ArgumentParser
from mindres.cli.program import run
from mindres.data import AUTO_AUGMENT, DATASETS, create_dataset


def main():
    parser = ArgumentParser(
        description=__doc__,
        epilog="example:\n  python examples/explore_dataset.py "
        "--dataset folder --dataset_path my_photos --resize 224",
    )
    parser.add_argument(
        "--dataset", default="digits", choices=DATASETS, help="default: %(default)s"
    )
    parser.add_argument(
        "--dataset_path", default="./datasets", help="folder of the dataset (default: ./datasets)"
    )
    parser.add_argument(
        "--download", action="store_true", help="fetch the dataset if it is not there"
    )
    parser.add_argument(
        "--resize", type=positive_int, default=32, help="side of the images in pixels (default: 32)"
    )
    parser.add_argument(
        "--auto_augment", default="none", choices=AUTO_AUGMENT, help="default: none"
    )
    parser.add_argument("--seed", type=int, default=0, help="which images are drawn (default: 0)")
    parser.add_argument(
        "--out", default="dataset", metavar="DIR", help="folder of the pictures (default: dataset)"
    )
    args = parser.parse_args()
    mindres.set_seed(args.seed)

    from mindres import files, pictures
    from mindres.pictures import drawing

    folder = files.make_folder(args.out)
    options = {"resize": args.resize, "download": args.download}
    train = create_dataset(
        args.dataset, args.dataset_path, auto_augment=args.auto_augment, **options
    )
    test = create_dataset(args.dataset, args.dataset_path, "test", **options)

    # How many images each class has: a rare class is learnt badly, and accuracy hides it.
    counts = [
        np.bincount(pictures.labels_of(data), minlength=len(train.classes))
        for data in (train, test)
    ]
    width = max(5, *map(len, train.classes))
    print(f"{'class':{width}}  {'train':>7}  {'test':>7}")
    for name, *row in zip(train.classes, *counts):
        print(f"{name:{width}}  " + "  ".join(f"{count:7,}" for count in row))

    # One batch, as the tutorial has it: the shape that the network is fed.
    sample = pictures.samples(train)
    print(
        f"a batch of images: {sample.inputs.shape} {sample.inputs.dtype}, mean {sample.inputs.mean():.2f}, "
        f"standard deviation {sample.inputs.std():.2f}"
    )

    for name, figure in (
        ("images", pictures.dataset(train)),
        ("augmentation", pictures.augmentation(train)),
    ):
        drawing.save(figure, folder / f"{name}.png")
        print(Path(folder) / f"{name}.png")


if __name__ == "__main__":
    run(main)
