"""Mnist: the pixels of the idx files, packed or not, and nothing damaged gets through."""

import gzip
import hashlib
import os
import struct

import numpy as np
import pytest

import mindres
from mindres.data.mnist import FashionMnist, Mnist
from mindres.errors import UserError

NAMES = {"train": "train", "test": "t10k"}


def idx_files(train=20, test=7):
    """Random digits in the published files: {file name: bytes}, and {split: (images, labels)}."""
    random, written, arrays = np.random.default_rng(0), {}, {}
    for split, count in (("train", train), ("test", test)):
        images = random.integers(0, 256, (count, 28, 28), np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        written[f"{NAMES[split]}-images-idx3-ubyte"] = (
            struct.pack(">IIII", 2051, count, 28, 28) + images.tobytes()
        )
        written[f"{NAMES[split]}-labels-idx1-ubyte"] = (
            struct.pack(">II", 2049, count) + labels.tobytes()
        )
        arrays[split] = images, labels
    return written, arrays


def lay_out(folder, packed):
    """Write the files into `folder`, those that `packed` picks with gzip, minutes apart from each other."""
    written, arrays = idx_files()
    folder.mkdir()
    for i, (name, content) in enumerate(written.items()):
        path = folder / (f"{name}.gz" if packed(name) else name)
        path.write_bytes(gzip.compress(content) if packed(name) else content)
        os.utime(path, (1e9 + 100 * i,) * 2)
    return arrays


def all_of(data):
    batches = list(data.run().create_tuple_iterator(num_epochs=1, output_numpy=True))
    return np.concatenate([images for images, _ in batches]), np.concatenate(
        [labels for _, labels in batches]
    )


@pytest.mark.parametrize(
    "packed",
    [lambda name: False, lambda name: True, lambda name: "labels" in name],
    ids=["plain", "packed", "mixed"],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_images_are_those_written_normalised(tmp_path, packed, split):
    images, labels = lay_out(tmp_path / "mnist", packed)[split]
    data = Mnist(tmp_path, split=split, resize=28, batch_size=4, augment=False, shuffle=False)
    found, found_labels = all_of(data)
    np.testing.assert_allclose(found, (images[:, None] / 255 - 0.1307) / 0.3081, atol=1e-5)
    np.testing.assert_array_equal(found_labels, labels)


def test_images_may_stay_in_the_unit_interval(tmp_path):
    images, _ = lay_out(tmp_path / "mnist", lambda name: False)["test"]
    data = Mnist(tmp_path, split="test", resize=28, standardize=False)
    np.testing.assert_allclose(all_of(data)[0], images[:, None] / 255, atol=1e-6)
    assert (data.mean, data.std) == ((0.0,), (1.0,)), "which a checkpoint records"


def test_three_channels_are_one_repeated(tmp_path):
    images, _ = lay_out(tmp_path / "mnist", lambda name: False)["test"]
    for split in ("train", "test"):
        larger, _ = all_of(Mnist(tmp_path, split=split, resize=32, batch_size=7, channels=3))
        assert larger.shape[1:] == (3, 32, 32) and (larger == larger[:, :1]).all()
    found, _ = all_of(Mnist(tmp_path, split="test", resize=28, channels=3))
    assert found.shape == (7, 3, 28, 28)
    np.testing.assert_allclose(
        found, np.repeat((images[:, None] / 255 - 0.1307) / 0.3081, 3, axis=1), atol=1e-5
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("policy", ["randaugment", "trivialaugment"])
def test_automatic_augmentation_takes_grey_images(tmp_path, channels, policy):
    images, labels = lay_out(tmp_path / "mnist", lambda name: False)["train"]
    mindres.set_seed(0)
    data = Mnist(
        tmp_path, channels=channels, resize=28, batch_size=20, shuffle=False, auto_augment=policy
    )
    found, found_labels = all_of(data)
    assert found.shape == (20, channels, 28, 28)
    np.testing.assert_array_equal(found_labels, labels)
    plain = (images[:, None] / 255 - 0.1307) / 0.3081
    assert (np.abs(found - plain).reshape(20, -1).max(axis=1) > 1e-3).sum() > 10


def test_a_download_is_read_whatever_the_times_of_its_files(tmp_path, http_server, monkeypatch):
    written, arrays = idx_files()
    packed = {name: gzip.compress(content) for name, content in written.items()}
    http_server.files = {f"/mnist/{name}.gz": content for name, content in packed.items()}
    monkeypatch.setenv("MINDRES_MIRROR", http_server.url)
    monkeypatch.setattr(
        Mnist, "md5", {name: hashlib.md5(content).hexdigest() for name, content in packed.items()}
    )
    data = Mnist(tmp_path / "new", split="test", resize=28, download=True)
    np.testing.assert_array_equal(all_of(data)[1], arrays["test"][1])
    Mnist(tmp_path / "new", split="test", resize=28, download=True)
    assert len(http_server.requests) == 4, "nothing is fetched twice"


DAMAGE = {
    "cut": lambda b: b[:-1],
    "longer": lambda b: b + b"\0",
    "other magic": lambda b: b"\0\0\x08\x04" + b[4:],
    "promises more": lambda b: b[:4] + b"\xff\xff\xff\xff" + b[8:],
    "empty": lambda b: b"",
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_damaged_files_are_named(tmp_path, damage, name):
    lay_out(tmp_path / "mnist", lambda name: False)
    path = tmp_path / "mnist" / name
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    with pytest.raises(UserError, match=name):
        Mnist(tmp_path, split="test")


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[:50], lambda b: b"no gzip", lambda b: b[:30] + b"\xff" * 9 + b[39:]],
    ids=["cut", "no gzip", "flipped"],
)
def test_damaged_archives_are_named(tmp_path, damage):
    lay_out(tmp_path / "mnist", lambda name: True)
    path = tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"ubyte\.gz is damaged"):
        Mnist(tmp_path, split="test")


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        Mnist(tmp_path / "none")
    lay_out(tmp_path / "mnist", lambda name: False)
    (tmp_path / "mnist" / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(UserError, match="train-labels-idx1-ubyte"):
        Mnist(tmp_path)
    with pytest.raises(UserError, match="channels: 2: choose one of 1, 3"):
        Mnist(tmp_path, split="test", channels=2)


def test_a_label_above_nine(tmp_path):
    lay_out(tmp_path / "mnist", lambda name: False)
    path = tmp_path / "mnist" / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x0a")
    with pytest.raises(UserError, match="does not fit"):
        Mnist(tmp_path, split="test")


@pytest.mark.realdata
def test_the_published_bits(realdata):
    data = Mnist(realdata, split="test", resize=28, batch_size=500)
    images, labels = all_of(data)
    assert images.shape == (10_000, 1, 28, 28) and np.bincount(labels).min() == 892
    assert images.mean() == pytest.approx(0.0, abs=0.02) and images.std() == pytest.approx(
        1.0, abs=0.02
    )


def test_fashion_mnist_downloads_and_reads_its_own_folder(tmp_path, http_server, monkeypatch):
    folder = tmp_path / "datasets"
    folder.mkdir()
    written, arrays = idx_files()
    packed = {name: gzip.compress(content) for name, content in written.items()}
    http_server.files = {f"/{name}.gz": content for name, content in packed.items()}
    digests = {name: hashlib.md5(content).hexdigest() for name, content in packed.items()}
    monkeypatch.setenv("MINDRES_MIRROR", http_server.url)
    monkeypatch.setattr(FashionMnist, "md5", digests)
    lay_out(folder / "mnist", lambda name: True)
    for path in (folder / "mnist").iterdir():
        path.rename(folder / path.name)  # MNIST's own files have the same names
    data = FashionMnist(folder, "test", resize=28, batch_size=7, download=True)
    assert len(http_server.requests) == 4
    assert sorted(path.name for path in (folder / "fashion-mnist").iterdir()) == sorted(
        f"{name}.gz" for name in written
    )
    images, labels = all_of(data)
    wanted = (arrays["test"][0][:, None] / 255 - 0.2860) / 0.3530
    np.testing.assert_allclose(images, wanted, atol=1e-5)
    np.testing.assert_array_equal(labels, arrays["test"][1])
    assert data.classes[9] == "Ankle boot"


def test_fashion_mnist_does_not_take_mnists_files(tmp_path):
    (tmp_path / "datasets").mkdir()
    lay_out(tmp_path / "datasets" / "mnist", lambda name: False)
    with pytest.raises(UserError, match="holds no train-images"):
        FashionMnist(tmp_path / "datasets")
    lay_out(tmp_path / "my_fashion", lambda name: False)
    assert len(FashionMnist(tmp_path / "my_fashion", "test")) == 7
