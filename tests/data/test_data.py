"""Cifar10 and Digits: the arrays that went in come out, and nothing damaged or hostile gets through."""

import hashlib
import os
import pickle
import subprocess

import numpy as np
import pytest
from conftest import (
    CLASSES,
    cifar10_batches,
    packed,
    python2_pickle,
    write_cifar10_binary,
    write_cifar10_python,
)
from sklearn.datasets import load_digits

from mindres.data import cifar_records
from mindres.data.cifar import Cifar10, Cifar100
from mindres.data.digits import Digits
from mindres.errors import UserError

PYTHON, BINARY = "cifar-10-batches-py", "cifar-10-batches-bin"
WRITERS = {PYTHON: write_cifar10_python, BINARY: write_cifar10_binary}
ARCHIVES = {PYTHON: "cifar-10-python.tar.gz", BINARY: "cifar-10-binary.tar.gz"}


def all_of(dataset):
    """Every image and label of one pass."""
    batches = [
        (b["image"], b["label"])
        for b in dataset.run().create_dict_iterator(num_epochs=1, output_numpy=True)
    ]
    return np.concatenate([images for images, _ in batches]), np.concatenate(
        [labels for _, labels in batches]
    )


def expected(batches, names, mean=Cifar10.mean, std=Cifar10.std):
    """The normalised images and the labels of `batches`, by NumPy in float64."""
    images = np.concatenate([batches[name][0] for name in names]).reshape(-1, 3, 32, 32)
    mean, std = (np.reshape(v, (3, 1, 1)) for v in (mean, std))
    return (images / 255 - mean) / std, np.concatenate([batches[name][1] for name in names])


def by_content(images, labels):
    """Pairs in an order that does not depend on the one they came in."""
    order = np.lexsort(images.reshape(len(images), -1)[:, :8].T)
    return images[order], labels[order]


TRAIN = [f"data_batch_{i}" for i in range(1, 6)]


@pytest.fixture(params=[PYTHON, BINARY])
def published(request, tmp_path):
    """A small CIFAR-10 in each published layout: its folder, and what was written."""
    batches = cifar10_batches(train=23, test=11)
    return WRITERS[request.param](tmp_path / "data" / request.param, batches), batches


def one_line(error):
    text = str(error.value)
    assert text and "\n" not in text
    return text


# values


def test_test_images_are_those_written_normalised(published):
    folder, batches = published
    data = Cifar10(folder, split="test", batch_size=4)
    images, labels = all_of(data)
    wanted, wanted_labels = expected(batches, ["test_batch"])
    assert (
        images.dtype == np.float32 and labels.dtype == np.int32 and images.shape == (11, 3, 32, 32)
    )
    np.testing.assert_allclose(images, wanted, atol=1e-5)
    np.testing.assert_array_equal(labels, wanted_labels)
    assert data.index2label == dict(enumerate(CLASSES))


def test_training_images_are_all_there_in_another_order(published):
    folder, batches = published
    plain = Cifar10(folder, split="train", batch_size=23, augment=False)
    images, labels = all_of(plain)
    wanted, wanted_labels = expected(batches, TRAIN)
    assert not np.array_equal(labels, wanted_labels), "training images are shuffled"
    for got, want in zip(by_content(images, labels), by_content(wanted, wanted_labels)):
        np.testing.assert_allclose(got, want, atol=1e-5)
    in_order = Cifar10(folder, split="train", batch_size=23, augment=False, shuffle=False)
    np.testing.assert_array_equal(all_of(in_order)[1], wanted_labels)


@pytest.mark.parametrize("count", [10_000, 10_001])
def test_every_image_of_a_large_file(tmp_path, count):
    # MindSpore's C++ reader takes 10,000 images from each file, which is right for the published ones alone.
    batches = cifar10_batches(train=5, test=count)
    data = Cifar10(write_cifar10_binary(tmp_path / BINARY, batches), split="test", batch_size=1000)
    images, labels = all_of(data)
    written, wanted_labels = batches["test_batch"]
    np.testing.assert_array_equal(labels, wanted_labels)
    wanted, _ = expected({"some": (written[::100], wanted_labels[::100])}, ["some"])
    np.testing.assert_allclose(images[::100], wanted, atol=1e-5)
    assert data.published == (count == 10_000)


