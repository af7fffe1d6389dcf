"""Finds the broken images of a folder, and remembers the whole ones in the user's cache.

The beginning and the end of a file show whether it is truncated, empty or not an image. Other
damage is found only when the image is decoded; to leave such images out, all are decoded first.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mindres import files
from mindres.data import images
from mindres.data.checked_images import LOOKS_WHOLE, READ_WHOLE, CheckedImages
from mindres.data.labelled_images import LabelledImages
from mindres.errors import UserError

NAMED = 5  # broken images are named in a message up to this number, and in a file beyond it
AT_ONCE = 1000  # files per task of a thread
PNG = b"\x89PNG\r\n\x1a\n"
PNG_END = b"IEND\xaeB`\x82"


def leave_broken_out(labelled: LabelledImages, skip_broken: bool) -> None:
    """Keep the images that can be read; `UserError` for others, unless these are skipped."""
    count = len(labelled)
    broken = find_broken(labelled, read_all=skip_broken)
    if not broken:
        return
    told = broken_images(labelled, broken)
    if not skip_broken:
        raise UserError(f"{told}; delete it, or leave broken images out with `skip_broken`")
    counted = "1 broken image" if len(broken) == 1 else f"{len(broken)} broken images"
    warn_once(f"left out of {count} images: {counted}: {told}")
    labelled.keep(~np.isin(np.arange(count), list(broken)))


def find_broken(labelled: LabelledImages, read_all: bool) -> dict[int, str]:
    """The broken images by number, with the reasons why they cannot be read.

    Files that were found whole before are not opened again unless size or time has changed.

    Args:
        labelled: the images.
        read_all: decode every image, instead of checking its beginning and its end.
    """
    checked = CheckedImages(labelled)
    numbers = checked.less_than(READ_WHOLE if read_all else LOOKS_WHOLE)
    pieces = [numbers[i : i + AT_ONCE] for i in range(0, len(numbers), AT_ONCE)]
    broken: dict[int, str] = {}
    bar = tqdm(total=len(numbers), desc="checking images", unit="image", disable=None, leave=False)
    with bar, ThreadPoolExecutor() as pool:
        for piece, problems in zip(
            pieces, pool.map(lambda p: _look(labelled, p, read_all), pieces)
        ):
            broken |= problems
            bar.update(len(piece))
    if len(numbers) > len(broken):
        whole = numbers[~np.isin(numbers, list(broken))]
        checked.note(whole, READ_WHOLE if read_all else LOOKS_WHOLE)
    return broken


def _look(labelled: LabelledImages, numbers: Iterable[int], read_all: bool) -> dict[int, str]:
    problems = {}
    for i in numbers:
        path = labelled.path(i)
        if (read_all or not looks_whole(path)) and (problem := what_is_wrong(path)):
            problems[int(i)] = problem
    return problems


def looks_whole(path: bytes) -> bool:
    """Whether a file begins and ends like a whole image; False if it must be decoded to tell."""
    try:
        opened = os.open(path, os.O_RDONLY)
        try:
            head = os.read(opened, 32)
            size = os.lseek(opened, 0, os.SEEK_END)
            os.lseek(opened, max(0, size - 8), os.SEEK_SET)
            tail = os.read(opened, 8)
        finally:
            os.close(opened)
    except OSError:
        return False
    if head[:3] == b"\xff\xd8\xff":
        return tail.endswith(images.JPEG_END)
    if head[:8] == PNG:
        width, height = (int.from_bytes(head[i : i + 4], "big") for i in (16, 20))
        return tail == PNG_END and width * height <= images.LARGEST_IMAGE
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return int.from_bytes(head[4:8], "little") + 8 == size
    return False


def what_is_wrong(path: bytes) -> str | None:
    """Why an image cannot be read; None if it can."""
    try:
        images.read_image(os.fsdecode(path))
    except UserError as error:
        return str(error).partition("cannot be read as an image: ")[2] or str(error)
    return None


def broken_images(labelled: LabelledImages, broken: dict[int, str]) -> str:
    """A description of the broken images: all if they are few, else a file that lists them."""
    lines = [
        f"{images.shown(labelled.path(i))} cannot be read: {broken[i]}" for i in sorted(broken)
    ]
    if len(lines) <= NAMED:
        return "; ".join(lines)
    key = hashlib.sha256(repr((str(labelled.root.resolve()), lines)).encode()).hexdigest()[:16]
    target: Path = files.cache_dir() / "datasets" / f"{key}.broken.txt"
    with files.atomic_write(target) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"{lines[0]} (and {len(lines) - 1} more, listed in {target})"


@functools.cache
def warn_once(sentence: str) -> None:
    """Say it once, for all the splits that are opened; standard output may be a JSON document."""
    print(f"mindres: warning: {sentence}", file=sys.stderr, flush=True)
