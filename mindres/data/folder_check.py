"""Opens every image of a folder once, and remembers what was found in the user's cache."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mindspore.dataset import vision
from PIL import Image
from tqdm import tqdm

from mindres import files
from mindres.data import images
from mindres.errors import UserError

NAMED = 5  # broken images are named in a message up to this number, and in a file beyond it


@dataclass
class Found:
    """What was found in the images at these positions."""

    broken: dict[int, str] = field(default_factory=dict)  # why they cannot be read
    odd: set[int] = field(default_factory=set)  # MindSpore's decoder would read other pixels


def check_images(folder: Path, paths: list[Path]) -> Found:
    """What was found in the images `paths` of `folder`; from the cache, if they are unchanged."""
    stats = [(str(path), *_stat(path)) for path in paths]
    known = cache_file(folder, "images.json", stats)
    if known.exists():
        noted = json.loads(known.read_text())
    else:
        noted = _check_all(paths)
        with files.atomic_write(known) as part:
            part.write_text(json.dumps(noted))
    return Found({int(i): problem for i, problem in noted["broken"].items()}, set(noted["odd"]))


def cache_file(folder: Path, kind: str, content) -> Path:
    """A file in the user's cache for something made of `content`, of this kind and this folder."""
    key = hashlib.sha256(repr((str(folder.resolve()), content)).encode()).hexdigest()[:16]
    return files.cache_dir() / "datasets" / f"{key}.{kind}"


def broken_images(folder: Path, paths: list[Path], broken: dict[int, str]) -> str:
    """The broken images in words: their names where they are few, else the file that has them."""
    lines = [f"{images.shown(paths[i])} cannot be read: {broken[i]}" for i in sorted(broken)]
    if len(lines) <= NAMED:
        return "; ".join(lines)
    target = cache_file(folder, "broken.txt", lines)
    with files.atomic_write(target) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"{lines[0]} (and {len(lines) - 1} more, listed in {target})"


def _check_all(paths: list[Path]) -> dict:
    noted: dict = {"broken": {}, "odd": []}
    with ThreadPoolExecutor() as pool:
        results = tqdm(
            pool.map(_check, paths),
            total=len(paths),
            desc="checking images",
            unit="image",
            disable=None,
            leave=False,
        )
        for i, (problem, odd) in enumerate(results):
            if problem is not None:
                noted["broken"][str(i)] = problem
            elif odd:
                noted["odd"].append(i)
    return noted


def _check(path: Path) -> tuple[str | None, bool]:
    """What is wrong with an image (or None), and whether MindSpore would read other pixels."""
    try:
        content = path.read_bytes()
        if _decodes_alike(path, content):
            return None, False
        images.read_image(path)
        return None, True
    except OSError as error:
        return error.strerror or type(error).__name__, False
    except UserError as error:
        return str(error).partition("cannot be read as an image: ")[2] or str(error), False


def _decodes_alike(path: Path, content: bytes) -> bool:
    """Whether MindSpore's decoder reads an image as Pillow does; it is the stricter one."""
    try:
        with Image.open(path) as image:
            if not images.is_plain(image):
                return False
            # For JPEG an eighth of the size in each direction, which still reads it to its end.
            image.draft("RGB", (1, 1))
            image.load()
    except Exception:  # Pillow's decoders raise what the damaged field happens to cause
        return False
    # MindSpore makes room for what a piece of a PNG promises, gigabytes if need be.
    if content[:4] == b"\x89PNG" and not _pieces_fit(content):
        return False
    try:
        vision.Decode()(np.frombuffer(content, np.uint8))
    except RuntimeError:
        return False
    return True


def _pieces_fit(content: bytes) -> bool:
    """Whether the pieces of a PNG end within it."""
    position = 8
    while position + 12 <= len(content):
        if content[position + 4 : position + 8] == b"IEND":
            return True
        position += 12 + int.from_bytes(content[position : position + 4], "big")
    return False


def _stat(path: Path) -> tuple[int, int]:
    """Size and time of a file; of a link that leads nowhere, zeros."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns
