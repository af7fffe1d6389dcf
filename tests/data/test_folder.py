"""ImageFolder: a user's own images, in every layout, format and condition."""

import os

import mindspore
import numpy as np
import pytest
from PIL import Image

from mindres.data import folder_check
from mindres.data.folder import ImageFolder
from mindres.data.random_crop import NUMBERS, random_box
from mindres.errors import UserError, translated

CLASSES = ["bird", "cat", "dog"]
COLORS = {"bird": (200, 30, 30), "cat": (30, 200, 30), "dog": (30, 30, 200)}


def tree(folder, count=5, classes=CLASSES, suffix=".png"):
    """`count` images of one colour for each class, of various sizes."""
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (20 + i, 24), COLORS[name]).save(folder / name / f"{i}{suffix}")
    return folder


def all_of(data):
    batches = list(data.run().create_tuple_iterator(num_epochs=1, output_numpy=True))
    return np.concatenate([images for images, _ in batches]), np.concatenate(
        [labels for _, labels in batches]
    )


def colors(images, data):
    """The colour in the middle of each image."""
    mean, std = (np.reshape(values, (3, 1, 1)) for values in (data.mean, data.std))
    middle = images.shape[2] // 2
    return ((images * std + mean) * 255)[:, :, middle, middle]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".gif", ".webp", ".tif"])
def test_every_format_and_the_right_label(tmp_path, suffix):
    tree(tmp_path / "train", suffix=suffix)
    tree(tmp_path / "val", 2, suffix=suffix.upper())
    data = ImageFolder(tmp_path, "val", resize=16, batch_size=4)
    images, labels = all_of(data)
    assert data.classes == tuple(CLASSES) and labels.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_allclose(
        colors(images, data), [COLORS[CLASSES[label]] for label in labels], atol=8
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
def test_the_contents_tell_the_format_and_not_the_name(tmp_path, kind, suffix):
    tree(tmp_path / "train", 1)
    for name in CLASSES:
        (tmp_path / "val" / name).mkdir(parents=True)
        Image.new("RGB", (20, 20), COLORS[name]).save(tmp_path / "val" / name / f"0{suffix}", kind)
    data = ImageFolder(tmp_path, "val", resize=16)
    images, labels = all_of(data)
    np.testing.assert_allclose(
        colors(images, data), [COLORS[CLASSES[label]] for label in labels], atol=8
    )


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "I;16", "CMYK"])
def test_every_kind_of_pixel_becomes_rgb(tmp_path, mode):
    tree(tmp_path, 4)
    image = Image.new("L", (20, 20), 255)
    suffix = "jpg" if mode == "CMYK" else "png"
    image = (
        Image.fromarray(np.full((20, 20), 65535, np.uint16))
        if mode == "I;16"
        else image.convert(mode)
    )
    for name in CLASSES:
        for i in range(4):
            (tmp_path / name / f"{i}.png").unlink()
            image.save(tmp_path / name / f"{i}.{suffix}")
    data = ImageFolder(tmp_path, "val", resize=16, batch_size=4, validation_fraction=0.25)
    images, _ = all_of(data)
    assert images.shape == (len(data), 3, 16, 16) and len(data) >= 3
    np.testing.assert_allclose(colors(images, data), 255, atol=2)


def test_training_images_are_all_there_and_augmented(tmp_path):
    tree(tmp_path / "train")
    tree(tmp_path / "test", 1)
    data = ImageFolder(tmp_path, "train", resize=16, batch_size=5)
    images, labels = all_of(data)
    assert images.shape == (15, 3, 16, 16) and np.bincount(labels).tolist() == [5, 5, 5]
    assert labels.tolist() != sorted(labels), "shuffled"


@pytest.mark.parametrize(
    ("there", "split", "read"),
    [
        (["val"], "val", "val"),
        (["test"], "val", "test"),
        (["val", "test"], "val", "val"),
        (["val"], "test", "val"),
        (["val", "test"], "test", "test"),
        (["valid"], "val", "valid"),
        (["validation"], "test", "validation"),
    ],
)
def test_which_folder_is_read(tmp_path, there, split, read):
    tree(tmp_path / "train", 2)
    for name in there:
        tree(tmp_path / name, 1)
    assert {path.parents[1].name for path in ImageFolder(tmp_path, split, resize=16).files()} == {
        read
    }


