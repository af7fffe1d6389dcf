"""Classify images with a network that `mindres export` wrote, without MindSpore and mindres.

This file is all that is needed, and: pip install onnxruntime numpy pillow
"""

import argparse
import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example:\n  python serve_onnx.py resnet20.onnx photo.jpg another.png",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("network", help="file of mindres export --format onnx")
    parser.add_argument("images", nargs="+", help="image files")
    parser.add_argument(
        "--top_k", type=int, default=3, help="classes to name for each image (default: 3)"
    )
    parser.add_argument("--batch_size", type=int, default=32, help="images at a time (default: 32)")
    parser.error = fail
    args = parser.parse_args()
    try:
        session = onnxruntime.InferenceSession(args.network, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a class of its own for each reason
        fail(f"{args.network} cannot be read as an ONNX file: {error}")
    metadata = {
        key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()
    }
    classes = metadata.get("classes")
    for start in range(0, len(args.images), args.batch_size):
        names = args.images[start : start + args.batch_size]
        inputs = np.stack([prepare(read(name), metadata) for name in names])
        (logits,) = session.run(["logits"], {"input": inputs})
        for name, probabilities in zip(names, softmax(logits)):
            best = np.argsort(-probabilities, kind="stable")[: args.top_k]
            print(
                f"{name}: "
                + ", ".join(f"{classes[i] if classes else i} {probabilities[i]:.1%}" for i in best)
            )


def fail(message):
    """End with one line and the status of a user's mistake."""
    print("mindres: error:", *str(message).split(), file=sys.stderr)
    sys.exit(2)


def read(name):
    """An image file as RGB, the right way up."""
    try:
        with Image.open(name) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        fail(f"{name} cannot be read as an image: {error}")


def prepare(image, metadata):
    """What the network takes for an RGB image: float32 (C, H, W), resized or cropped and normalised as in training."""
    lacking = {"input_size", "mean", "std"} - set(metadata)
    if lacking:
        fail(
            f"the network's file does not say how images are prepared: {', '.join(sorted(lacking))} missing"
        )
    height, width = metadata["input_size"]
    pixels = np.asarray(image.convert("L") if len(metadata["mean"]) == 1 else image)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    fraction = metadata.get("crop_fraction", 1)
    if metadata.get("fit", "crop" if fraction < 1 else "stretch") == "crop":
        scale = round(min(height, width) / fraction) / min(pixels.shape[:2])
        pixels = resize(pixels, [int(side * scale) for side in pixels.shape[:2]])
        top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
        pixels = pixels[top : top + height, left : left + width]
    else:
        pixels = resize(pixels, (height, width))
    return (
        ((pixels / 255 - metadata["mean"]) / metadata["std"]).transpose(2, 0, 1).astype(np.float32)
    )


def resize(pixels, size):
    """uint8 (H, W, C) resized to `size` by bicubic interpolation (a = -0.75, no low-pass), as OpenCV and MindSpore do.

    Pillow's own smooths when it shrinks, which the network has not seen.
    """
    for axis, (old, new) in enumerate(zip(pixels.shape, size)):
        position = (np.arange(new) + 0.5) * old / new - 0.5
        first = np.floor(position).astype(int) - 1
        total = 0
        for tap in range(4):
            d = np.abs(position - first - tap)
            weight = np.where(
                d <= 1, (1.25 * d - 2.25) * d**2 + 1, ((-0.75 * d + 3.75) * d - 6) * d + 3
            )
            taken = np.take(pixels, np.clip(first + tap, 0, old - 1), axis)
            total = total + taken * weight.reshape([-1, *[1] * (2 - axis)])
        pixels = total
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


if __name__ == "__main__":
    main()