def test_only_training_images_are_augmented(published):
    folder, batches = published
    images, labels = all_of(
        Cifar10(folder, split="train", batch_size=23, shuffle=False, repeat_num=2)
    )
    wanted, wanted_labels = expected(batches, TRAIN)
    first, second = np.split(images, 2)
    np.testing.assert_array_equal(labels, [*wanted_labels, *wanted_labels])
    assert not np.allclose(first, wanted, atol=1e-3) and not np.allclose(first, second, atol=1e-3)
    # Each is a crop, mirrored or not, of the image with a border of 4 pixels of the value 0.
    zero = (0 - np.reshape(Cifar10.mean, (3, 1, 1))) / np.reshape(Cifar10.std, (3, 1, 1))
    shifts = set()
    for image, original in zip(first, wanted):
        bordered = np.broadcast_to(zero, (3, 40, 40)).copy()
        bordered[:, 4:36, 4:36] = original
        fits = [
            (y, x, flip)
            for y in range(9)
            for x in range(9)
            for flip in (1, -1)
            if np.allclose(bordered[:, y : y + 32, x : x + 32][:, :, ::flip], image, atol=1e-4)
        ]
        assert len(fits) == 1, fits
        shifts.update(fits)
    assert {flip for _, _, flip in shifts} == {1, -1} and len(shifts) > 10
    test = Cifar10(folder, split="test", batch_size=11)
    np.testing.assert_array_equal(all_of(test)[0], all_of(test)[0])


def test_batches(published):
    folder, _ = published
    sizes = {
        split: [
            len(b["label"])
            for b in Cifar10(folder, split=split, batch_size=4)
            .run()
            .create_dict_iterator(num_epochs=1, output_numpy=True)
        ]
        for split in ("train", "test")
    }
    assert sizes == {"train": [4] * 5, "test": [4, 4, 3]}, "only training leaves a remainder out"
    twice = Cifar10(folder, split="test", batch_size=4, repeat_num=2)
    assert len(all_of(twice)[1]) == 22


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_shards_cover_every_image_once(published, split, shuffle):
    folder, batches = published
    names = TRAIN if split == "train" else ["test_batch"]
    wanted, _ = expected(batches, names)
    found = []
    for shard in range(3):
        data = Cifar10(
            folder,
            split=split,
            batch_size=1,
            augment=False,
            shuffle=shuffle,
            num_shards=3,
            shard_id=shard,
        )
        images, _ = all_of(data)
        found += [
            np.abs(wanted - image).reshape(len(wanted), -1).max(axis=1).argmin() for image in images
        ]
        assert abs(len(images) - len(wanted) / 3) < 1
    assert set(found) == set(range(len(wanted)))
    # Training needs shards of one size, so that workers take the same number of steps: one or two images come twice.
    assert len(found) - len(wanted) <= (2 if split == "train" or shuffle else 0)


def test_other_sizes_and_transforms(published):
    folder, batches = published
    images, _ = all_of(Cifar10(folder, split="test", batch_size=11, resize=(16, 48)))
    assert images.shape == (11, 3, 16, 48)
    raw, labels = all_of(
        Cifar10(
            folder,
            split="test",
            batch_size=11,
            transform=[lambda image: image],
            target_transform=[lambda label: np.int32(label + 100)],
        )
    )
    np.testing.assert_array_equal(
        raw, batches["test_batch"][0].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    )
    np.testing.assert_array_equal(labels, np.add(batches["test_batch"][1], 100))


def test_the_parent_folder_and_the_one_above(published):
    folder, batches = published
    for path in (folder, folder.parent, folder.parent.parent, str(folder)):
        np.testing.assert_array_equal(
            all_of(Cifar10(path, split="test"))[1], batches["test_batch"][1]
        )


def test_user_arguments_out_of_range(published):
    folder, _ = published
    for options, part in [
        ({"split": "training"}, "no split 'training'"),
        ({"batch_size": 0}, "batch_size"),
        ({"repeat_num": 0}, "repeat_num"),
        ({"resize": 0}, "resize"),
        ({"resize": 100_000}, "resize must be 1 to 4096 pixels, not 100000"),
        ({"num_shards": 2, "shard_id": 2}, "shard_id"),
    ]:
        with pytest.raises(UserError, match=part):
            Cifar10(folder, **options)
    with pytest.raises(UserError, match="`batch_size=24` is larger than the 23 training images"):
        Cifar10(folder, batch_size=24).run()


