"""Svhn and the reader of MATLAB files: the published layout, written by SciPy, and nothing damaged."""

import hashlib
import struct
import zlib

import numpy as np
import pytest
import scipy.io

from mindres.data import create_dataset, matlab
from mindres.data.svhn import Svhn, read_svhn
from mindres.errors import UserError


def arrays(count=12, seed=0):
    """Images (32, 32, 3, N) and digits (N, 1) from 1 to 10, as published."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (32, 32, 3, count), np.uint8)
    digits = (np.arange(count, dtype=np.uint8) % 10 + 1)[:, None]
    return images, digits


def write(path, images, digits, compressed=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {"X": images, "y": digits}, do_compression=compressed)
    return path


def lay_out(folder):
    found = {}
    for seed, split in enumerate(("train", "test")):
        found[split] = arrays(seed=seed)
        write(folder / f"{split}_32x32.mat", *found[split])
    return found


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("folder", ["", "svhn", "SVHN"])
def test_the_images_are_those_written(tmp_path, split, folder):
    images, digits = lay_out(tmp_path / folder)[split]
    data = create_dataset(
        "svhn",
        tmp_path,
        split,
        batch_size=12,
        shuffle=False,
        augment=False,
        transform=[lambda image: image],
    )
    found, labels = next(data.run().create_tuple_iterator(num_epochs=1, output_numpy=True))
    np.testing.assert_array_equal(found, images.transpose(3, 0, 1, 2))
    np.testing.assert_array_equal(labels, digits[:, 0] % 10)
    assert len(data) == 12 and data.index2label[0] == "0"


def test_training_images_are_shifted_and_normalised(tmp_path):
    lay_out(tmp_path)
    data = Svhn(tmp_path, batch_size=12)
    images, _ = next(data.run().create_tuple_iterator(num_epochs=1, output_numpy=True))
    assert images.shape == (12, 3, 32, 32) and images.dtype == np.float32
    assert not data.mirrored, "a digit has a left and a right"


def test_download(tmp_path, http_server, monkeypatch):
    lay_out(tmp_path / "published")
    content = {path.name: path.read_bytes() for path in (tmp_path / "published").iterdir()}
    http_server.files = {f"/housenumbers/{name}": body for name, body in content.items()}
    monkeypatch.setenv("MINDRES_MIRROR", http_server.url)
    with pytest.raises(UserError, match="not the published file"):
        Svhn(tmp_path / "new", download=True)
    digests = {name: hashlib.md5(body).hexdigest() for name, body in content.items()}
    monkeypatch.setattr(Svhn, "md5", digests)
    assert len(Svhn(tmp_path / "new", split="test", download=True)) == 12
    asked = len(http_server.requests)
    Svhn(tmp_path / "new", download=True)
    assert len(http_server.requests) == asked, "nothing is fetched twice"


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "i8", "f4", "f8"])
def test_the_reader_agrees_with_scipys(tmp_path, compressed, dtype):
    random = np.random.default_rng(0)
    values = random.integers(0, 100, (3, 4, 2)).astype(dtype)
    path = tmp_path / "a.mat"
    others = {"text": "some text", "cell": np.array([1, "a"], object), "complex": 1 + 2j}
    scipy.io.savemat(path, {**others, "values": values}, do_compression=compressed)
    found = matlab.read_arrays(path, ("values",), 10_000)["values"]
    wanted = scipy.io.loadmat(path)["values"]
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == wanted.dtype and found.shape == (3, 4, 2)


def one_element(kind, content):
    header = b"MATLAB 5.0".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    return header + struct.pack("<II", kind, len(content)) + content


BAD = {
    "empty": b"",
    "text": b"<html>" * 100,
    "another version": b"MATLAB 7.3".ljust(128),
    "cut": one_element(matlab.MATRIX, bytes(80))[:-30],
    "promises gigabytes": one_element(matlab.MATRIX, b"")[:-4] + b"\xff\xff\xff\x7f",
    "a bomb": one_element(matlab.COMPRESSED, zlib.compress(bytes(400_000_000), 9)),
    "no matrix": one_element(99, bytes(8)),
    "empty matrix": one_element(matlab.MATRIX, b""),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_file_of_svhn_is_named(tmp_path, name):
    path = tmp_path / "train_32x32.mat"
    path.write_bytes(BAD[name])
    with pytest.raises(UserError, match=r"train_32x32\.mat is damaged or not a MATLAB 5 file"):
        Svhn(tmp_path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda x, y: (x[:, :, :, :-1], y),
        lambda x, y: (x, y * 0),
        lambda x, y: (x, y + 1),
        lambda x, y: (x.astype(np.int16), y),
        lambda x, y: (x[:16], y),
        lambda x, y: (x, y.T),
        lambda x, y: (x[..., :0], y[:0]),
        lambda x, y: (x, y.astype(float) + 0.5),
    ],
    ids=["count", "zeros", "eleven", "type", "size", "shape", "none", "fractions"],
)
def test_arrays_of_another_kind_are_refused(tmp_path, spoil):
    path = write(tmp_path / "train_32x32.mat", *spoil(*arrays()))
    with pytest.raises(UserError, match="is not SVHN's"):
        read_svhn(path)


def test_an_array_that_is_missing_is_named(tmp_path):
    path = tmp_path / "train_32x32.mat"
    scipy.io.savemat(path, {"X": arrays()[0]})
    with pytest.raises(UserError, match="has no array y"):
        read_svhn(path)


@pytest.mark.parametrize("compressed", [True, False])
def test_flipped_bytes_give_one_line_or_the_arrays(tmp_path, compressed):
    path = write(tmp_path / "a.mat", *arrays(2), compressed)
    content, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(400):
        spoilt = bytearray(content)
        near = 400 if random.random() < 0.7 else len(spoilt)
        for place in random.integers(0, near, random.integers(1, 4)):
            spoilt[place] = random.integers(0, 256)
        path.write_bytes(spoilt)
        try:
            images, labels = read_svhn(path)
        except UserError as error:
            assert "\n" not in str(error)
        else:
            assert images.shape[1:] == (32, 32, 3) and set(labels) <= set(range(10))


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(UserError, match=r"holds no test_32x32\.mat: .*`download`"):
        Svhn(tmp_path, split="test")
    with pytest.raises(UserError, match="does not exist"):
        Svhn(tmp_path / "none")
