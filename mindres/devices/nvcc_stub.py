"""A CUDA_HOME whose `bin/nvcc` prints the release that MindSpore asks for, and nothing else."""

from __future__ import annotations

import atexit
import functools
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from mindres.errors import UserError

NVCC = """#!/bin/sh
# Written by mindres: MindSpore asks $CUDA_HOME/bin/nvcc for its release to choose a GPU plug-in, and asks no more.
echo "Cuda compilation tools, release 11.6, V11.6.124"
"""


def nvcc_release(home) -> tuple[int, int] | None:
    """The CUDA release that `home`/bin/nvcc prints; None if it prints none."""
    try:
        answer = subprocess.run(
            [Path(home, "bin", "nvcc"), "--version"],
            capture_output=True,
            text=True,
            timeout=10,
            stdin=subprocess.DEVNULL,
            check=False,
        ).stdout
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    release = re.search(r"release (\d+)\.(\d+),", answer)
    return (int(release[1]), int(release[2])) if release else None


@functools.cache
def own_cuda_home() -> Path | None:
    """The stub's folder in the user's cache; None if no folder can be used.

    It is made elsewhere and renamed into place, so that several processes can do so at once. If
    the cache cannot be written to or run from, or others could have put a program there, a
    temporary folder is used and removed when the process ends.
    """
    # Imported here because it takes half of the time of `import mindres`.
    from mindres.files import cache_dir, make_folder

    try:
        cached = cache_dir() / "cuda-11.6"
        if not cached.exists():
            _install(make_folder(cached.parent), cached)
        if _private(cached) and nvcc_release(cached) == (11, 6):
            return cached
    except (OSError, UserError):
        pass
    try:
        folder = Path(tempfile.mkdtemp(prefix="mindres-cuda-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _install(folder, folder / "cuda-11.6")
    except OSError:
        return None
    return folder / "cuda-11.6" if nvcc_release(folder / "cuda-11.6") == (11, 6) else None


def _install(parent: Path, home: Path) -> None:
    part = Path(tempfile.mkdtemp(prefix=".cuda-", dir=parent))
    try:
        (part / "bin").mkdir(mode=0o700)
        (part / "bin" / "nvcc").write_text(NVCC, encoding="ascii")
        (part / "bin" / "nvcc").chmod(0o700)
        part.rename(home)
    except OSError:
        shutil.rmtree(part, ignore_errors=True)
        if not home.exists():
            raise


def _private(home: Path) -> bool:
    """Whether the stub in `home` is unchanged, and only this user can change it."""
    for path in (home, home / "bin", home / "bin" / "nvcc"):
        status = path.lstat()
        if status.st_uid != os.getuid() or status.st_mode & 0o022:
            return False
    return (home / "bin" / "nvcc").read_text(encoding="ascii", errors="replace") == NVCC