@pytest.mark.parametrize("layout", ["cifar-100-binary", "cifar-100-python"])
def test_cifar100_has_the_fine_labels(tmp_path, layout):
    rng = np.random.default_rng(0)
    names = [f"class {i}".replace(" ", "_") for i in range(100)]
    folder = tmp_path / layout
    folder.mkdir()
    for name, count in (("train", 7), ("test", 5)):
        images = rng.integers(0, 256, (count, 3072), np.uint8)
        coarse, fine = rng.integers(0, 20, count), rng.integers(0, 100, count)
        if layout.endswith("binary"):
            np.column_stack([coarse, fine, images]).astype(np.uint8).tofile(folder / f"{name}.bin")
        else:
            (folder / name).write_bytes(
                python2_pickle(
                    {
                        b"data": images,
                        b"coarse_labels": coarse.tolist(),
                        b"fine_labels": fine.tolist(),
                    }
                )
            )
    (folder / "fine_label_names.txt").write_text("\n".join(names))
    (folder / "meta").write_bytes(
        python2_pickle({b"fine_label_names": [name.encode() for name in names]})
    )
    data = Cifar100(tmp_path, split="test")
    found = all_of(data)
    wanted, _ = expected({"test": (images, fine)}, ["test"], Cifar100.mean, Cifar100.std)
    np.testing.assert_allclose(found[0], wanted, atol=1e-5)
    np.testing.assert_array_equal(found[1], fine)
    assert data.index2label[99] == "class_99"


# archives and conversion


@pytest.mark.parametrize("layout", [PYTHON, BINARY])
def test_an_archive_is_verified_and_unpacked(tmp_path, monkeypatch, layout):
    batches = cifar10_batches(train=10, test=6)
    content = packed(WRITERS[layout](tmp_path / "made" / layout, batches))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ARCHIVES[layout]).write_bytes(content)
    with pytest.raises(UserError, match="damaged or not the published file") as error:
        Cifar10(tmp_path / "data", split="test")
    assert ARCHIVES[layout] in one_line(error) and not (tmp_path / "data" / layout).exists()
    pin(monkeypatch, layout, content)
    images, labels = all_of(Cifar10(tmp_path / "data", split="test"))
    np.testing.assert_allclose(images, expected(batches, ["test_batch"])[0], atol=1e-5)
    np.testing.assert_array_equal(labels, batches["test_batch"][1])


