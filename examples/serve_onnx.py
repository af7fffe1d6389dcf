"""Classify images with a file of `mindres export --end_to_end`, without MindSpore and mindres.

It needs only: pip install onnxruntime numpy pillow
example:
  python serve_onnx.py pets.onnx photo.jpg another.png
"""

import argparse
import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def main():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("network", help="file of mindres export --end_to_end")
    parser.add_argument("images", nargs="+", help="image files")
    parser.error = lambda message: sys.exit(complain(message))
    args = parser.parse_args()
    try:
        session = onnxruntime.InferenceSession(args.network, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises several classes
        sys.exit(complain(f"{args.network} cannot be read as an ONNX file: {error}"))
    if session.get_inputs()[0].name != "image":
        sys.exit(complain(f"{args.network} was exported without --end_to_end"))
    classes = json.loads(session.get_modelmeta().custom_metadata_map.get("classes", "null"))
    status = 0
    for name in args.images:
        try:
            (shares,) = session.run(["probabilities"], {"image": read(name)})
        except (OSError, SyntaxError, ValueError) as error:
            status = complain(f"{name} cannot be read as an image: {error}")
            continue
        told = [f"{classes[i] if classes else i} {shares[i]:.1%}" for i in np.argsort(-shares)[:3]]
        print(f"{name}: {', '.join(told)}")
    sys.exit(status)


def read(name):
    """Read an image as uint8 RGB (H, W, 3), upright, with transparency as white."""
    with Image.open(name) as image:
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):  # 16 bits per value
            image = Image.fromarray(np.rint(np.clip(image, 0, 65535) / 257).astype("uint8"))
        if "A" in image.mode.upper() or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.asarray(image.convert("RGB"))


def complain(message):
    return print("mindres: error:", *message.split(), file=sys.stderr) or 2


if __name__ == "__main__":
    main()
