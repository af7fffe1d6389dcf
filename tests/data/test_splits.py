"""What is held out of a folder follows from each file's own path."""

import shutil

import numpy as np
import pytest
from PIL import Image

from mindres.data.folder import ImageFolder
from mindres.data.splits import split_by_order, split_by_path
from mindres.errors import UserError


def split_in_two(labels, paths, fraction, seed):
    parts = split_by_path(labels, paths, fraction, 0.0, seed)
    return parts["train"], parts["val"]


def tree(folder, counts, start=0):
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(start, start + count):
            Image.new("RGB", (8, 8), (i % 256, 0, 0)).save(folder / name / f"{i}.png")
    return folder


def names_in(folder, split, **options):
    data = ImageFolder(folder, split, resize=8, batch_size=1, **options)
    return {str(path)[len(str(folder)) :] for path in map(str, data.image_names())}


def test_more_photographs_move_no_other(tmp_path):
    tree(tmp_path / "photos", {"a": 40, "b": 40, "c": 40})
    before = {split: names_in(tmp_path / "photos", split) for split in ("train", "val")}
    assert not before["train"] & before["val"]
    assert len(before["train"] | before["val"]) == 120
    tree(tmp_path / "photos", {"a": 1, "b": 1, "c": 1}, start=1000)
    for split, names in before.items():
        now = names_in(tmp_path / "photos", split)
        assert names <= now and len(now - names) <= 3
    # Nor does another place of the folder, or a file that goes.
    shutil.move(tmp_path / "photos", tmp_path / "moved")
    gone = sorted(before["train"])[0]
    (tmp_path / "moved" / gone.lstrip("/")).unlink()
    assert before["val"] <= names_in(tmp_path / "moved", "val")


def test_each_class_has_about_its_part(tmp_path):
    labels = np.repeat(np.arange(5), 400)
    paths = [b"%d/%d.jpg" % (label, i) for i, label in enumerate(labels)]
    for fraction in (0.1, 0.2, 0.5):
        kept, held = split_in_two(labels, paths, fraction, 0)
        assert sorted([*kept, *held]) == list(range(2000))
        counts = np.bincount(labels[held], minlength=5)
        spread = np.sqrt(400 * fraction * (1 - fraction))
        assert (np.abs(counts - 400 * fraction) < 4 * spread).all()
    other = split_in_two(labels, paths, 0.2, 1)[1]
    expected_overlap = 2000 * 0.2 * 0.2
    both = len(set(other) & set(split_in_two(labels, paths, 0.2, 0)[1]))
    assert abs(both - expected_overlap) < 5 * np.sqrt(expected_overlap)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_small_class_has_images_in_both_parts(count):
    for seed in range(50):
        labels = np.repeat([0, 1], count)
        paths = [b"%d/%d" % (label, i) for i, label in enumerate(labels)]
        kept, held = split_in_two(labels, paths, 0.2, seed)
        assert set(labels[kept]) == set(labels[held]) == {0, 1}


def test_an_image_that_was_trained_on_is_never_held_out_by_one_more():
    """Where a class is so small that one image stands in, it may be held out no longer, never the reverse."""
    for seed in range(200):
        paths = [b"a/%d" % i for i in range(6)]
        _, before = split_in_two(np.zeros(6, int), paths, 0.2, seed)
        if len(before) == 6:
            continue
        _, after = split_in_two(np.zeros(7, int), [*paths, b"a/new"], 0.2, seed)
        assert set(after) - {6} <= set(before)


def test_one_tree_has_validation_images_and_no_test_images(tmp_path):
    tree(tmp_path, {"a": 20, "b": 20})
    test = ImageFolder(tmp_path, "test", resize=8)
    assert test.split == "val"
    assert names_in(tmp_path, "test") == names_in(tmp_path, "val")


