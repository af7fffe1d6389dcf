"""A run's folder: its lock and its files."""

from __future__ import annotations

import os
from pathlib import Path

from mindres import files
from mindres.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


# What may differ between a run and the one that goes on with it.
RUN_ONLY = (
    "ckpt_dir",
    "dataset_path",
    "device_id",
    "device_target",
    "distributed",
    "download",
    "max_steps",
    "overwrite",
    "pretrained",
    "resume",
    "tensorboard",
)


def write_text(path: Path, text: str) -> None:
    with files.replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def hold(folder) -> int | None:
    """Keep other runs out of `folder`: a descriptor to close at the end, which the system does for a killed process.

    On a file system without locks nothing is kept out.
    """
    folder = files.make_folder(folder)
    if fcntl is None:
        return None
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise UserError(
            f"another run is training in {folder}: wait for its end, or name another --ckpt_dir"
        ) from None
    except OSError:
        pass
    return held
