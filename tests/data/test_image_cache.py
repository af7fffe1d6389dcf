"""Copies of training images: the same pixels wherever they are kept, whole or not at all, within a bound."""

import errno
import os
from pathlib import Path

import mindspore
import numpy as np
import pytest
from PIL import Image

from mindres import files
from mindres.data import image_cache, image_copies
from mindres.data.folder import ImageFolder
from mindres.data.photo import Photo
from mindres.errors import UserError
from mindres.runs.config import difference
from mindres.training import balance

OPTIONS = {"resize": 16, "batch_size": 4}
CACHES = ("ram", "disk", "auto")


@pytest.fixture
def photos(tmp_path):
    """Photographs of soft colours in two classes, of several sizes and formats."""
    random = np.random.default_rng(0)
    for i in range(22):
        path = tmp_path / "photos" / ("val" if i > 17 else "train") / "ab"[i % 2]
        path.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 256, (5, 7, 3), np.uint8))
        size = (10, 12) if i == 3 else (90 + i, 60)
        kind = "png" if i % 3 else "jpg"
        coarse.resize(size, Image.Resampling.BICUBIC).save(path / f"{i}.{kind}")
    return tmp_path / "photos"


def epoch(data, seed, skip=0):
    """The batches of an epoch as a training sees them that begins it at batch `skip`."""
    mindspore.dataset.config.set_seed(seed)
    batches = data.run().skip(skip) if skip else data.run()
    return [
        each.copy() for each, _ in batches.create_tuple_iterator(num_epochs=1, output_numpy=True)
    ]


def kept():
    folder = files.cache_dir() / "images"
    return sorted(os.listdir(folder)) if folder.exists() else []


@pytest.mark.parametrize("options", [{}, {"auto_augment": "randaugment"}], ids=["crops", "policy"])
def test_a_training_sees_the_same_with_every_cache_and_number_of_workers(photos, options):
    options = {**OPTIONS, **options}
    wanted = None
    for cache in CACHES:
        for workers in (1, 3):
            data = ImageFolder(
                photos, "train", cache=cache, num_parallel_workers=workers, **options
            )
            found = [epoch(data, seed) for seed in (1, 2, 3)]
            wanted = wanted or found
            np.testing.assert_array_equal(found, wanted)
    [file] = kept()
    assert file.endswith(".copies")


@pytest.mark.parametrize("cache", CACHES)
def test_a_training_that_was_stopped_in_the_middle_of_an_epoch_goes_on_as_it_would_have(
    photos, cache
):
    whole = ImageFolder(photos, "train", cache=cache, num_parallel_workers=2, **OPTIONS)
    first, second = epoch(whole, 1), epoch(whole, 2)
    (files.cache_dir() / "images").mkdir(exist_ok=True)
    for name in kept():  # as if the first epoch had not ended
        os.unlink(files.cache_dir() / "images" / name)
    resumed = ImageFolder(photos, "train", cache=cache, num_parallel_workers=3, **OPTIONS)
    np.testing.assert_array_equal(epoch(resumed, 1, skip=2), first[2:])
    np.testing.assert_array_equal(epoch(resumed, 2), second)
    again = ImageFolder(photos, "train", cache=cache, num_parallel_workers=2, **OPTIONS)
    np.testing.assert_array_equal(epoch(again, 2, skip=1), second[1:])


@pytest.mark.parametrize("cache", CACHES)
def test_validation_sees_the_same_with_every_cache(photos, cache):
    plain = ImageFolder(photos, "val", **OPTIONS)
    data = ImageFolder(photos, "val", cache=cache, num_parallel_workers=2, **OPTIONS)
    for _ in range(2):
        for found, wanted in zip(epoch(data, 1), epoch(plain, 1), strict=True):
            np.testing.assert_array_equal(found, wanted)
    for path in photos.glob("val/*/*"):
        path.unlink()
    assert len(epoch(data, 1)) == 1  # no file is read any more
    assert len(kept()) == (cache == "disk")


