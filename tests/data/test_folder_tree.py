"""Which folders are classes, and what is said of those that are not."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mindres.data import folder_check, image_files as image_files_module
from mindres.data.folder import ImageFolder
from mindres.data.image_files import image_files
from mindres.errors import UserError


def tree(folder, count=4, classes=("ant", "bee")):
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.new("RGB", (8, 8), (i, 0, 0)).save(folder / name / f"{i}.png")
    return folder


def test_a_folder_without_images_is_no_class_and_is_said(tmp_path, capsys):
    tree(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("no image")
    assert ImageFolder(tmp_path, "val", resize=8).classes == ("ant", "bee")
    ImageFolder(tmp_path, "train", resize=8)
    said, warned = capsys.readouterr()
    assert not said, "it may be a JSON document"
    assert warned.splitlines() == [
        f"mindres: warning: {tmp_path / 'empty'} is not a class: it holds no images",
        f"mindres: warning: {tmp_path / 'notes'} is not a class: it holds no images",
    ], "once for both splits"


def test_a_folder_that_cannot_be_read_is_no_class(tmp_path, monkeypatch):
    tree(tmp_path)
    original = os.scandir

    def closed(path):
        if Path(path).name == "bee":
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    with monkeypatch.context() as patch:
        patch.setattr(image_files_module.os, "scandir", closed)
        with pytest.raises(UserError, match=r"one class folder.*bee is not a class: it cannot be"):
            ImageFolder(tmp_path, "val", resize=8)
    assert ImageFolder(tmp_path, "val", resize=8).classes == ("ant", "bee")


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt", "history.csv"])
def test_the_folder_of_a_training_is_no_class(tmp_path, name):
    tree(tmp_path)
    tree(tmp_path, classes=["ckpt"])  # with pictures of it
    (tmp_path / "ckpt" / name).write_bytes(b"")
    assert ImageFolder(tmp_path, "val", resize=8).classes == ("ant", "bee")


def test_a_class_that_a_split_lacks_is_said(tmp_path, capsys):
    tree(tmp_path / "train")
    tree(tmp_path / "val", classes=["ant"])
    data = ImageFolder(tmp_path, "val", resize=8)
    assert data.classes == ("ant", "bee") and set(data.labels()) == {0}
    assert f"{tmp_path / 'val'} has no images of the class bee" in capsys.readouterr().err


def test_a_file_is_not_a_folder(tmp_path):
    (tmp_path / "photos.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"photos\.zip is not a folder"):
        ImageFolder(tmp_path / "photos.zip", "val")


def test_a_link_that_leads_nowhere_is_a_broken_image(tmp_path):
    tree(tmp_path / "train")
    tree(tmp_path / "val")
    (tmp_path / "train" / "ant" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(UserError, match=r"gone\.jpg cannot be read: No such file"):
        ImageFolder(tmp_path, "train", resize=8)
    assert len(ImageFolder(tmp_path, "train", resize=8, skip_broken=True)) == 8
    assert "gone.jpg" in [path.name for path in image_files(tmp_path)]


def test_all_broken_images_are_named(tmp_path, capsys, monkeypatch):
    tree(tmp_path / "train", 10)
    tree(tmp_path / "val", 1)
    broken = [tmp_path / "train" / "ant" / f"{i}.png" for i in range(1, 9)]
    for path in broken[:3]:
        path.write_bytes(b"")
    with pytest.raises(UserError) as error:
        ImageFolder(tmp_path, "train", resize=8)
    assert all(str(path) in str(error.value) for path in broken[:3])
    for path in broken:
        path.write_bytes(b"<html>")
    with pytest.raises(UserError, match=r"and 7 more, listed in ") as error:
        ImageFolder(tmp_path, "train", resize=8)
    listed = Path(str(error.value).partition("listed in ")[2].partition(")")[0])
    assert [line.split(" cannot")[0] for line in listed.read_text().splitlines()] == [
        str(path) for path in broken
    ]
    data = ImageFolder(tmp_path, "train", resize=8, skip_broken=True)
    assert len(data) == 12 and str(listed) in capsys.readouterr().err
    assert len(broken) > folder_check.NAMED


def test_the_labels_may_be_those_of_a_checkpoint(tmp_path):
    data = ImageFolder(tree(tmp_path, 5), "val", resize=8, batch_size=50)
    data.use_classes(["bee", "cat", "ant"])
    assert data.classes == ("bee", "cat", "ant") and set(data.labels()) == {0, 2}
    labels = next(data.run().create_tuple_iterator(num_epochs=1, output_numpy=True))[1]
    np.testing.assert_array_equal(np.sort(labels), np.sort(data.split_labels()))
    with pytest.raises(UserError, match="has the class 'ant'"):
        data.use_classes(["bee", "cat"])
