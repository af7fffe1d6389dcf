"""A run's folder: the names of its files, and the lock that keeps other runs out."""

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
    """The files that a run keeps in the folder `path`."""

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
        """The checkpoint from which the run goes on."""
        return self.path / "last.ckpt"

    @property
    def history(self) -> Path:
        """A line for each epoch."""
        return self.path / "history.csv"

    @property
    def config(self) -> Path:
        """What the run was asked for, and where it ran."""
        return self.path / "config.json"

    @property
    def report(self) -> Path:
        """The HTML report of the run."""
        return self.path / "report.html"

    def check(self) -> None:
        """Raise `UserError` where something that is no file has the name of a file of the run."""
        for path in (self.best, self.last, self.history, self.config):
            if path.exists() and not path.is_file():
                raise UserError(
                    f"{path} is no file, and a run writes one there: move it away, or name another "
                    "`ckpt_dir`"
                )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of the folder inside the block, and make it if it is not there.

        A folder that was made for the block and is empty at its end is removed. On a file system
        without locks nothing is kept out.
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
                os.close(held)  # releases the lock; the system does so for a killed process
            for folder in made:
                with contextlib.suppress(OSError):  # it is not empty
                    folder.rmdir()


def refuse_checkpoint_of_running_run(path: Path | str) -> None:
    """Raise `UserError` where a run is training that keeps the checkpoint `path`."""
    path = Path(path).resolve()
    kept = re.fullmatch(r"(best|last)(-[\w-]+)?\.ckpt", path.name)
    if kept and path.parent.is_dir():
        held = _lock(path.parent, "name another file to write")
        if held is not None:
            os.close(held)


def _missing(path: Path) -> list[Path]:
    """The folders that have to be made for `path`, the innermost first."""
    return [folder for folder in (path, *path.parents) if not folder.exists()]


def _lock(path: Path, remedy: str = "name another `ckpt_dir`") -> int | None:
    """Lock the folder for one run; close the returned descriptor to release it.

    None where there are no locks.
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
