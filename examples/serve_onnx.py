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
    unreadable = False
    for start in range(0, len(args.images), args.batch_size):
        names, inputs = [], []
        for name in args.images[start : start + args.batch_size]:
            try:
                inputs.append(prepare(read(name), metadata))
                names.append(name)
            except (OSError, SyntaxError, ValueError) as error:
                complain(f"{name} cannot be read as an image: {error}")
                unreadable = True
        if names:
            (logits,) = session.run(["logits"], {"input": np.stack(inputs)})
            for name, probabilities in zip(names, softmax(logits)):
                print(f"{name}: {answer(probabilities, metadata.get('classes'), args.top_k)}")
    sys.exit(2 if unreadable else 0)


def answer(probabilities, classes, top_k):
    best = np.argsort(-probabilities, kind="stable")[:top_k]
    return ", ".join(f"{classes[i] if classes else i} {probabilities[i]:.1%}" for i in best)


def complain(message):
    print("mindres: error:", *str(message).split(), file=sys.stderr)


def fail(message):
    """End with one line and the status of a user's mistake."""
    complain(message)
    sys.exit(2)


def read(name):
    """An image file as RGB, the right way up, what is transparent as white, as in training."""
    with Image.open(name) as image:
        image = ImageOps.exif_transpose(image)
        if image.mode == "I" or image.mode.startswith("I;16"):  # 16 bits a value
            eight_bits = np.rint(np.clip(np.asarray(image), 0, 65535) / 257)
            image = Image.fromarray(eight_bits.astype(np.uint8))
        if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return image.convert("RGB")


def prepare(image, metadata):
    """What the network takes for an RGB image: float32 (C, H, W), prepared as in training."""
    lacking = {"input_size", "mean", "std"} - set(metadata)
    if lacking:
        told = ", ".join(sorted(lacking))
        fail(f"the network's file does not say how images are prepared: {told} missing")
    height, width = metadata["input_size"]
    pixels = np.asarray(image.convert("L") if len(metadata["mean"]) == 1 else image)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    fraction = metadata.get("crop_fraction", 1)
    if metadata.get("fit", "crop" if fraction < 1 else "stretch") == "crop":
        edge = round(min(height, width) / fraction)  # of the shorter side
        sides = np.float32(pixels.shape[:2])  # MindSpore's number type, which decides how it rounds
        pixels = resize(pixels, [int(side / sides.min() * edge) for side in sides])
        top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
        pixels = pixels[top : top + height, left : left + width]
    else:
        pixels = resize(pixels, (height, width))
    return (
        ((pixels / 255 - metadata["mean"]) / metadata["std"]).transpose(2, 0, 1).astype(np.float32)
    )


def resize(pixels, size):
    """uint8 (H, W, C) resized to `size` by bicubic interpolation (a = -0.75, no low-pass).

    OpenCV and MindSpore do so. Pillow smooths when it shrinks, which the network has not seen.
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
