"""Look at a data set: its classes, some of its images, and their augmentation."""

import numpy as np

import mindres
from mindres.cli.arguments import positive_int
from mindres.cli.flags import add_seed_flag
from mindres.cli.parser import ArgumentParser
from mindres.cli.program import run
from mindres.data import AUTO_AUGMENT, DATASETS, create_dataset

EXAMPLE = (
    "python examples/explore_dataset.py --dataset folder --dataset_path my_photos --resize 224"
)


def main():
    parser = ArgumentParser(description=__doc__, epilog=f"example:\n  {EXAMPLE}")
    add = parser.add_argument
    add("--dataset", default="digits", choices=DATASETS, help="default: digits")
    add("--dataset_path", default="./datasets", help="its folder (default: ./datasets)")
    add("--download", action="store_true", help="download it if it is missing")
    add("--skip_broken", action="store_true", help="leave broken images of a folder out")
    add("--resize", type=positive_int, default=32, help="side of the images (default: 32 pixels)")
    add("--auto_augment", default="none", choices=AUTO_AUGMENT, help="default: none")
    add("--out", default="dataset", help="folder for the pictures (default: dataset)")
    add_seed_flag(parser)
    args = parser.parse_args()
    mindres.set_seed(args.seed)

    from mindres import files, pictures
    from mindres.pictures.drawing import save

    folder = files.make_folder(args.out)
    names = ("resize", "download", "skip_broken", "auto_augment")
    options = {name: getattr(args, name) for name in names}
    train = create_dataset(args.dataset, args.dataset_path, "train", **options)
    test = create_dataset(args.dataset, args.dataset_path, "test", **options)

    # The number of images of each class: rare classes are learnt badly, which accuracy hides.
    labels = [pictures.labels_of(data) for data in (train, test)]
    counts = [np.bincount(each, minlength=len(train.classes)) for each in labels]
    width = max(5, *map(len, train.classes))
    print(f"{'class':{width}}  {train.split:>7}  {test.split:>7}")
    for name, *row in zip(train.classes, *counts):
        print(f"{name:{width}}  " + "  ".join(f"{count:7,}" for count in row))

    # One batch: the shape and range of the network's input.
    batch = pictures.samples(train).inputs
    spread = f"mean {batch.mean():.2f}, standard deviation {batch.std():.2f}"
    print(f"a batch of images: {batch.shape} {batch.dtype}, {spread}")

    for name, draw in (("images", pictures.dataset), ("augmentation", pictures.augmentation)):
        save(draw(train), folder / f"{name}.png")
        print(folder / f"{name}.png")


if __name__ == "__main__":
    run(main)
