"""Draw test images with a checkpoint's predictions: blue where they are right, red where they are wrong."""

import os
import sys

import numpy as np
from PIL import Image

import mindres
from mindres import plots
from mindres.errors import ArgumentParser, UserError, positive_int, run
from mindres.flags import DATASETS
from mindres.runtime import DEVICES


def main():
    parser = ArgumentParser(
        description=__doc__,
        epilog="example:\n  python examples/visualize_predictions.py --ckpt ckpt/best.ckpt --out predictions.png")
    parser.add_argument("--ckpt", required=True, help="a checkpoint written by mindres")
    parser.add_argument("--images", help="a folder of images to draw in place of the dataset's")
    parser.add_argument("--dataset", choices=DATASETS, help="default: the one that the checkpoint was trained on")
    parser.add_argument("--dataset_path", default="./datasets", help="folder of the dataset (default: ./datasets)")
    parser.add_argument("--count", type=positive_int, default=24, help="how many images (default: 24)")
    parser.add_argument("--out", default="predictions.png", help="PNG, SVG or PDF file (default: predictions.png)")
    parser.add_argument("--device_target", default="auto", choices=DEVICES, help="default: auto")
    args = parser.parse_args()
    mindres.set_device(args.device_target)

    net, metadata = mindres.load_model(args.ckpt)
    images, truth = from_folder(args, metadata) if args.images else from_dataset(args, metadata)
    prediction = mindres.predict(net, images)
    classes = metadata["classes"]
    figure = plots.prediction_grid(
        plots.denormalize(images, metadata["mean"], metadata["std"]),
        [classes[i] for i in prediction.classes],
        None if truth is None else [classes[i] for i in truth],
        prediction.probabilities.max(axis=1))
    plots.save(figure, args.out)
    right = "" if truth is None else f", {np.sum(prediction.classes == truth)} of them right"
    print(f"{len(images)} predictions{right}: {args.out}")
    if args.out.endswith(".png") and (sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY")):
        Image.open(args.out).show()


def from_folder(args, metadata):
    """The images of a folder, as the network wants them, and no labels."""
    from mindres.prediction import image_files, preprocess, read_image
    paths = image_files(args.images)[:args.count]
    return np.stack([preprocess(read_image(path), metadata) for path in paths]), None


def from_dataset(args, metadata):
    """A mixed batch of test images and their labels."""
    from mindres.data import DATASETS
    name = args.dataset or metadata.get("dataset")
    if name not in DATASETS:
        raise UserError(f"{args.ckpt} does not say which dataset it was trained on: name it with --dataset, or "
                        "a folder of images with --images")
    data = DATASETS[name](args.dataset_path, split="test", batch_size=args.count, resize=metadata["input_size"])
    batch = next(data.run().create_dict_iterator(num_epochs=1, output_numpy=True))
    return batch["image"], batch["label"]


if __name__ == "__main__":
    run(main)
