"""Where copies of images are kept: in memory, on disk or nowhere, within a bound."""

from __future__ import annotations

import hashlib
import os
from functools import partial
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from mindres import files
from mindres.data.copy_stores import InMemory, OnDisk
from mindres.data.image_copies import MARGIN, ImageCopies, copy_size, make_copy
from mindres.data.photo import Photo
from mindres.devices import workers
from mindres.errors import UserError

VERSION = 1  # one more whenever copies are made in another way
SAMPLED = 100  # images whose headers say how large the copies will be
SHARE = {"auto": 0.5, "ram": 0.9, "disk": 0.9}  # of what is free, that copies may take
VALIDATION = 0.1  # of that, for validation images beside those of training
LIMITS = {  # of a container's memory: the files that say how much it may have, and has
    "/sys/fs/cgroup/memory.max": "/sys/fs/cgroup/memory.current",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "/sys/fs/cgroup/memory/memory.usage_in_bytes",
}


def copies_of(data) -> ImageCopies | None:
    """The copies that the images of an `ImageFolder` are read from; None where files are read."""
    if data.cache == "none" or data.transform:  # which takes the whole image
        return None
    if data._copies is None:
        data._copies = open_copies(data)
    return data._copies


def open_copies(data) -> ImageCopies:
    """The copies of the images of an `ImageFolder`, kept where its `cache` says.

    A line says where they are kept. Several workers that train together read whole copies and make
    none: each would make all.
    """
    labelled = data.images
    make = partial(make_copy, size=data.resize) if data.augment else partial(_fitted, data)
    path = _path(data)
    if path and data.cache != "ram" and (whole := OnDisk.whole(path, len(labelled))):
        os.utime(path)  # the copies used last are the last to be removed
        workers.say(f"{_kind(data)} images are read from their copies in {path}")
        return ImageCopies(labelled, make, whole)
    wanted = np.ones(len(labelled), bool)
    if (indices := data.indices()) is not None:
        wanted[:] = False
        wanted[indices] = True
    needed = _bytes_of_copies(data, np.flatnonzero(wanted))
    store, most = _store(data, path, needed) if data.num_shards is None else (None, 0.0)
    if store is None:
        return ImageCopies(labelled, make)
    few = wanted.sum() % data.batch_size if data.drop_remainder else 0
    return ImageCopies(labelled, make, store, wanted, most, few)


def _fitted(data, photo: Photo) -> np.ndarray:
    """An image as `data` gives it to the network, before it is normalised."""
    pixels = photo.pixels()
    for operation in data.resizing():
        pixels = operation(pixels)
    return pixels


def _kind(data) -> str:
    return "training" if data.augment else "validation"


def _store(data, path: Path | None, needed: float) -> tuple[InMemory | OnDisk | None, float]:
    """Where copies of so many bytes are kept, and how many bytes may be."""
    share = SHARE[data.cache] * (1 if data.augment else VALIDATION)
    intro = f"copies of the {_kind(data)} images, about {needed / 1e9:.1f} GB, "
    memory = share * free_memory() if data.cache != "disk" else 0
    if needed <= memory:
        workers.say(f"{intro}are kept in memory during the first epoch")
        return InMemory(len(data.images)), memory
    if path and data.cache != "ram" and hasattr(os, "pread"):  # which Windows does not have
        try:
            disk = share * _free_disk(path.parent, needed / share)
            if needed <= disk:
                store = OnDisk(path, len(data.images))
                workers.say(f"{intro}are kept in {path.parent} during the first epoch")
                return store, disk
        except UserError as error:
            workers.warn(f"{intro}are not kept: {error}")
            return None, 0
    if data.cache == "disk" and not path:
        workers.warn(f"{intro}are not kept: there is no home folder, set MINDRES_CACHE to a folder")
        return None, 0
    place = {"ram": "memory", "disk": "disk of the cache"}.get(data.cache, "memory and disk")
    workers.warn(f"{intro}are not kept: more than {share:.0%} of the free {place}")
    return None, 0


def _path(data) -> Path | None:
    """The file of the copies: another one where an image, its time or the size is another.

    None if there is no home folder.
    """
    labelled = data.images
    how = MARGIN if data.augment else data.crops and data.crop_fraction
    key = hashlib.sha256(repr((VERSION, how, data.resize, labelled.digest())).encode())
    if (indices := data.indices()) is not None:
        key.update(indices.tobytes())
    try:
        return files.cache_dir() / "images" / f"{key.hexdigest()[:32]}.copies"
    except UserError:
        return None


def _bytes_of_copies(data, numbers: np.ndarray) -> float:
    """About how many bytes the copies of these images take, by a sample of them."""
    sample = numbers[:: -(-len(numbers) // SAMPLED)]
    sizes = [_copy_size(data.images.path(i), data.resize) for i in sample]
    return 3.0 * len(numbers) * float(np.mean([height * width for height, width in sizes]))


def _copy_size(path: bytes, size: tuple[int, int]) -> tuple[int, int]:
    try:
        with Image.open(os.fsdecode(path)) as image:  # which reads no more than the header
            return copy_size(image.height, image.width, size)
    except Exception:  # a broken image: whoever reads it says so
        return size


def free_memory() -> int:
    """Bytes of memory that this process may still take, in a container its share."""
    free = psutil.virtual_memory().available
    for limit, used in LIMITS.items():
        try:
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # there is none
            continue
    return free


def _free_disk(folder: Path, needed: float) -> int:
    """Bytes free for copies; where fewer than `needed`, those used longest ago are removed."""
    files.make_folder(folder)
    older = sorted(folder.glob("[!.]*.copies"), key=lambda path: path.stat().st_mtime, reverse=True)
    while (free := psutil.disk_usage(str(folder)).free) < needed and older:
        older.pop().unlink(missing_ok=True)
    return free
