"""No image is prepared in vain, and a frozen backbone of random weights is refused."""

import mindspore
import numpy as np
import pytest
from mindspore import dataset as ds

import mindres
from mindres.cli.training_flags import training_parser
from mindres.cli.training_options import load_pretrained
from mindres.errors import UserError


def test_no_image_is_prepared_that_is_not_used(monkeypatch):
    """MindSpore's pipeline prepares images ahead, for as many epochs as it is asked for: one at a time."""
    read = []

    def images():
        for i in range(64):
            read.append(i)
            yield np.full((1, 32, 32), i / 64, np.float32), np.int32(i % 10)

    data = ds.GeneratorDataset(images, ["image", "label"], shuffle=False).batch(16)
    val = ds.NumpySlicesDataset(
        (np.zeros((16, 1, 32, 32), np.float32), np.arange(16, dtype=np.int32) % 10),
        ["image", "label"],
    ).batch(16)
    used = []
    monkeypatch.setattr(
        "mindres.training.assembly.FiniteLoss",
        lambda state: type(
            "Reads",
            (mindspore.train.Callback,),
            {"on_train_epoch_end": lambda self, context: used.append(len(read))},
        )(),
    )
    size = len(read)
    mindres.train(mindres.lenet5(10), data, val, epochs=5, lr=0.01, ckpt_dir=None)
    counts = np.diff([size, *used])
    # The first count has what MindSpore reads to learn the columns.
    assert counts[1:].tolist() == [64] * 4 and counts[0] <= 2 * 64


def test_a_frozen_backbone_without_weights_is_refused(tmp_path, capsys):
    def load(pretrained, freeze):
        flags = ["--freeze", freeze, "--ckpt_dir", str(tmp_path / "run")]
        args = training_parser("trains", "train.py").parse_args(flags)
        args.pretrained = pretrained
        load_pretrained(mindres.convnet(10), args)

    load(None, "none")
    assert "training from random weights" in capsys.readouterr().out
    with pytest.raises(UserError, match="`freeze=backbone`"):
        load(None, "backbone")
    load("false", "backbone")