def test_a_folder_that_stands_in_is_called_what_it_is(tmp_path):
    tree(tmp_path / "train", {"a": 5, "b": 5})
    tree(tmp_path / "valid", {"a": 1, "b": 1})
    assert ImageFolder(tmp_path, "test", resize=8).split == "val"
    tree(tmp_path / "test", {"a": 2, "b": 2})
    assert ImageFolder(tmp_path, "test", resize=8).split == "test"
    held = ImageFolder(tmp_path, "val", resize=8, validation_fraction=0.4)
    assert held.split == "val" and {path.parents[1].name for path in held.files()} == {"train"}


def test_a_class_of_one_image_is_named(tmp_path):
    tree(tmp_path, {"ant": 5, "bee": 1})
    with pytest.raises(UserError, match=r"the class 'bee' has 1 image.*add images to it"):
        ImageFolder(tmp_path, "val", resize=8).indices()


def test_test_images_are_held_out_too_and_move_no_validation_image(tmp_path):
    tree(tmp_path, {"a": 60, "b": 60})
    before = names_in(tmp_path, "val", validation_fraction=0.2)
    held = {"validation_fraction": 0.2, "test_fraction": 0.2}
    parts = {split: names_in(tmp_path, split, **held) for split in ("train", "val", "test")}
    assert parts["val"] == before
    assert sum(map(len, parts.values())) == 120 == len(set.union(*parts.values()))
    assert 10 <= len(parts["test"]) <= 40


@pytest.mark.parametrize("given", [["val"], ["test"], [], ["validation", "test"]])
def test_folders_that_are_there_are_respected(tmp_path, given):
    for folder in ("train", *given):
        tree(tmp_path / folder, {"a": 20, "b": 20})
    missing = ImageFolder.missing_splits(tmp_path)
    there = {"val" if name == "validation" else name for name in given}
    assert set(missing) == {"val", "test"} - there
    options = {
        "validation_fraction": 0.2 * ("val" in missing),
        "test_fraction": 0.2 * ("test" in missing),
    }
    for split in ("train", "val", "test"):
        data = ImageFolder(tmp_path, split, resize=8, batch_size=1, **options)
        assert data.split == split
        roots = {path.split("/")[-3] for path in data.image_names()}
        wanted = split if split in there else "train"
        assert roots == {"validation" if wanted == "val" and "validation" in given else wanted}


def test_groups_stay_together(tmp_path):
    labels = np.tile([0, 1], 300)
    keys = [b"%d" % (i // 6) for i in range(600)]  # each with images of both classes
    parts = split_by_path(labels, keys, 0.2, 0.2, 3)
    owners = [{keys[i] for i in indices} for indices in parts.values()]
    assert not owners[0] & owners[1] and not owners[0] & owners[2] and not owners[1] & owners[2]
    assert all(set(labels[indices]) == {0, 1} for indices in parts.values())
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(30):
            Image.new("RGB", (8, 8)).save(tmp_path / name / f"p{i % 5}_{i}.png")
    held = {"validation_fraction": 0.3, "test_fraction": 0.3, "group": r"p(\d)_"}
    patients = [
        {name.split("_")[0][-1] for name in names_in(tmp_path, split, **held)}
        for split in ("train", "val", "test")
    ]
    assert sum(map(len, patients)) == 5 == len(set.union(*patients))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"group": "("}, "is not a regular expression"),
        ({"group": "patient"}, "finds nothing in the images' paths, such as"),
        ({"group": "/"}, "the class 'a' has 4 images in 1 group, and needs one to train on"),
        ({"test_fraction": 0.9}, "leave no images to train on"),
        ({"test_fraction": 1.5}, "test_fraction must be in"),
    ],
)
def test_groups_and_fractions_that_cannot_be(tmp_path, options, message):
    tree(tmp_path, {"a": 4, "b": 4})
    with pytest.raises(UserError, match=message):
        ImageFolder(
            tmp_path,
            "val",
            resize=8,
            **{"validation_fraction": 0.2, "test_fraction": 0.2} | options,
        ).indices()


def test_a_class_of_one_image_cannot_be_held_out_in_order():
    with pytest.raises(UserError, match=r"0\.5 of the images of each class cannot be held out"):
        split_by_order(np.array([0, 0, 0, 1]), 0.5, seed=0)