def test_one_tree_of_an_earlier_version_is_split_class_by_class(tmp_path):
    tree(tmp_path, 10)
    old = {"resize": 16, "batch_size": 2, "split_rule": "order"}
    splits = {split: ImageFolder(tmp_path, split, **old) for split in ("train", "val", "test")}
    taken = {split: data.indices() for split, data in splits.items()}
    assert (
        len(taken["train"]) == 24
        and len(taken["val"]) == 6
        and (taken["val"] == taken["test"]).all()
    )
    assert set(taken["train"]) | set(taken["val"]) == set(range(30))
    assert np.bincount(splits["val"].labels()[taken["val"]]).tolist() == [2, 2, 2]
    assert np.bincount(all_of(splits["val"])[1]).tolist() == [2, 2, 2]
    other = ImageFolder(tmp_path, "val", **old, validation_seed=1).indices()
    assert set(other) != set(taken["val"])
    half = ImageFolder(tmp_path, "val", **old, validation_fraction=0.5)
    assert len(half.indices()) == 15


def test_shards_cover_every_image_once(tmp_path):
    tree(tmp_path / "train", 4)
    tree(tmp_path / "val", 3)
    for split, count in (("train", 4), ("val", 3)):
        labels = np.concatenate(
            [
                all_of(
                    ImageFolder(
                        tmp_path, split, resize=16, batch_size=2, num_shards=2, shard_id=shard
                    )
                )[1]
                for shard in range(2)
            ]
        )
        assert np.bincount(labels).tolist() == [count] * 3


