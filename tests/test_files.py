"""Files come whole or not at all: writing beside and renaming over, downloads from a bad server, archives."""

import ctypes
import email.message
import errno
import hashlib
import io
import itertools
import os
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
import urllib.response
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import clean_environment

from mindres import addresses, checksums, download, files, transfer
from mindres.data import archives
from mindres.errors import UserError

BODY = bytes(range(256)) * 2000
NOTHING = []


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """Records how long the downloads would have waited between attempts."""
    waited = []
    monkeypatch.setattr(download.time, "sleep", waited.append)
    return waited


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


def one_line(error):
    text = str(error.value)
    assert text and "\n" not in text
    return text


# atomic_write


def test_atomic_write_puts_the_new_file_in_place_only_at_the_end(tmp_path):
    path = tmp_path / "new folder" / "file.bin"
    with files.atomic_write(path) as part:
        part.write_bytes(b"new")
        assert part.parent == path.parent and part.suffix == ".bin" and not path.exists()
    assert path.read_bytes() == b"new" and left_in(path.parent) == ["file.bin"]


def test_an_exception_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), files.atomic_write(path) as part:
        part.write_bytes(b"half")
        1 / 0  # noqa: B018
    assert path.read_bytes() == b"old" and left_in(tmp_path) == ["file.bin"]


