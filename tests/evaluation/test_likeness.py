"""Images unlike the training's: the score, what a checkpoint notes, what predict says."""

import json

import numpy as np
import pytest
from a_run import network, write_run
from PIL import Image

import mindres
from mindres.cli.program import run_command
from mindres.data.digits import Digits
from mindres.errors import UserError
from mindres.evaluation.likeness import MOST_NUMBERS, likeness, likeness_of, note_likeness


def features(count, classes=3, width=16, seed=0):
    """Features around the directions of classes, and the classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    around = 3 * np.eye(width)[labels] + rng.normal(0, 0.5, (count, width))
    return around * rng.uniform(1, 5, (count, 1)), labels


def test_one_in_twenty_known_images_and_all_others_are_unlike():
    noted = json.loads(json.dumps(likeness_of(*features(400))))
    own = likeness(features(2000, seed=1)[0], noted["means"]) < noted["least"]
    assert 0.02 < own.mean() < 0.09
    others = np.abs(np.random.default_rng(2).normal(0, 2, (200, 16)))
    others[:, :3] = 0.1
    assert (likeness(others, noted["means"]) < noted["least"]).all()


def test_what_is_too_much_or_too_little_is_not_noted():
    assert likeness_of(*features(10)) is None
    wide = np.zeros((40, MOST_NUMBERS // 40 + 1), np.float32)
    assert likeness_of(wide, np.arange(40)) is None


def test_predict_says_none_of_these(tmp_path, capsys):
    net, data = network(), Digits(split="test", batch_size=64)
    path = write_run(tmp_path, net, data) / "best.ckpt"
    image = tmp_path / "noise.png"
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(noise).save(image)
    with pytest.raises(UserError, match="does not note"):
        mindres.predict(*mindres.load_model(path)[:1], str(image), none_of_these=True)
    before = mindres.load_model(path)[1]
    note_likeness(net, path, data)
    loaded, metadata = mindres.load_model(path)
    assert {**metadata, "likeness": None} == {**before, "likeness": None}
    assert np.shape(metadata.likeness["means"])[0] == 10 and net.metadata.likeness
    for name, parameter in net.parameters_dict().items():
        np.testing.assert_array_equal(loaded.parameters_dict()[name].asnumpy(), parameter.asnumpy())
    known = next(data.run().create_tuple_iterator(num_epochs=1, output_numpy=True))[0]
    assert mindres.predict(loaded, known, metadata, none_of_these=True).unlike.mean() < 0.2
    assert mindres.predict(loaded, known).unlike is None
    strict = {**metadata.likeness, "least": 1.0}
    mindres.save_checkpoint(net, path, **{**metadata, "likeness": strict})
    run_command(["predict", str(image), "--ckpt", str(path), "--none_of_these", "--json"])
    [answer] = json.loads(capsys.readouterr().out)["images"]
    assert answer["none_of_these"]
    run_command(["predict", str(image), "--ckpt", str(path), "--none_of_these"])
    assert "none of these; most like " in capsys.readouterr().out
    assert mindres.load_model(path, num_classes=4)[1].likeness is None