def test_features_are_those_of_the_images_and_not_of_copies(photos):
    data = ImageFolder(photos, "train", cache="ram", **OPTIONS)
    epoch(data, 1)
    plain = ImageFolder(photos, "train", **OPTIONS).plain()
    for found, wanted in zip(epoch(data.plain(), 1), epoch(plain, 1), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_all_copies_are_there_after_an_epoch_even_if_some_images_were_never_drawn(photos):
    data = balance.sampled(ImageFolder(photos, "train", cache="disk", **OPTIONS))
    drawn = np.random.default_rng(0).choice(18, 18)
    assert len(set(drawn.tolist())) < 14
    for number in drawn.tolist():
        image_cache.copies_of(data).read(number)
    [file] = kept()
    assert file.endswith(".copies") and not file.startswith(".")


@pytest.mark.parametrize("cache", CACHES)
def test_without_a_home_folder_training_goes_on(photos, cache, monkeypatch, capfd):
    monkeypatch.delenv("MINDRES_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError()))
    assert len(epoch(ImageFolder(photos, "train", cache=cache, **OPTIONS), 1)) == 4
    err = capfd.readouterr().err
    assert err.count("\n") == (cache == "disk") and (cache != "disk" or "no home" in err)


def test_images_no_larger_than_a_copy_are_trained_on_as_they_are(photos):
    plain, copied = (
        ImageFolder(photos, "train", cache=cache, resize=80, batch_size=4)
        for cache in ("none", "ram")
    )
    np.testing.assert_array_equal(epoch(plain, 1), epoch(copied, 1))


@pytest.mark.parametrize("name", ["0.jpg", "4.png"])
def test_a_copy_is_the_image_made_smaller(photos, name):
    path = next(photos.glob(f"train/*/{name}"))
    copy = image_copies.make_copy(Photo(os.fsencode(path)), (16, 20))
    assert copy.shape == (18, round(Image.open(path).width * 1.15 * 16 / 60), 3)
    smaller = Image.open(path).resize(copy.shape[1::-1], Image.Resampling.BOX)
    assert np.abs(copy.astype(int) - np.asarray(smaller)).mean() < 3


def test_another_image_or_another_size_has_other_copies(photos):
    epoch(ImageFolder(photos, "train", cache="disk", **OPTIONS), 1)
    path = next(photos.glob("train/a/2.png"))
    Image.new("RGB", (90, 60), "white").save(path)
    changed = ImageFolder(photos, "train", cache="disk", **OPTIONS)
    white = image_cache.copies_of(changed).read(changed.files().index(path))
    assert (white == 255).all()
    epoch(changed, 1)
    epoch(ImageFolder(photos, "train", cache="disk", resize=20, batch_size=4), 1)
    assert len(kept()) == 3


def test_the_images_that_an_epoch_leaves_out_are_copied_with_the_last(photos, capsys):
    data = ImageFolder(photos, "train", cache="disk", resize=16, batch_size=16)  # of 18
    epoch(data, 1)
    [file] = kept()
    assert file.endswith(".copies")
    for path in photos.glob("train/*/*"):  # of the same size and time, but no image any more
        stat = path.stat()
        path.write_bytes(b"\xff\xd8\xff" + bytes(stat.st_size - 5) + b"\xff\xd9")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    epoch(ImageFolder(photos, "train", cache="disk", resize=16, batch_size=9), 2)
    assert "read from their copies" in capsys.readouterr().out


def test_a_full_disk_ends_in_training_without_copies_and_one_line(photos, monkeypatch, capfd):
    wanted = [epoch(ImageFolder(photos, "train", cache="ram", **OPTIONS), seed) for seed in (1, 2)]
    capfd.readouterr()
    writes = []

    def write(file, content, offset, real=os.pwrite):
        writes.append(offset)
        if len(writes) > 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, content, offset)

    monkeypatch.setattr(os, "pwrite", write)
    data = ImageFolder(photos, "train", cache="disk", num_parallel_workers=3, **OPTIONS)
    np.testing.assert_array_equal([epoch(data, seed) for seed in (1, 2)], wanted)
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith("mindres: warning: copies of the training images cannot be kept: No sp")
    assert not kept()


def test_what_a_training_leaves_that_ends_early_is_removed(photos):
    data = ImageFolder(photos, "train", cache="disk", **OPTIONS)
    image_cache.copies_of(data).read(0)
    [part] = kept()
    assert part.startswith(".") and ".part" in part
    killed = files.cache_dir() / "images" / part.replace(f"-{os.getpid()}-", "-4194305-")
    killed.write_bytes(b"left by a process that was killed")
    del data
    assert kept() == [killed.name]
    epoch(ImageFolder(photos, "train", cache="disk", resize=20, batch_size=4), 1)
    [file] = kept()
    assert file.endswith(".copies") and not file.startswith(".")


@pytest.mark.parametrize("cache", CACHES)
def test_more_than_is_free_is_not_kept(photos, cache, monkeypatch, capfd):
    monkeypatch.setattr(image_cache, "free_memory", lambda: 10_000)
    monkeypatch.setattr(image_cache, "_free_disk", lambda folder, needed: 10_000)
    data = ImageFolder(photos, "train", cache=cache, **OPTIONS)
    assert len(epoch(data, 1)) == 4 and not kept()
    out, err = capfd.readouterr()
    assert not out and err.count("\n") == 1 and "are not kept: more than" in err


def test_copies_larger_than_their_sample_are_dropped(photos, monkeypatch, capfd):
    monkeypatch.setattr(image_cache, "_bytes_of_copies", lambda data, numbers: 1000)
    monkeypatch.setattr(image_cache, "free_memory", lambda: 20_000)
    epoch(ImageFolder(photos, "train", cache="ram", **OPTIONS), 1)
    assert "larger than their sample" in capfd.readouterr().err


def test_older_copies_make_room(photos, monkeypatch):
    folder = files.make_folder(files.cache_dir() / "images")
    for age, name in enumerate(("newest", "older", "oldest")):
        (folder / f"{name}.copies").write_bytes(bytes(10))
        os.utime(folder / f"{name}.copies", (1000 - age, 1000 - age))
    free = iter((100, 200, 300))
    usage = type("Usage", (), {})
    monkeypatch.setattr(
        image_cache.psutil, "disk_usage", lambda place: setattr(usage, "free", next(free)) or usage
    )
    assert image_cache._free_disk(Path(folder), 250) == 300
    assert kept() == ["newest.copies"]


def test_a_cache_folder_that_cannot_be_written_ends_in_training_without(photos, monkeypatch, capfd):
    (files.cache_dir()).mkdir(parents=True, exist_ok=True)
    (files.cache_dir() / "images").write_bytes(b"no folder")
    assert len(epoch(ImageFolder(photos, "train", cache="disk", **OPTIONS), 1)) == 4
    assert "are not kept: cannot write to the folder" in capfd.readouterr().err


def test_the_memory_of_a_container_counts(tmp_path, monkeypatch):
    limit, used = tmp_path / "memory.max", tmp_path / "memory.current"
    monkeypatch.setattr(image_cache, "LIMITS", {limit: used})
    free = image_cache.free_memory()
    assert free > 1000
    used.write_text("400\n")
    for text, wanted in (("max\n", None), ("1000\n", 600)):
        limit.write_text(text)
        assert wanted is None or image_cache.free_memory() == wanted


def test_what_is_asked_for_is_checked_and_noted(photos):
    with pytest.raises(
        UserError, match="unknown cache 'tape': choose one of none, auto, ram, disk"
    ):
        ImageFolder(photos, "train", cache="tape")
    assert difference({"cache": "ram"}, {}, {}) == "cache"  # the run saw other pixels
    assert difference({"num_parallel_workers": 2}, {"num_parallel_workers": 1}, {}) is None
