"""The class folders in a folder, and the names of the images in them, kept in the user's cache.

A list that was kept is used as long as the times, sizes and numbers of all folders are those of
when it was made: whoever adds, removes or renames a file or a folder changes the times of the
folder that it is in. What is in the files themselves is looked at elsewhere.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from mindres.data.image_files import Walk
from mindres.data.kept_arrays import KeptArrays

VERSION = 1
# A folder that changed so many seconds before it was listed, or less, may change again and keep
# its time: clocks of file systems are that coarse.
SETTLED = 2


@dataclass
class ClassFolders:
    """The folders in `folder` by name, in order.

    images: the names of the images in each, relative to `folder`, each followed by a zero byte.
    unreadable: why a folder cannot be read.
    """

    folder: Path
    images: dict[str, bytes]
    unreadable: dict[str, str]


def class_folders(folder: Path) -> ClassFolders:
    """List the folders in `folder` that are not hidden, and the images below each of them."""
    kept = KeptArrays(folder, "tree", VERSION)
    if not _keeps_times(folder):
        return _listed(folder, kept)
    return _unchanged(folder, kept) or _listed(folder, kept)


def _keeps_times(folder: Path) -> bool:
    """Whether the disk tells when a folder has changed: mounted clouds and archives may not."""
    place = folder.resolve()
    mounts = [m for m in psutil.disk_partitions(all=True) if place.is_relative_to(m.mountpoint)]
    kind = max(mounts, key=lambda mount: len(mount.mountpoint)).fstype if mounts else ""
    return not kind.startswith("fuse")


def _unchanged(folder: Path, kept: KeptArrays) -> ClassFolders | None:
    """The list that was kept; None if there is none, or a folder has changed since."""
    saved = kept.load("folders", "states", "children", "images", "ends")
    if saved is None:
        return None
    folders, states, children, all_images, all_ends = saved
    try:
        if not np.array_equal(_states(map(os.stat, _split(folders))), states):
            return None
    except OSError:  # one has been removed
        return None
    names = all_images.tobytes()
    ends = all_ends.tolist()
    pieces = zip(_split(children), [0, *ends], ends)
    images = {os.fsdecode(child): names[start:end] for child, start, end in pieces}
    return ClassFolders(folder, images, {})


def _listed(folder: Path, kept: KeptArrays) -> ClassFolders:
    """A new list, which is kept if every folder could be read."""
    latest = time.time_ns() - SETTLED * 10**9
    walk = Walk()
    walk.folders[os.fspath(folder)] = os.stat(folder)
    images = {
        child.name: _joined(os.path.join(child.name, name) for name in walk.image_names(child))
        for child in sorted(folder.iterdir())
        if child.is_dir() and not child.name.startswith(".")
    }
    if not walk.unreadable:
        states = _states(walk.folders.values())
        states[states[:, :2].max(axis=1) >= latest] = -1  # never the same
        kept.save(
            folders=_bytes(_joined(walk.folders)),
            states=states,
            children=_bytes(_joined(images)),
            images=_bytes(b"".join(images.values())),
            ends=np.cumsum([len(names) for names in images.values()], dtype=np.int64),
        )
    paths = {os.fspath(folder / name): name for name in images}
    unreadable = {paths[path]: reason for path, reason in walk.unreadable.items() if path in paths}
    return ClassFolders(folder, images, unreadable)


def _states(stats: Iterable[os.stat_result]) -> NDArray:
    """What shows that a folder has changed, (M, 6)."""
    rows = [
        (s.st_mtime_ns, s.st_ctime_ns, s.st_size, s.st_nlink, s.st_dev, s.st_ino) for s in stats
    ]
    return np.array(rows, np.int64).reshape(-1, 6)


def _joined(names: Iterable[str]) -> bytes:
    return b"".join(os.fsencode(name) + b"\0" for name in names)


def _split(names: NDArray) -> list[bytes]:
    return names.tobytes().split(b"\0")[:-1]


def _bytes(content: bytes) -> NDArray:
    return np.frombuffer(content, np.uint8)