@pytest.mark.parametrize("layout", [PYTHON, BINARY])
def test_a_truncated_archive(tmp_path, monkeypatch, layout):
    content = packed(WRITERS[layout](tmp_path / "made" / layout, cifar10_batches(train=10, test=6)))
    (tmp_path / ARCHIVES[layout]).write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="damaged"):
        Cifar10(tmp_path, split="test")
    pin(monkeypatch, layout, content[: len(content) // 2])  # as if it had been published so
    with pytest.raises(UserError, match="cannot be unpacked"):
        Cifar10(tmp_path, split="test")
    with pytest.raises(UserError):
        Cifar10(tmp_path, split="test")  # and what was unpacked of it does not pass for whole


def pin(monkeypatch, layout, content):
    """Let `content` be the published archive of `layout`."""
    monkeypatch.setattr(
        Cifar10,
        "layouts",
        tuple(
            known._replace(md5=hashlib.md5(content).hexdigest())
            if known.folder == layout
            else known
            for known in Cifar10.layouts
        ),
    )


def test_download(tmp_path, monkeypatch, http_server):
    batches = cifar10_batches(train=10, test=6)
    content = packed(write_cifar10_binary(tmp_path / "made" / BINARY, batches))
    http_server.files["/~kriz/cifar-10-binary.tar.gz"] = content
    monkeypatch.setenv("MINDRES_MIRROR", http_server.url)
    with pytest.raises(UserError, match="damaged or not the published file"):
        Cifar10(tmp_path / "new", split="test", download=True)
    assert list((tmp_path / "new").iterdir()) == []
    pin(monkeypatch, BINARY, content)
    for _ in range(2):
        data = Cifar10(tmp_path / "new", split="test", download=True)
        np.testing.assert_array_equal(all_of(data)[1], batches["test_batch"][1])
    assert len(http_server.requests) == 2, "what is there is not fetched again"


def test_download_leaves_a_local_folder_as_it_is(published, http_server, monkeypatch):
    folder, _ = published
    monkeypatch.setenv("MINDRES_MIRROR", http_server.url)
    Cifar10(folder.parent, split="test", download=True)
    assert http_server.requests == []


def test_pickles_are_converted_once_and_again_when_they_change(tmp_path, monkeypatch):
    folder = write_cifar10_python(tmp_path / PYTHON, cifar10_batches(train=10, test=6))
    Cifar10(folder, split="test")
    read = []
    original = cifar_records.read_batch
    monkeypatch.setattr(
        cifar_records, "read_batch", lambda path, kind: read.append(path) or original(path, kind)
    )
    Cifar10(folder, split="test")
    assert read == []
    images, labels = cifar10_batches(train=10, test=6, seed=1)["test_batch"]
    (folder / "test_batch").write_bytes(python2_pickle({b"data": images, b"labels": labels}))
    np.testing.assert_array_equal(all_of(Cifar10(folder, split="test"))[1], labels)
    assert read == [folder / "test_batch"]


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_pickles_of_any_age(tmp_path, protocol):
    batches = cifar10_batches(train=10, test=6)
    folder = write_cifar10_python(tmp_path / PYTHON, batches)
    images, labels = batches["test_batch"]
    (folder / "test_batch").write_bytes(pickle.dumps({"data": images, "labels": labels}, protocol))
    found = all_of(Cifar10(folder, split="test"))
    np.testing.assert_allclose(found[0], expected(batches, ["test_batch"])[0], atol=1e-5)
    np.testing.assert_array_equal(found[1], labels)


# hostile and damaged files


class Run:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02]r\xff\xff\xff\x7f.",  # a memo of two thousand million entries
        b"\x80\x05\x96\0\0\0\0\1\0\0\0.",  # a bytearray of four gigabytes
        b"\x80\x02})" + b"2\x86" * 60 + b"K\x01s.",  # a field whose name takes years to hash
        b"\x80\x02}X\4\0\0\0data]" + b"2l" * 3 + b"s.",
        pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [[1]]}),
    ],
)
def test_pickles_that_cost_more_than_they_are(tmp_path, content):
    folder = write_cifar10_python(tmp_path / PYTHON, cifar10_batches(train=10, test=6))
    (folder / "test_batch").write_bytes(content)
    with pytest.raises(UserError, match=r"test_batch (is damaged|is refused|has no field)"):
        Cifar10(folder, split="test")


@pytest.mark.parametrize("file", ["test_batch", "batches.meta"])
@pytest.mark.parametrize(
    "call", ["os.system", "subprocess.run", "eval", "numpy.load", "getattr", "nested"]
)
def test_a_hostile_pickle_runs_nothing(tmp_path, file, call):
    folder = write_cifar10_python(tmp_path / PYTHON, cifar10_batches(train=10, test=6))
    trace = tmp_path / "it ran"
    np.save(tmp_path / "trap.npy", np.array([Run(os.mkdir, (str(trace),))]), allow_pickle=True)
    payload = {
        "os.system": Run(os.system, (f"touch '{trace}'",)),
        "subprocess.run": Run(subprocess.run, (["touch", str(trace)],)),
        "eval": Run(eval, (f"__import__('os').mkdir({str(trace)!r})",)),
        "numpy.load": Run(np.load, (str(tmp_path / "trap.npy"), None, True)),
        "getattr": Run(getattr, ("", "join")),
        "nested": {"data": [Run(os.mkdir, (str(trace),))], "labels": []},
    }[call]
    (folder / file).write_bytes(
        pickle.dumps({"data": payload, "label_names": payload, "labels": [0]}, 2)
    )
    with pytest.raises(UserError, match="is refused: it asks for") as error:
        Cifar10(folder, split="test")
    assert str(folder / file) in one_line(error) and not trace.exists()


