"""The folder of a run: the names of its files, and a lock against other runs."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mindres import files
from mindres.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class RunFolder:
    """The folder `path` of a run, and the paths of the files in it."""

    def __init__(self, path: Path | str):
        self.path = Path(path)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def best(self) -> Path:
        """The checkpoint with the best validation metric."""
        return self.path / "best.ckpt"

    @property
    def last(self) -> Path:
        """The checkpoint to resume from."""
        return self.path / "last.ckpt"

    @property
    def history(self) -> Path:
        """The table of epochs."""
        return self.path / "history.csv"

    @property
    def config(self) -> Path:
        """The settings of the run."""
        return self.path / "config.json"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.path / "report.html"

    def check(self) -> None:
        """Raise `UserError` if something other than a file has the name of one of the run's."""
        for path in (self.best, self.last, self.history, self.config):
            if path.exists() and not path.is_file():
                raise UserError(
                    f"{path} is not a file, and a run writes one there: move it away, or name "
                    "another `ckpt_dir`"
                )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder against other runs in this block, and create it if it is missing.

        Folders that were created for the block and are empty at its end are removed. On a file
        system without locks, other runs are not kept out.
        """
        made = _missing(self.path)
        files.make_folder(self.path)
        held = None
        try:
            held = _lock(self.path)
            self.check()
            yield
        finally:
            if held is not None:
                os.close(held)  # releases the lock, as the system does for a killed process
            for folder in made:
                with contextlib.suppress(OSError):  # it is not empty
                    folder.rmdir()


def refuse_checkpoint_of_running_run(path: Path | str) -> None:
    """Raise `UserError` if `path` is a checkpoint of a run that is training."""
    path = Path(path).resolve()
    kept = re.fullmatch(r"(best|last)(-[\w-]+)?\.ckpt", path.name)
    if kept and path.parent.is_dir():
        held = _lock(path.parent, "name another file to write")
        if held is not None:
            os.close(held)


def _missing(path: Path) -> list[Path]:
    """The folders that do not exist yet among `path` and its parents, innermost first."""
    return [folder for folder in (path, *path.parents) if not folder.exists()]


def _lock(path: Path, remedy: str = "name another `ckpt_dir`") -> int | None:
    """Lock the folder for one run; close the returned descriptor to release the lock.

    Returns None on systems without locks.
    """
    if fcntl is None:
        return None
    held = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise UserError(
            f"another run is training in {path}: wait for its end, or {remedy}"
        ) from None
    except OSError:
        pass
    return held
