"""Copies of training images, on which nothing was chosen, among 10,000 test images."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
from PIL import Image

COPIES = {
    "re-encoded, quality 60": {"quality": 60},
    "twice the size": {"side": 64, "quality": 90},
    "three quarters of the size": {"side": 24, "quality": 90},
    "mirrored": {"mirrored": True},
    "mirrored, half as large again": {"side": 48, "quality": 80, "mirrored": True},
}
TEXT = """Of 1,000 training images among these and 10,000 test images; the limits were chosen on copies of test images. Found were
also {own} pairs among the {count:,} images themselves, the same car twice and a deer and its mirror image, and {false} false
pairs.

| copies | found | processor time |
| --- | --- | --- |
{rows}"""


def encoded(pixels, side=None, quality=75, mirrored=False):
    """A copy of an image as JPEG."""
    picture = Image.fromarray(pixels[:, ::-1] if mirrored else pixels)
    if side:
        picture = picture.resize((side, side), Image.Resampling.BICUBIC)
    picture.save(buffer := io.BytesIO(), "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def read(files) -> list:
    return [np.asarray(Image.open(path).convert("RGB")) for path in files]


def section(args, count=1000) -> str:
    """The table of copies, and how many pairs are found among the images themselves."""
    from mindres.check.duplicates import find_copies
    from mindres.check.measures import measures_of

    folder: Path = args.cifar10
    test = read(sorted(folder.glob("test/*/*.jpg")))
    train = read(sorted(folder.glob("train/*/*.jpg"))[::40][:count])
    sound = test + train
    rows, false = [], 0
    for name, options in COPIES.items():
        started = time.process_time()
        found = find_copies(measures_of([*sound, *(encoded(each, **options) for each in train)]))
        seconds = time.process_time() - started
        pairs = {tuple(pair) for pair in found.pairs.tolist()}
        wanted = {(len(test) + i, len(sound) + i) for i in range(len(train))}
        own = {pair for pair in pairs if pair[1] < len(sound)}
        false += len(pairs - wanted - own)
        print(name, len(pairs & wanted), len(pairs - wanted - own), sorted(own), flush=True)
        rows.append(f"| {name} | {len(pairs & wanted) / len(train):.1%} | {seconds:.0f} s |")
    return TEXT.format(own=len(own), count=len(sound), false=false or "no", rows="\n".join(rows))
