"""The kept list of class folders: it is used while nothing changed, and every change is noticed."""

import os
import shutil
import time
from types import SimpleNamespace

import pytest
from PIL import Image

from mindres import files
from mindres.data import class_folders as module
from mindres.data.class_folders import class_folders
from mindres.data.folder import ImageFolder


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Photographs in folders whose times are settled."""
    monkeypatch.setattr(module, "SETTLED", 0)
    for name in ("ant/0", "ant/1", "ant/deep/2", "ant/z", "bee/3", "bee/4"):
        path = tmp_path / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    time.sleep(0.02)  # the clocks of file systems tick every few milliseconds
    return tmp_path / "photos"


@pytest.fixture
def reads(photos, monkeypatch):
    """The folders of the photographs that are read."""
    found = []
    original = os.scandir

    def scandir(path):
        if str(path).startswith(str(photos)):
            found.append(os.path.basename(path))
        return original(path)

    monkeypatch.setattr("mindres.data.image_files.os.scandir", scandir)
    return found


def names(photos):
    images = class_folders(photos).images
    return {name: blob.decode().split("\0")[:-1] for name, blob in images.items()}


def kept():
    return list((files.cache_dir() / "datasets").glob("*.tree.npz"))


def test_folders_that_did_not_change_are_not_read_again(photos, reads):
    first = names(photos)
    assert first == {
        "ant": ["ant/0.png", "ant/1.png", "ant/deep/2.png", "ant/z.png"],
        "bee": ["bee/3.png", "bee/4.png"],
    }
    assert reads == ["ant", "deep", "bee"] and names(photos) == first
    assert len(reads) == 3
    assert [str(p) for p in ImageFolder(photos, "all").files()] == [
        str(photos / name) for name in (*first["ant"], *first["bee"])
    ]


CHANGES = {
    "added": lambda p: shutil.copy(p / "bee/3.png", p / "ant/deep/5.png"),
    "removed": lambda p: (p / "bee/4.png").unlink(),
    "renamed": lambda p: (p / "ant/deep/2.png").rename(p / "ant/deep/6.png"),
    "moved": lambda p: (p / "ant/deep/2.png").rename(p / "bee/2.png"),
    "a folder added": lambda p: shutil.copytree(p / "bee", p / "ant/deep/more"),
    "a folder removed": lambda p: shutil.rmtree(p / "ant/deep"),
    "a folder renamed": lambda p: (p / "ant/deep").rename(p / "ant/other"),
    "a class added": lambda p: shutil.copytree(p / "bee", p / "cat"),
    "a class removed": lambda p: shutil.rmtree(p / "bee"),
    "a class renamed": lambda p: (p / "bee").rename(p / "wasp"),
    "a class replaced": lambda p: (
        (p / "bee").rename(p.parent / "x"),
        shutil.copytree(p / "ant", p / "bee"),
    ),
    "a class hidden": lambda p: (p / "bee").rename(p / ".bee"),
    "the whole replaced": lambda p: (
        p.rename(p.parent / "y"),
        shutil.copytree(p.parent / "y/ant", p),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_noticed(photos, monkeypatch, change):
    first = names(photos)
    before = {path: path.stat() for path in photos.rglob("*") if path.is_dir()}
    CHANGES[change](photos)
    for path, stat in before.items():  # as rsync and tar do
        if path.is_dir():
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    found = names(photos)
    shutil.rmtree(files.cache_dir() / "datasets")
    assert found == names(photos) != first


def test_a_folder_that_changed_a_moment_ago_is_read_again(photos, reads, monkeypatch):
    monkeypatch.setattr(module, "SETTLED", 2)
    names(photos)
    names(photos)
    assert len(reads) == 6
    later = SimpleNamespace(time_ns=lambda: time.time_ns() + 3 * 10**9)
    monkeypatch.setattr(module, "time", later)
    names(photos)
    names(photos)
    assert len(reads) == 9


def test_links_to_classes_are_followed(photos, tmp_path):
    (photos / "bee").rename(tmp_path / "elsewhere")
    (photos / "bee").symlink_to(tmp_path / "elsewhere")
    time.sleep(0.02)
    assert names(photos)["bee"] == ["bee/3.png", "bee/4.png"]
    (tmp_path / "elsewhere" / "3.png").unlink()
    assert names(photos)["bee"] == ["bee/4.png"]


def test_a_damaged_or_foreign_list_is_made_again(photos, reads, tmp_path):
    wanted = names(photos)
    [path] = kept()
    whole = path.read_bytes()
    other = tmp_path / "other"
    shutil.copytree(photos / "ant", other / "ant")
    time.sleep(0.02)
    names(other)
    [foreign] = [each.read_bytes() for each in kept() if each != path]
    middle = whole.index(b"bee/3.png")
    flipped = whole[:middle] + b"x" + whole[middle + 1 :]
    for content in (b"", whole[:-9], whole[: len(whole) // 2], flipped, foreign, b"\x93NUMPY"):
        path.write_bytes(content)
        reads.clear()
        assert names(photos) == wanted and len(reads) == 3
        assert path.read_bytes() != content


@pytest.mark.parametrize("home", [True, False])
def test_without_a_cache_folders_are_read_each_time(photos, reads, capfd, monkeypatch, home):
    monkeypatch.setenv("MINDRES_CACHE", str(photos / "ant/0.png/no folder"))
    if not home:
        monkeypatch.delenv("MINDRES_CACHE")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(module.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError()))
    for _ in range(2):
        assert len(ImageFolder(photos, "all")) == 6
    assert len(reads) == 6 and capfd.readouterr() == ("", "")


def test_a_mounted_cloud_is_read_each_time(photos, reads, monkeypatch):
    mounts = [SimpleNamespace(mountpoint="/", fstype="ext4")]
    monkeypatch.setattr(module.psutil, "disk_partitions", lambda all: mounts)
    names(photos)
    names(photos)
    assert len(reads) == 3
    mounts.append(SimpleNamespace(mountpoint=str(photos.parent), fstype="fuse.rclone"))
    names(photos)
    assert len(reads) == 6