def test_a_kill_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    code = f"""
import os, signal
from mindres.files import atomic_write
with atomic_write({str(path)!r}) as part:
    part.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], env=clean_environment())
    assert done.returncode == -signal.SIGKILL and path.read_bytes() == b"old"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_leaves_the_old_file(tmp_path, code):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with pytest.raises(UserError) as error, files.atomic_write(path):
        raise OSError(code, os.strerror(code))
    message = one_line(error)
    assert str(path) in message and os.strerror(code) in message and "unchanged" in message
    assert path.read_bytes() == b"old" and left_in(tmp_path) == ["file.bin"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_really_full_device(tmp_path):
    with (
        pytest.raises(UserError, match="No space left on device"),
        files.atomic_write(tmp_path / "file.bin"),
        open("/dev/full", "wb", buffering=0) as full,
    ):
        full.write(b"x")
    assert left_in(tmp_path) == []


def test_a_file_in_the_folders_place(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="cannot write to the folder") as error,
        files.atomic_write(tmp_path / "file" / "inner.bin"),
    ):
        pass
    assert "name another one" in one_line(error)


def test_a_folder_without_permission(tmp_path):
    """In a thread without capabilities: root's are above a folder's permissions."""

    def write():
        version_3, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        assert ctypes.CDLL(None).capset(version_3, none) == 0
        with files.atomic_write(tmp_path / "file.bin"):
            pass

    tmp_path.chmod(0o500)
    try:
        with ThreadPoolExecutor(1) as thread, pytest.raises(UserError, match="Permission denied"):
            thread.submit(write).result()
    finally:
        tmp_path.chmod(0o700)


def test_a_folder_in_the_files_place(tmp_path):
    (tmp_path / "file.bin" / "inner").mkdir(parents=True)
    with (
        pytest.raises(UserError, match="it is a folder, not a file; name another file"),
        files.atomic_write(tmp_path / "file.bin") as part,
    ):
        part.write_bytes(b"new")
    assert left_in(tmp_path) == ["file.bin"] and left_in(tmp_path / "file.bin") == ["inner"]


def a_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def a_device(path):
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 7))  # as /dev/full
    except PermissionError:
        pytest.skip("only root makes devices")


NODES = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a device": a_device,
    "a socket": a_socket,
}


@pytest.mark.parametrize("through_a_link", [False, True])
@pytest.mark.parametrize("kind", NODES)
def test_what_is_no_regular_file_is_refused_and_stays(tmp_path, kind, through_a_link):
    node, path = tmp_path / "node", tmp_path / "out.bin"
    NODES[kind](node if through_a_link else path)
    if through_a_link:
        path.symlink_to("node")
    before = path.lstat()
    with pytest.raises(UserError) as error, files.atomic_write(path) as part:
        part.write_bytes(b"new")
    assert one_line(error) == f"cannot write {path}: it is {kind}, not a file; name another file"
    assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert left_in(tmp_path) == (["node", "out.bin"] if through_a_link else ["out.bin"])


def test_what_became_a_pipe_meanwhile_is_refused(tmp_path):
    path = tmp_path / "out.bin"
    with pytest.raises(UserError, match="it is a pipe"), files.atomic_write(path) as part:
        part.write_bytes(b"new")
        os.mkfifo(path)
    assert path.is_fifo() and left_in(tmp_path) == ["out.bin"]


@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_keeps_pointing_and_its_target_is_replaced(tmp_path, there):
    (tmp_path / "store").mkdir()
    target, link = tmp_path / "store" / "real.bin", tmp_path / "link.bin"
    (tmp_path / "middle.bin").symlink_to("store/real.bin")
    link.symlink_to("middle.bin")
    if there:
        target.write_bytes(b"old")
    with files.atomic_write(link) as part:
        part.write_bytes(b"new")
        assert part.parent == target.parent, "the rename is within one file system"
    assert link.is_symlink() and link.readlink().name == "middle.bin"
    assert target.read_bytes() == b"new" and left_in(tmp_path / "store") == ["real.bin"]


def test_a_link_to_itself(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UserError, match="symbolic links"), files.atomic_write(tmp_path / "loop"):
        pass
    assert (tmp_path / "loop").is_symlink()


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_the_umask_is_honoured(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with files.atomic_write(tmp_path / "file.bin") as part:
            part.write_bytes(b"new")
        assert os.umask(umask) == umask, "and left as it was"
    finally:
        os.umask(before)
    assert (tmp_path / "file.bin").stat().st_mode & 0o777 == mode


def test_names_near_the_limit(tmp_path):
    path = tmp_path / ("x" * 250 + ".bin")
    with files.atomic_write(path) as part:
        part.write_bytes(b"new")
    assert path.read_bytes() == b"new"


# download


def test_download_and_verify(http_server, tmp_path):
    http_server.files["/a.bin"] = BODY
    path = download.download(
        http_server.url + "/a.bin",
        tmp_path / "sub" / "a.bin",
        md5=hashlib.md5(BODY).hexdigest(),
        sha256=hashlib.sha256(BODY).hexdigest()[:8].upper(),
    )
    assert path == tmp_path / "sub" / "a.bin" and path.read_bytes() == BODY
    assert len(http_server.requests) == 1


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_wrong_hash_is_refused_and_nothing_is_left(http_server, tmp_path, kind):
    http_server.files["/a.bin"] = BODY
    with pytest.raises(UserError, match="damaged or not the published file") as error:
        download.download(http_server.url + "/a.bin", tmp_path / "a.bin", **{kind: "0123abcd"})
    assert kind.upper() in one_line(error) and "0123abcd" in str(error.value)
    assert left_in(tmp_path) == NOTHING


def test_wrong_hash_keeps_the_file_that_was_there(http_server, tmp_path):
    http_server.files["/a.bin"] = BODY
    (tmp_path / "a.bin").write_bytes(b"old")
    with pytest.raises(UserError):
        download.download(http_server.url + "/a.bin", tmp_path / "a.bin", md5="0123abcd")
    assert (tmp_path / "a.bin").read_bytes() == b"old"


def test_a_cut_transfer_is_resumed(http_server, tmp_path, no_waiting):
    http_server.files["/a.bin"] = BODY
    http_server.faults["/a.bin"] = ["cut 300000", "cut 100000"]
    path = download.download(
        http_server.url + "/a.bin", tmp_path / "a.bin", sha256=hashlib.sha256(BODY).hexdigest()
    )
    assert path.read_bytes() == BODY and left_in(tmp_path) == ["a.bin"]
    first, second, third = http_server.asked("/a.bin")
    etag = f'"{hashlib.sha256(BODY).hexdigest()}"'
    assert "Range" not in first
    assert (second["Range"], second["If-Range"]) == ("bytes=300000-", etag)
    assert (third["Range"], third["If-Range"]) == ("bytes=400000-", etag)
    assert no_waiting == [1, 2]


def test_a_file_that_changed_meanwhile_starts_over(http_server, tmp_path, monkeypatch):
    http_server.files["/a.bin"] = BODY
    http_server.faults["/a.bin"] = ["cut 300000"]
    changed = BODY[::-1]
    monkeypatch.setattr(
        download.time, "sleep", lambda _: http_server.files.update({"/a.bin": changed})
    )
    path = download.download(http_server.url + "/a.bin", tmp_path / "a.bin")
    assert (
        http_server.asked("/a.bin")[1]["Range"] == "bytes=300000-" and path.read_bytes() == changed
    )


@pytest.mark.parametrize("missing", ["ranges", "etags"])
def test_a_server_that_cannot_resume_is_asked_for_the_whole(http_server, tmp_path, missing):
    setattr(http_server, missing, False)
    http_server.files["/a.bin"] = BODY
    http_server.faults["/a.bin"] = ["cut 300000"]
    assert download.download(http_server.url + "/a.bin", tmp_path / "a.bin").read_bytes() == BODY
    assert ("Range" in http_server.asked("/a.bin")[1]) == (missing == "ranges"), (
        "no proof of sameness, no Range"
    )


@pytest.mark.parametrize("lengths", [True, False])
def test_an_empty_file(http_server, tmp_path, lengths):
    http_server.lengths = lengths
    http_server.files["/a.bin"] = b""
    path = download.download(
        http_server.url + "/a.bin", tmp_path / "a.bin", md5=hashlib.md5().hexdigest()
    )
    assert path.read_bytes() == b""


def test_a_body_shorter_than_announced_is_never_a_file(http_server, tmp_path):
    http_server.files["/a.bin"] = BODY
    http_server.excess = 1
    with pytest.raises(UserError, match=r"cannot download .*512,000 of 512,001 bytes"):
        download.download(http_server.url + "/a.bin", tmp_path / "a.bin")
    assert left_in(tmp_path) == NOTHING and len(http_server.requests) == download.ATTEMPTS


def test_unknown_length_needs_a_hash(http_server, tmp_path):
    http_server.files["/a.bin"] = BODY
    http_server.lengths = False
    with pytest.raises(UserError, match="does not state its length"):
        download.download(http_server.url + "/a.bin", tmp_path / "a.bin")
    assert left_in(tmp_path) == NOTHING
    download.download(
        http_server.url + "/a.bin", tmp_path / "a.bin", md5=hashlib.md5(BODY).hexdigest()
    )
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_a_missing_file_is_asked_for_once(http_server, tmp_path, no_waiting):
    with pytest.raises(UserError) as error:
        download.download(http_server.url + "/none.bin", tmp_path / "a.bin")
    message = one_line(error)
    assert f"cannot download {http_server.url}/none.bin" in message and "404" in message
    assert str(tmp_path / "a.bin") in message, "says where to put it by hand"
    assert left_in(tmp_path) == NOTHING and len(http_server.requests) == 1 and no_waiting == []


def test_a_busy_server_is_asked_again(http_server, tmp_path, no_waiting):
    http_server.files["/a.bin"] = BODY
    http_server.faults["/a.bin"] = ["503", "503"]
    assert download.download(http_server.url + "/a.bin", tmp_path / "a.bin").read_bytes() == BODY
    assert no_waiting == [1, 2]


def test_a_server_that_stays_busy(http_server, tmp_path):
    http_server.faults["/a.bin"] = ["503"] * 10
    with pytest.raises(UserError, match="the server answered 503"):
        download.download(http_server.url + "/a.bin", tmp_path / "a.bin")
    assert len(http_server.requests) == download.ATTEMPTS and left_in(tmp_path) == NOTHING


@pytest.mark.parametrize(
    ("said", "waited"),
    [
        ("7", 7),
        ("9999", download.LONGEST_WAIT_S),
        ("soon", 1),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 1),
    ],
)
def test_the_server_says_how_long_to_wait(said, waited):
    headers = email.message.Message()
    headers["Retry-After"] = said
    error = urllib.error.HTTPError("http://localhost", 429, "Too Many Requests", headers, None)
    assert max(1, min(download._retry_after(error), download.LONGEST_WAIT_S)) == waited


def test_nine_cuts_that_each_bring_something_new(http_server, tmp_path):
    http_server.files["/a.bin"] = BODY
    http_server.faults["/a.bin"] = [f"cut {len(BODY) // 10}"] * 9
    assert download.download(http_server.url + "/a.bin", tmp_path / "a.bin").read_bytes() == BODY
    assert len(http_server.requests) == 10


def test_a_server_that_drips(http_server, tmp_path, monkeypatch):
    http_server.files["/a.bin"] = BODY * 10
    monkeypatch.setattr(transfer, "SLOWEST", 1e12)
    clock = itertools.count(0, transfer.TIMEOUT_S + 1)
    monkeypatch.setattr(download.time, "monotonic", lambda: next(clock))
    with pytest.raises(UserError, match="the server sends fewer than"):
        download.download(http_server.url + "/a.bin", tmp_path / "a.bin")
    assert left_in(tmp_path) == NOTHING


def test_a_body_without_end(http_server, tmp_path, monkeypatch):
    http_server.files["/a.bin"] = BODY
    monkeypatch.setattr(transfer, "LARGEST_DOWNLOAD", len(BODY) - 1)
    with pytest.raises(UserError, match="sends more than 511,999 bytes"):
        download.download(http_server.url + "/a.bin", tmp_path / "a.bin")
    assert left_in(tmp_path) == NOTHING


def test_nobody_listens(http_server, tmp_path):
    with pytest.raises(UserError, match="Connection refused"):
        download.download("http://127.0.0.1:9/a.bin", tmp_path / "a.bin")
    assert left_in(tmp_path) == NOTHING


def test_a_redirect_is_followed(http_server, tmp_path):
    http_server.files["/b.bin"] = BODY
    http_server.faults["/a.bin"] = [f"redirect {http_server.url}/b.bin"]
    assert download.download(http_server.url + "/a.bin", tmp_path / "a.bin").read_bytes() == BODY


def test_a_redirect_from_https_to_http_is_refused(http_server, tmp_path, monkeypatch):
    http_server.files["/a.bin"] = BODY

    class Secure(urllib.request.HTTPSHandler):
        """Answers every https request with a redirect to the unencrypted server."""

        def https_open(self, request):
            headers = email.message.Message()
            headers["Location"] = http_server.url + "/a.bin?token=secret"
            response = urllib.response.addinfourl(io.BytesIO(), headers, request.full_url, 302)
            response.msg = "Found"
            return response

    handlers = [
        type(handler)
        for handler in transfer._OPENER.handlers
        if type(handler).__module__ == "mindres.transfer"
    ]
    monkeypatch.setattr(transfer, "_OPENER", urllib.request.build_opener(Secure, *handlers))
    with pytest.raises(UserError, match="unencrypted") as error:
        download.download("https://user:password@example.org/a.bin?key=secret", tmp_path / "a.bin")
    assert "secret" not in one_line(error) and "password" not in str(error.value)
    assert http_server.requests == [] and left_in(tmp_path) == NOTHING


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/a.bin", "a.bin"])
def test_other_addresses_are_refused(tmp_path, url):
    with pytest.raises(UserError, match="not an http or https URL"):
        download.download(url, tmp_path / "a.bin")


def test_a_full_disk_ends_a_download_at_once(http_server, tmp_path, monkeypatch):
    http_server.files["/a.bin"] = BODY

    class FullDisk(io.FileIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(
        transfer, "open", lambda path, mode: FullDisk(path, mode.replace("b", "")), raising=False
    )
    with pytest.raises(UserError, match="No space left"):
        download.download(http_server.url + "/a.bin", tmp_path / "a.bin")
    assert left_in(tmp_path) == NOTHING and len(http_server.requests) == 1


def test_mirror(monkeypatch):
    url = "https://download.mindspore.cn/vision/classification/resnet50_224.ckpt"
    assert addresses.mirror_url(url) == url
    monkeypatch.setenv("MINDRES_MIRROR", "http://mirror.example/store/")
    assert (
        addresses.mirror_url(url)
        == "http://mirror.example/store/vision/classification/resnet50_224.ckpt"
    )


# extract


def archive_of(path, members, mode="w:gz"):
    """Write a tar archive of (name, bytes or ready TarInfo) pairs."""
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def link(name, target, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return name, info


def test_extract_takes_only_what_is_asked_for(tmp_path):
    archive = archive_of(
        tmp_path / "a.tar.gz", [("set/one", b"1"), ("set/two", b"2"), ("set/readme", b"r")]
    )
    archives.extract(archive, tmp_path / "out", {"one", "two"})
    assert (
        left_in(tmp_path / "out") == ["one", "two"]
        and (tmp_path / "out" / "two").read_bytes() == b"2"
    )


def test_no_member_leaves_the_folder(tmp_path):
    archive = archive_of(tmp_path / "a.tar.gz", [("../../one", b"1"), (f"{tmp_path}/two", b"2")])
    archives.extract(archive, tmp_path / "deep" / "out", {"one", "two"})
    assert left_in(tmp_path / "deep" / "out") == ["one", "two"]
    assert left_in(tmp_path) == ["a.tar.gz", "deep"] and left_in(tmp_path / "deep") == ["out"]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
)
def test_links_and_devices_are_no_files(tmp_path, kind):
    archive = archive_of(tmp_path / "a.tar.gz", [link("set/one", "/etc/passwd", kind)])
    with pytest.raises(UserError, match="does not hold one"):
        archives.extract(archive, tmp_path / "out", {"one"})
    assert not (tmp_path / "out").exists()


def test_a_link_that_is_there_already_is_replaced_not_followed(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "out" / "one").symlink_to(tmp_path / "precious")
    archives.extract(
        archive_of(tmp_path / "a.tar", [("one", b"1")], "w"), tmp_path / "out", {"one"}
    )
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert (
        not (tmp_path / "out" / "one").is_symlink()
        and (tmp_path / "out" / "one").read_bytes() == b"1"
    )


def test_a_missing_member_is_named(tmp_path):
    archive = archive_of(tmp_path / "a.tar.gz", [("one", b"1")])
    with pytest.raises(UserError, match=r"a\.tar\.gz does not hold two"):
        archives.extract(archive, tmp_path / "out", {"one", "two"})


@pytest.mark.parametrize("keep", [0, 1, 10, 0.3, 0.9])
def test_a_truncated_archive(tmp_path, keep):
    archive = archive_of(
        tmp_path / "a.tar.gz", [("one", os.urandom(50_000)), ("two", os.urandom(50_000))]
    )
    content = archive.read_bytes()
    archive.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(UserError) as error:
        archives.extract(archive, tmp_path / "out", {"one", "two"})
    assert str(archive) in one_line(error)
    if (tmp_path / "out").exists():
        assert all(
            (tmp_path / "out" / name).stat().st_size == 50_000 for name in left_in(tmp_path / "out")
        )


@pytest.mark.parametrize("limit", ["member", "archive", "members"])
def test_an_archive_beyond_its_limits(tmp_path, limit):
    archive = archive_of(tmp_path / "a.tar.gz", [("other", bytes(3000)), ("one", bytes(3000))])
    archives.extract(archive, tmp_path / "out", {"one"})
    with pytest.raises(UserError, match=r"more than 1 (bytes|members)"):
        archives.extract(archive, tmp_path / "again", {"one"}, archives.Limits(**{limit: 1}))
    assert not (tmp_path / "again").exists() or left_in(tmp_path / "again") == NOTHING


def test_no_archive_at_all(tmp_path):
    (tmp_path / "a.tar.gz").write_text("<html>Not found</html>")
    with pytest.raises(UserError, match="cannot be unpacked"):
        archives.extract(tmp_path / "a.tar.gz", tmp_path / "out", {"one"})
    with pytest.raises(UserError, match="No such file"):
        archives.extract(tmp_path / "b.tar.gz", tmp_path / "out", {"one"})


# cache


def test_cache_dir(monkeypatch, tmp_path):
    monkeypatch.setenv("MINDRES_CACHE", str(tmp_path))
    assert files.cache_dir() == tmp_path
    monkeypatch.delenv("MINDRES_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert str(files.cache_dir()) == "/xdg/mindres"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert str(files.cache_dir()) == "/home/someone/.cache/mindres"


def test_no_home_at_all(monkeypatch):
    for name in ("MINDRES_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(
        download.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home"))
    )
    with pytest.raises(UserError, match="set MINDRES_CACHE"):
        files.cache_dir()


def test_digest_reads_in_pieces(tmp_path):
    content = os.urandom(3_000_000)
    (tmp_path / "a").write_bytes(content)
    assert checksums.digest(tmp_path / "a", "sha256") == hashlib.sha256(content).hexdigest()
