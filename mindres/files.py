"""Atomic writes, the cache folder, locks, and the reasons of file errors."""

from __future__ import annotations

import glob
import os
import platform
import ssl
import stat
import tempfile
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mindres import settings
from mindres.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def cache_dir() -> Path:
    """The user's cache: `$MINDRES_CACHE`, `$XDG_CACHE_HOME/mindres` or `~/.cache/mindres`."""
    if folder := settings.get("MINDRES_CACHE"):
        return Path(folder)
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        raise UserError(
            "there is no home folder for the cache: set MINDRES_CACHE to a folder"
        ) from None
    return Path(base) / "mindres"


def make_folder(path: Path | str) -> Path:
    """Create `path` and its parents.

    Raises:
        UserError: the folder cannot be created, or cannot be written to.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        kind = FolderRemoved if isinstance(error, FileNotFoundError) else UserError
        raise kind(
            f"cannot write to the folder {path}: {reason(error)}; {_another(path)}"
        ) from None
    return path


def _another(folder: Path) -> str:
    """What to do if `folder` cannot be written to."""
    cache = cache_dir()
    if cache == folder or cache in folder.parents:
        return "set MINDRES_CACHE to a folder that can be written to"
    return "name another one"


def check_can_replace(path: Path | str, follow_symlinks: bool = True) -> None:
    """Check that `atomic_write` may put a file at `path`: nothing is there, or a regular file.

    Raises:
        UserError: a folder, a device, a pipe or a socket is there.
    """
    try:
        mode = os.stat(path, follow_symlinks=follow_symlinks).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise UserError(f"cannot write {path}: {reason(error)}; name another file") from None
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        kind = KINDS.get(stat.S_IFMT(mode), "no regular file")
        raise UserError(f"cannot write {path}: it is {kind}, not a file; name another file")


KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


@contextmanager
def atomic_write(path: Path | str, follow_symlinks: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which replaces `path` if the block succeeds.

    Whenever the process dies, `path` is either the old file or the new one, complete. If `path` is
    a symbolic link, its target is replaced; without `follow_symlinks` the link itself is.

    Raises:
        UserError: `path` is not a regular file, the folder cannot be written to, or the disk is
            full. `path` is then unchanged.
    """
    check_can_replace(path, follow_symlinks)
    shown = path = Path(path)
    if follow_symlinks and path.is_symlink():
        path = Path(os.path.realpath(path))
    make_folder(path.parent)
    stem = f".{path.name[:100]}.{platform.node()[:40]}-"
    _remove_leftovers(path.parent)
    try:
        handle, name = tempfile.mkstemp(
            prefix=f"{stem}{os.getpid()}-", suffix=".part" + path.suffix, dir=path.parent
        )
        os.close(handle)
        try:
            yield Path(name)
            check_can_replace(path, follow_symlinks)
            _publish(Path(name), path)
        finally:
            # The block may have left temporary files of its own beside this one.
            stem = glob.escape(Path(name).name.removesuffix(path.suffix))
            for left in path.parent.glob(f"{stem}*"):
                left.unlink(missing_ok=True)
    except OSError as error:
        kind = FolderRemoved if isinstance(error, FileNotFoundError) else UserError
        raise kind(f"cannot write {shown}: {reason(error)}; what was there is unchanged") from None


class FolderRemoved(UserError):
    """The folder of a file was removed while the file was written."""


def write_despite_removal(write: Callable[[], None]) -> None:
    """Call `write`, and once more where somebody removes the folder in which it writes."""
    try:
        write()
    except FolderRemoved:
        write()


def _publish(temporary: Path, path: Path) -> None:
    """Rename `temporary` to `path` once all of it is on the disk."""
    # mkstemp makes private files; the finished one gets the permissions that the umask allows.
    os.chmod(temporary, 0o666 & ~_umask())
    with open(temporary, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


@contextmanager
def locked(folder: Path | str) -> Iterator[None]:
    """Let one process at a time into the block; without file locks this does nothing."""
    held = os.open(make_folder(folder), os.O_RDONLY)
    try:
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _remove_leftovers(folder: Path) -> None:
    """Remove the partial files that killed processes of this machine left in `folder`."""
    here = f".{platform.node()[:40]}-"
    for left in folder.glob(f".*{glob.escape(here)}*.part*"):
        owner = left.name.rpartition(here)[2].partition("-")[0]
        if owner.isdigit() and not _alive(int(owner)):
            left.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    if os.name != "posix":  # on Windows, os.kill with signal 0 would end the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def reason(error) -> str:
    """What went wrong, in the words of the operating system or the server."""
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    cause = getattr(error, "reason", None) or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate cannot be verified ({cause.verify_message}), so it may be "
            "another server"
        )
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
