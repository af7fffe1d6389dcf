"""Draw test images with a checkpoint's predictions: blue where they are right, red where they are wrong."""

import os
import sys

import numpy as np
from PIL import Image

import mindres
from mindres.cli.arguments import positive_int
from mindres.cli.parser import ArgumentParser
from mindres.cli.program import run
from mindres.data import DATASETS
from mindres.devices import DEVICES


def main():
    parser = ArgumentParser(
        description=__doc__,
        epilog="example:\n  python examples/visualize_predictions.py --ckpt ckpt/best.ckpt --out predictions.png",
    )
    parser.add_argument("--ckpt", required=True, help="a checkpoint written by mindres")
    parser.add_argument("--images", help="a folder of images to draw in place of the dataset's")
    parser.add_argument(
        "--dataset", choices=DATASETS, help="default: the one that the checkpoint was trained on"
    )
    parser.add_argument(
        "--dataset_path", default="./datasets", help="folder of the dataset (default: ./datasets)"
    )
    parser.add_argument(
        "--count", type=positive_int, default=24, help="how many images (default: 24)"
    )
    parser.add_argument("--seed", type=int, default=0, help="which images are drawn (default: 0)")
    parser.add_argument(
        "--out", default="predictions.png", help="PNG, SVG or PDF file (default: predictions.png)"
    )
    parser.add_argument("--device_target", default="auto", choices=DEVICES, help="default: auto")
    args = parser.parse_args()
    mindres.set_device(args.device_target)
    mindres.set_seed(args.seed)

    from mindres import pictures
    from mindres.data.images import image_files
    from mindres.evaluation.predictor import class_names
    from mindres.evaluation.trained_data import open_data
    from mindres.pictures import drawing
    from mindres.pictures.prediction_grid import prediction_grid

    drawing.format_of(args.out)
    # The checkpoint says which network it holds, and how its images were prepared.
    net, metadata = mindres.load_model(args.ckpt)
    if args.images:
        paths = image_files(args.images)[: args.count]
        sample = pictures.samples_from_files(paths, metadata, class_names(net, metadata))
    else:
        data = open_data(metadata, args.dataset, args.dataset_path)
        sample = pictures.samples(data, args.count)

    prediction = mindres.predict(net, sample.inputs)
    drawing.save(
        prediction_grid(
            sample.shown,
            [sample.classes[k] for k in prediction.classes],
            sample.names,
            prediction.probabilities.max(axis=1),
        ),
        args.out,
    )
    right = (
        ""
        if sample.labels is None
        else f", {np.sum(prediction.classes == sample.labels)} of them right"
    )
    print(f"{len(sample.inputs)} predictions{right}: {args.out}")
    if args.out.endswith(".png") and (
        sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY")
    ):
        Image.open(args.out).show()


if __name__ == "__main__":
    run(main)
