"""Checkpoint files that cannot be read or written: one line, and nothing half written."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

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


def test_the_ending_chooses_the_format(tmp_path):
    with pytest.raises(UserError, match=r"name a file that ends in \.ckpt or \.safetensors"):
        checkpoint.write_checkpoint(ARRAYS, tmp_path / "best.h5", Metadata())
    assert not list(tmp_path.iterdir())
