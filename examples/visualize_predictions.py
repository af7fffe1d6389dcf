"""Draw images with a checkpoint's predictions: blue if right, red if wrong."""

import os
import sys

import numpy as np
from PIL import Image

import mindres
from mindres.cli import flags
from mindres.cli.arguments import positive_int
from mindres.cli.parser import ArgumentParser
from mindres.cli.program import run

EXAMPLE = "python examples/visualize_predictions.py --ckpt ckpt/best.ckpt --out predictions.png"


def main():
    parser = ArgumentParser(description=__doc__, epilog=f"example:\n  {EXAMPLE}")
    flags.add_network_flags(parser)
    flags.add_data_flags(parser)
    parser.add_argument("--images", metavar="DIR", help="images to use instead of a data set")
    parser.add_argument("--count", type=positive_int, default=24, help="images (default: 24)")
    parser.add_argument("--out", default="predictions.png", help="PNG, SVG or PDF file")
    flags.add_seed_flag(parser)
    args = parser.parse_args()

    from mindres import pictures
    from mindres.data.image_files import image_files
    from mindres.evaluation.predictor import class_names
    from mindres.pictures.drawing import format_of, save
    from mindres.pictures.prediction_grid import prediction_grid
    from mindres.runs.images import described, use_of

    format_of(args.out)
    # The checkpoint has the network, and how its images are prepared.
    net, metadata = flags.load_network(args)
    mindres.set_seed(args.seed)
    if args.images:
        paths = image_files(args.images)[: args.count]
        sample = pictures.samples_from_files(paths, metadata, class_names(net, metadata))
    else:
        data = flags.open_images(args, metadata)
        sample = pictures.samples(data, args.count)

    found = mindres.predict(net, sample.inputs, metadata)
    probabilities = found.probabilities.max(axis=1)
    save(prediction_grid(sample.shown, found.names, sample.names, probabilities), args.out)
    told = f"{len(sample.inputs)} predictions"
    if not args.images:
        print(f"Images: some of the {described(data, use_of(data, args.ckpt, metadata))}")
        told += f", {np.sum(found.classes == sample.labels)} of them right"
    print(f"{told}: {args.out}")
    has_screen = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY")
    if args.out.endswith(".png") and has_screen:
        Image.open(args.out).show()


if __name__ == "__main__":
    run(main)
