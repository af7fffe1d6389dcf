"""The MindSpore dataset of a folder's images, each read as `read_image` reads it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
from mindspore import dataset as ds
from mindspore.dataset import vision

from mindres import files
from mindres.data import images
from mindres.errors import UserError

# The first bytes of a file that stands in for an image. MindSpore lists only files that begin like
# images: this one like a BMP.
MARK = b"BM mindres reads this image: "


def folder_source(labelled: list[tuple[Path, int]], odd, sampler, workers: int):
    """A dataset of uint8 images (H, W, 3) and labels.

    MindSpore's decoder reads the files. For those in `odd`, which it would read differently or not
    at all, the manifest names a file in the cache that names the image, and Pillow reads that.

    Args:
        labelled: image files and their labels.
        odd: a set of some of these files.
        sampler: a MindSpore sampler over the files.
        workers: threads of each step.
    """
    any_odd = any(path in odd for path, _ in labelled)
    lines = [_line(_stand_in(path) if path in odd else path, label) for path, label in labelled]
    manifest = _cache_file("manifest", "\n".join(lines).encode())
    with files.atomic_write(manifest) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    names = {str(label): label for _, label in labelled}
    data = ds.ManifestDataset(
        str(manifest),
        "train",
        class_indexing=names,
        decode=not any_odd,
        sampler=sampler,
        num_parallel_workers=workers,
    )
    if any_odd:
        data = data.map(decodable, "image", num_parallel_workers=workers)
        data = data.map(vision.Decode(), "image", num_parallel_workers=workers)
    return data


def decodable(content: np.ndarray) -> np.ndarray:
    """The bytes of an image file that MindSpore decodes: those given, or a BMP for a stand-in."""
    if content[: len(MARK)].tobytes() != MARK:
        return content
    path = os.fsdecode(content[len(MARK) :].tobytes())
    return images.as_bmp(images.read_image(path))


def _stand_in(path: Path) -> Path:
    """A file in the user's cache that names the image `path`."""
    content = MARK + os.fsencode(path.absolute())
    target = _cache_file("image", content)
    if not target.exists():
        with files.atomic_write(target) as part:
            part.write_bytes(content)
    return target


def _cache_file(kind: str, content: bytes) -> Path:
    key = hashlib.sha256(content).hexdigest()[:16]
    return files.cache_dir() / "datasets" / f"{key}.{kind}"


def _line(path: Path, label: int) -> str:
    """What MindSpore's manifest says of one image."""
    annotation = [{"name": str(label)}]
    return json.dumps({"source": _in_utf8(path), "usage": "train", "annotation": annotation})


def _in_utf8(path: Path) -> str:
    """The name of a file as MindSpore takes it, in whatever locale this process runs."""
    try:
        return os.fsencode(path.absolute()).decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"MindSpore reads no file whose name is not UTF-8: rename {path}") from None