def test_the_same_payload_does_run_in_an_ordinary_unpickler(tmp_path):
    trace = tmp_path / "it ran"
    pickle.loads(pickle.dumps(Run(os.mkdir, (str(trace),)), 2))
    assert trace.exists(), "or the test above proves nothing"


IMAGES = np.zeros((4, 3072), np.uint8)
DAMAGED = {
    "empty": b"",
    "no pickle": b"<html>Not found</html>",
    "a list": python2_pickle([1, 2]),
    "no data": python2_pickle({b"labels": [0]}),
    "no labels": python2_pickle({b"data": IMAGES}),
    "too few labels": python2_pickle({b"data": IMAGES, b"labels": [0, 1, 2]}),
    "label 10": python2_pickle({b"data": IMAGES, b"labels": [0, 1, 2, 10]}),
    "label -1": python2_pickle({b"data": IMAGES, b"labels": [0, 1, 2, -1]}),
    "label 256": python2_pickle({b"data": IMAGES, b"labels": [0, 1, 2, 256]}),
    "label 2**70": python2_pickle({b"data": IMAGES, b"labels": [0, 1, 2, 2**70]}),
    "words for labels": python2_pickle({b"data": IMAGES, b"labels": [b"cat"] * 4}),
    "ragged labels": python2_pickle({b"data": IMAGES, b"labels": [0, [1, 2], 3, 4]}),
    "floats": python2_pickle({b"data": IMAGES.astype(np.float32), b"labels": [0] * 4}),
    "other shape": python2_pickle({b"data": IMAGES.reshape(4, 3, 32, 32), b"labels": [0] * 4}),
    "no images": python2_pickle({b"data": IMAGES[:0], b"labels": []}),
    "not an array": python2_pickle({b"data": b"\0" * 3072, b"labels": [0]}),
}


@pytest.mark.parametrize("what", [*DAMAGED, "truncated"])
def test_a_damaged_pickle(tmp_path, what):
    folder = write_cifar10_python(tmp_path / PYTHON, cifar10_batches(train=10, test=6))
    content = DAMAGED.get(what) if what in DAMAGED else (folder / "test_batch").read_bytes()[:-1000]
    (folder / "test_batch").write_bytes(content)
    for _ in range(2):  # nothing of it may be kept and used the second time
        with pytest.raises(UserError) as error:
            Cifar10(folder, split="test")
        assert str(folder / "test_batch") in one_line(error)


@pytest.mark.parametrize("content", [b"", b"\0" * 3072, b"\0" * 3074, b"\x0a" + b"\0" * 3072])
def test_a_damaged_binary_file(tmp_path, content):
    folder = write_cifar10_binary(tmp_path / BINARY, cifar10_batches(train=10, test=6))
    (folder / "test_batch.bin").write_bytes(content)
    with pytest.raises(UserError, match=r"truncated|damaged") as error:
        Cifar10(folder, split="test")
    assert str(folder / "test_batch.bin") in one_line(error)


@pytest.mark.parametrize("names", ["", "cat dog", "\xff" * 40])
def test_bad_class_names(tmp_path, names):
    folder = write_cifar10_binary(tmp_path / BINARY, cifar10_batches(train=10, test=6))
    (folder / "batches.meta.txt").write_bytes(names.encode("latin1"))
    with pytest.raises(UserError, match=r"batches\.meta\.txt"):
        Cifar10(folder, split="test")


@pytest.mark.parametrize("name", ["batches.meta", "data_batch_3", "test_batch"])
def test_a_missing_file_is_named(published, name):
    folder, _ = published
    [path] = folder.glob(f"{name}*")
    path.unlink()
    with pytest.raises(UserError, match=path.name) as error:
        Cifar10(folder, split="test")
    assert str(folder) in one_line(error)