BROKEN = {
    "cut": lambda b: b[: len(b) // 2],
    "empty": lambda b: b"",
    "text": lambda b: b"<html>not found</html>",
}


@pytest.mark.parametrize("damage", BROKEN)
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_broken_image_is_named_or_left_out(tmp_path, capsys, damage, suffix):
    tree(tmp_path / "train", 4, suffix=suffix)
    tree(tmp_path / "val", 1, suffix=suffix)
    path = tmp_path / "train" / "cat" / f"2{suffix}"
    path.write_bytes(BROKEN[damage](path.read_bytes()))
    for _ in range(2):  # the second time the answer comes from the cache
        with pytest.raises(UserError, match=rf"cat/2{suffix} cannot be read: .*`skip_broken`"):
            ImageFolder(tmp_path, "train", resize=16)
    data = ImageFolder(tmp_path, "train", resize=16, batch_size=11, skip_broken=True)
    assert "left out of 12 images: 1 broken image: " in capsys.readouterr().err
    assert np.bincount(all_of(data)[1]).tolist() == [4, 3, 4]


def test_a_mended_image_is_seen(tmp_path):
    tree(tmp_path / "train", 2)
    tree(tmp_path / "val", 1)
    path = tmp_path / "train" / "dog" / "0.png"
    whole = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(UserError, match=r"dog/0\.png"):
        ImageFolder(tmp_path, "train")
    path.write_bytes(whole)
    assert len(ImageFolder(tmp_path, "train").files()) == 6


@pytest.mark.parametrize("name", ["with space", "猫", "a'b\"c", "line\nbreak"])
def test_names_of_any_kind(tmp_path, name):
    tree(tmp_path / name / "train", 2)
    tree(tmp_path / name / "val", 1)
    for folder in (tmp_path / name / "train", tmp_path / name / "val"):
        os.rename(folder / "dog", folder / name)
    data = ImageFolder(tmp_path / name, "val", resize=16)
    images, labels = all_of(data)
    assert name in data.classes
    blue = int(np.argmax(colors(images, data)[:, 2]))
    assert data.index2label[labels[blue]] == name


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: None, "holds no class folders"),
        (
            lambda p: (tree(p / "train", 1, ["cat"]), tree(p / "val", 1)),
            "holds one class folder with",
        ),
        (lambda p: tree(p / "train", 1), "neither val/ nor test/"),
        (
            lambda p: (tree(p / "train", 1, ["cat", "dog"]), tree(p / "val", 1)),
            "has the class 'bird'",
        ),
        (
            lambda p: [(p / s / c).mkdir(parents=True) for s in ("train", "val") for c in CLASSES],
            "holds no images",
        ),
    ],
    ids=["empty", "one class", "no val", "stranger", "no images"],
)
def test_what_is_wrong_with_a_folder_is_said(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(UserError, match=message):
        ImageFolder(tmp_path, "val")


def test_too_few_images_to_hold_out(tmp_path):
    tree(tmp_path, 1)
    with pytest.raises(UserError, match="the class 'bird' has 1 image"):
        all_of(ImageFolder(tmp_path, "train", batch_size=1))


def epoch(data, seed):
    mindspore.dataset.config.set_seed(seed)
    return all_of(data)[0]


@pytest.mark.parametrize(
    "options", [{}, {"auto_augment": "randaugment"}, {"random_erasing": 1.0, "cutmix": 1.0}]
)
def test_augmentation_follows_from_the_seed_whatever_the_number_of_threads(tmp_path, options):
    tree(tmp_path / "train", suffix=".jpg")
    tree(tmp_path / "val", 1)
    options = {"resize": 16, "batch_size": 4, **options}
    one, two = (ImageFolder(tmp_path, "train", num_parallel_workers=n, **options) for n in (1, 2))
    np.testing.assert_array_equal(epoch(one, 5), epoch(two, 5))
    assert np.abs(epoch(one, 5) - epoch(two, 6)).max() > 0.1


def test_a_second_epoch_of_one_seed_is_augmented_anew(tmp_path):
    tree(tmp_path / "train", 2)
    tree(tmp_path / "val", 1)
    gradient = Image.linear_gradient("L").convert("RGB")
    for path in tmp_path.glob("train/*/*.png"):
        gradient.save(path)
    data = ImageFolder(tmp_path, "train", resize=16, batch_size=6, shuffle=False)
    iterator = data.run().create_tuple_iterator(num_epochs=2, output_numpy=True)
    first, second = ([images.copy() for images, _ in iterator] for _ in range(2))
    assert np.abs(first[0] - second[0]).max() > 0.01


def test_damage_inside_an_image_is_named_when_it_is_met(tmp_path):
    tree(tmp_path / "train", 2)
    tree(tmp_path / "val", 1)
    path = tmp_path / "train" / "dog" / "1.png"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    data = ImageFolder(tmp_path, "train", resize=16, batch_size=6)
    with pytest.raises(RuntimeError) as raised:
        all_of(data)
    message = str(translated(raised.value))
    assert message.startswith(f"the dataset cannot be read: {path} cannot be read as an image: ")
    assert len(all_of(ImageFolder(tmp_path, "train", batch_size=1, skip_broken=True))[1]) == 5


def test_files_that_did_not_change_are_not_opened_again(tmp_path, monkeypatch):
    tree(tmp_path / "train", 2, suffix=".jpg")
    tree(tmp_path / "val", 1)
    looked = []
    monkeypatch.setattr(folder_check, "looks_whole", lambda path: not looked.append(path))
    ImageFolder(tmp_path, "train")
    assert len(looked) == 6
    ImageFolder(tmp_path, "train")
    assert len(looked) == 6
    Image.new("RGB", (9, 9)).save(tmp_path / "train" / "cat" / "0.jpg")
    Image.new("RGB", (9, 9)).save(tmp_path / "train" / "cat" / "new.jpg")
    ImageFolder(tmp_path, "train")
    assert [os.path.basename(path) for path in looked[6:]] == [b"0.jpg", b"new.jpg"]


def test_a_random_part_lies_in_the_image_and_has_its_area_and_ratio():
    numbers = np.random.default_rng(0).random((300, NUMBERS))
    boxes = np.array([random_box(300, 400, row, (0.35, 1.0)) for row in numbers])
    top, left, height, width = boxes.T
    assert (boxes >= 0).all() and (top + height <= 300).all() and (left + width <= 400).all()
    area = height * width / (300 * 400)
    assert 0.34 < area.min() < 0.4 and 0.9 < area.max() <= 1.01
    assert 0.74 < (width / height).min() < 0.8 and 1.3 < (width / height).max() < 1.35
    assert random_box(100, 1000, numbers[0] * 0 + 0.999, (1.0, 1.0)) == (0, 433, 100, 133)
