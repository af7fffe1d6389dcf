"""Checkpoint files that cannot be read or written: one line, and nothing half written."""

import shutil
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from mindres import files
from mindres.errors import UserError
from mindres.weights.formats import checkpoint
from mindres.weights.metadata import Metadata

ARRAYS = {"head.dense.bias": np.zeros(1000, np.float32)}


def test_a_file_that_is_not_there_or_cannot_be_read(tmp_path, monkeypatch):
    path = tmp_path / "best.ckpt"
    with pytest.raises(UserError, match=r"there is no checkpoint .*best\.ckpt"):
        checkpoint.read_checkpoint(path)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    path.touch()
    monkeypatch.setattr(checkpoint, "open", refuse, raising=False)
    with pytest.raises(UserError, match=r"cannot read .*best\.ckpt: Permission denied"):
        checkpoint.read_checkpoint(path)


@pytest.mark.parametrize("name", ["best.ckpt", "best.safetensors"])
def test_a_disk_without_room_is_noticed_before_anything_is_written(tmp_path, monkeypatch, name):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4000))
    with pytest.raises(UserError, match="No space left on device"):
        checkpoint.write_checkpoint(ARRAYS, tmp_path / name, Metadata())
    assert not list(tmp_path.iterdir())


def test_a_row_is_a_format_which_the_ending_chooses(tmp_path, monkeypatch):
    format = ModuleType("mindres.weights.formats.lines")
    format.recognizes = lambda start: start.startswith(b"lines")
    format.read = lambda path: ({"read": path.read_bytes()}, Metadata())
    format.write = lambda arrays, metadata, path: path.write_text(f"lines {sorted(arrays)}")
    monkeypatch.setitem(sys.modules, format.__name__, format)
    monkeypatch.setattr(checkpoint, "FORMATS", {"lines": ".lines", **checkpoint.FORMATS})
    written = checkpoint.write_checkpoint(ARRAYS, tmp_path / "best.lines", Metadata())
    assert checkpoint.read_checkpoint(written)[0]["read"] == b"lines ['head.dense.bias']"
    with pytest.raises(UserError, match=r"ends in \.ckpt or \.lines or \.safetensors"):
        checkpoint.write_checkpoint(ARRAYS, tmp_path / "best.h5", Metadata())
    assert list(tmp_path.iterdir()) == [written]


REMOVALS = {
    "before the temporary file": (files, "_remove_leftovers"),
    "before it is written": (checkpoint, "_reserve"),
    "before it is renamed": (files, "_publish"),
}


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("module", "function"), REMOVALS.values(), ids=REMOVALS)
def test_a_folder_removed_while_a_checkpoint_is_written(
    tmp_path, monkeypatch, module, function, times
):
    """Removed once, it is made again; removed a second time, it is an error in one line."""
    folder, removed, original = tmp_path / "run", [], getattr(module, function)

    def remove_first(*arguments):
        if len(removed) < times:
            removed.append(shutil.rmtree(folder))
        return original(*arguments)

    monkeypatch.setattr(module, function, remove_first)
    path = folder / "last.ckpt"
    if times == 1:
        checkpoint.write_checkpoint(ARRAYS, path, Metadata())
        assert checkpoint.read_checkpoint(path)[0].keys() == ARRAYS.keys()
        assert list(folder.iterdir()) == [path]
    else:
        with pytest.raises(UserError, match=r"cannot write .*last\.ckpt: No such file") as error:
            checkpoint.write_checkpoint(ARRAYS, path, Metadata())
        assert "\n" not in str(error.value) and not folder.exists()
    assert len(removed) == times
