"""The data of a checkpoint is opened as its training held it out, left it out and numbered it."""

import json

import numpy as np
import pytest
from PIL import Image

from mindres.cli.training_flags import training_parser
from mindres.cli.training_options import image_options
from mindres.data.as_trained import describe, preprocess
from mindres.data.folder import ImageFolder
from mindres.data.images import read_image
from mindres.errors import UserError
from mindres.evaluation.trained_data import open_data
from mindres.runs.config import recorded_split_rule
from mindres.training.recipes import make_recipe


@pytest.fixture
def photos(tmp_path):
    for name in ("ant", "bee", "cow"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(10):
            Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


def test_a_checkpoint_of_0_1_0_has_the_validation_images_of_then(photos):
    data = ImageFolder(photos, "val", resize=8)
    recorded = {**describe(data)}
    assert recorded["split_rule"] == "path" and recorded["dataset"] == "folder"
    again = open_data(recorded, path=photos, split="val")
    np.testing.assert_array_equal(again.indices(), data.indices())
    old = {name: recorded[name] for name in recorded if name not in ("split_rule", "skip_broken")}
    then = open_data({**old, "dataset": "imagefolder"}, path=photos, split="test")
    wanted = ImageFolder(photos, "val", resize=8, split_rule="order").indices()
    np.testing.assert_array_equal(then.indices(), wanted)
    # Images of another data set than the checkpoint's are held out as they are today.
    other = open_data({**old, "dataset": "mnist"}, "folder", photos, "val")
    np.testing.assert_array_equal(other.indices(), data.indices())


def test_broken_images_that_training_left_out_are_left_out(photos):
    (photos / "ant" / "3.png").write_bytes(b"")
    recorded = describe(ImageFolder(photos, "train", resize=8, skip_broken=True))
    for split in ("train", "val"):
        data = open_data(recorded, path=photos, split=split)
        same = ImageFolder(photos, split, resize=8, skip_broken=True)
        assert data.image_names() == same.image_names()
    with pytest.raises(UserError, match=r"3\.png cannot be read"):
        open_data({**recorded, "skip_broken": False}, path=photos, split="val")


def test_labels_are_those_of_the_checkpoints_classes(photos):
    """A folder without some of the classes, such as new photographs, keeps the numbers of the rest."""
    recorded = {**describe(ImageFolder(photos, "train", resize=8)), "split_rule": "path"}
    for path in (photos / "bee").iterdir():
        path.unlink()
    data = open_data(recorded, path=photos, split="val")
    assert data.classes == ("ant", "bee", "cow") and set(data.labels()) == {0, 2}


@pytest.mark.parametrize(
    "recorded",
    [
        {"dataset": "cifar10"},  # built-in data sets stretch
        {"dataset": "folder"},
        {"dataset": "folder", "crop_fraction": 0.5},
        {"crop_fraction": 1.0},
        {"crop_fraction": 1.0, "fit": "crop"},
        {"crop_fraction": 0.8, "fit": "stretch"},
    ],
    ids=str,
)
def test_a_folders_images_are_cropped_or_stretched_as_for_prediction(recorded, tmp_path):
    random = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        for size in ((40, 90, 3), (33, 20, 3)):
            image = Image.fromarray(random.integers(0, 256, size, np.uint8))
            image.save(tmp_path / name / f"{size[0]}.png")
    recorded = {**recorded, "mean": [0.5] * 3, "std": [0.2] * 3, "input_size": [24, 24]}
    data = open_data(recorded, "folder", tmp_path, "all").plain()
    ((images, _),) = data.run().create_tuple_iterator(num_epochs=1, output_numpy=True)
    expected = [preprocess(read_image(name), recorded) for name in data.image_names()]
    np.testing.assert_allclose(images, expected, atol=1e-5)


def test_a_built_in_data_set_is_cropped_as_for_prediction(tmp_path):
    recorded = {"crop_fraction": 0.5, "fit": "crop", "input_size": [8, 8], "dataset": "digits"}
    data = open_data(recorded, path=tmp_path)
    images, _ = next(data.run().create_tuple_iterator(num_epochs=1, output_numpy=True))
    whole, _ = next(
        open_data({**recorded, "crop_fraction": 1.0}, path=tmp_path)
        .run()
        .create_tuple_iterator(num_epochs=1, output_numpy=True)
    )
    assert images.shape == whole.shape and np.abs(images - whole).max() > 1


def test_a_run_that_goes_on_holds_out_what_it_held_out(tmp_path):
    """Also one of version 0.1.0, whose config.json does not say by which rule."""
    config = tmp_path / "config.json"
    assert recorded_split_rule(config) is None
    config.write_text(json.dumps({"run": "ab"}))
    assert recorded_split_rule(config) == "order"
    flags = ["--resume", "--ckpt_dir", str(tmp_path), "--dataset", "folder"]
    args = training_parser("description", "example").parse_args(flags)
    assert image_options(args, make_recipe("tutorial"))["split_rule"] == "order"
    config.write_text(json.dumps({"run": "ab", "split_rule": "path"}))
    assert image_options(args, make_recipe("tutorial"))["split_rule"] == "path"