def test_one_layout_stands_in_for_an_incomplete_other(tmp_path):
    batches = cifar10_batches(train=10, test=6)
    (write_cifar10_binary(tmp_path / BINARY, batches) / "data_batch_3.bin").unlink()
    write_cifar10_python(tmp_path / PYTHON, batches)
    np.testing.assert_array_equal(
        all_of(Cifar10(tmp_path, split="test"))[1], batches["test_batch"][1]
    )


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        Cifar10(tmp_path / "none")
    with pytest.raises(
        UserError, match=r"holds no .*expected cifar-10-batches-bin or cifar-10-batches-py"
    ):
        Cifar10(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        Cifar10(tmp_path / "file")
    for download in (False, True):
        with pytest.raises(UserError, match="needs the folder"):
            Cifar10(download=download)


# digits


def digits_of(split, **options):
    return all_of(
        Digits(split=split, batch_size=1, augment=False, shuffle=False, resize=8, **options)
    )


def test_digits_are_scikit_learns(tmp_path):
    original = load_digits()
    found, labels = zip(digits_of("train"), digits_of("test"))
    assert [len(part) for part in labels] == [1437, 360]
    found, labels = np.concatenate(found), np.concatenate(labels)
    assert found.shape == (1797, 3, 8, 8)
    levels = found * Digits.std[0] + Digits.mean[0]
    np.testing.assert_allclose(levels[:, 0], levels[:, 1], atol=1e-6)
    np.testing.assert_allclose(
        levels * 16, np.rint(levels * 16), atol=0.04
    )  # 17 grey levels in 256
    images = np.rint(levels[:, 0] * 16).reshape(1797, 64)

    def sorted_rows(images, labels):
        return np.array(sorted(np.column_stack([images, labels]).astype(int).tolist()))

    np.testing.assert_array_equal(
        sorted_rows(images, labels), sorted_rows(original.data, original.target)
    )


def test_the_split_of_digits_is_stratified_and_fixed():
    test_labels = Digits(split="test").labels()
    whole = np.bincount(load_digits().target)
    np.testing.assert_allclose(np.bincount(test_labels), whole * 360 / 1797, atol=1)
    np.testing.assert_array_equal(Digits(split="test").labels(), test_labels)
    np.testing.assert_array_equal(test_labels[:12], [7, 6, 3, 7, 7, 3, 2, 8, 9, 3, 2, 6])


def test_the_normalisation_of_digits_is_theirs():
    images, _ = digits_of("train")
    assert abs(images.mean()) < 1e-3 and abs(images.std() - 1) < 1e-3


def test_training_digits_are_shifted_but_never_mirrored():
    train = Digits(split="train", batch_size=1437, shuffle=False, resize=8)
    plain, _ = digits_of("train")
    augmented, _ = all_of(train)
    bordered = np.full((1437, 3, 10, 10), -Digits.mean[0] / Digits.std[0])
    bordered[:, :, 1:9, 1:9] = plain
    shifted = np.stack([bordered[:, :, y : y + 8, x : x + 8] for y in range(3) for x in range(3)])
    distance = np.abs(shifted - augmented).reshape(9, 1437, -1).max(axis=2)
    assert (distance.min(axis=0) < 1e-4).all()
    assert len(set(distance.argmin(axis=0))) == 9, "in every direction"


def test_digits_are_enlarged():
    images, _ = all_of(Digits(split="test", batch_size=360, resize=32))
    small, _ = digits_of("test")
    assert images.shape == (360, 3, 32, 32)
    blocks = images.reshape(360, 3, 8, 4, 8, 4).mean(axis=(3, 5))
    assert np.corrcoef(blocks.ravel(), small.ravel())[0, 1] > 0.98


# real images


@pytest.mark.realdata
@pytest.mark.parametrize("layout", [PYTHON, BINARY])
def test_real_images(realdata, layout):
    for split, count in (("train", 20), ("test", 10)):
        data = Cifar10(realdata / layout, split=split, batch_size=10 * count, augment=False)
        images, labels = all_of(data)
        np.testing.assert_array_equal(np.bincount(labels), [count] * 10)
        assert images.shape == (10 * count, 3, 32, 32) and data.index2label[3] == "cat"
        # The statistics of the whole data set, within what a hundred images allow.
        assert np.abs(images.mean(axis=(0, 2, 3))).max() < 0.2 and np.abs(images.std() - 1.2) < 0.2


@pytest.mark.realdata
def test_both_layouts_of_the_real_images_agree(realdata):
    python, binary = (
        all_of(Cifar10(realdata / layout, split="test")) for layout in (PYTHON, BINARY)
    )
    np.testing.assert_array_equal(python[0], binary[0])
    np.testing.assert_array_equal(python[1], binary[1])
