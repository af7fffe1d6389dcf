"""Archives that reach outside, bombs, and headers that promise more than the file holds."""

from __future__ import annotations

import atexit
import functools
import gzip
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
from fault import Fault, Try, clean_environment, expect

MEMORY = 1 << 30
DISK = 300 << 20  # one file of a dataset, at most, and what was there
SPECIAL = {
    "symbolic link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "pipe": tarfile.FIFOTYPE,
    "folder": tarfile.DIRTYPE,
}

# Runs each line of Python that comes as the command line does, in a process of its own, and says what it cost.
SERVER = """
import json, os, resource, sys, tempfile
import mindres, mindres.data.images, mindres.weights.formats, mindres.data.archives
from mindres.cli.program import run
import torch
Path = __import__("pathlib").Path
for line in sys.stdin:
    folder, code = json.loads(line)
    with tempfile.TemporaryFile("w+") as said:
        process = os.fork()
        if not process:
            os.dup2(said.fileno(), 2)
            os.chdir(folder)
            try:
                run(lambda: exec(code))
            except SystemExit as left:
                os._exit(left.code)
            except BaseException:
                __import__("traceback").print_exc()
                os._exit(1)
        status, usage = os.wait4(process, 0)[1:]
        said.seek(0)
        mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps([os.waitstatus_to_exitcode(status), (usage.ru_maxrss - mine) * 1024, said.read()]), flush=True)
"""


@functools.cache
def server() -> subprocess.Popen:
    """One process that has imported everything, which takes seconds."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        stderr=subprocess.DEVNULL,
        env=clean_environment(Path(tempfile.mkdtemp())),
    )
    atexit.register(process.kill)
    return process


class Endless(io.RawIOBase):
    """So many zeros."""

    def __init__(self, size):
        self.left = size

    def readable(self):
        return True

    def readinto(self, buffer):
        count = min(len(buffer), self.left)
        buffer[:count] = bytes(count)
        self.left -= count
        return count


def tar(path: Path, members) -> None:
    """Write a .tar.gz of (name, bytes, number of zeros or a special kind) pairs."""
    with gzip.open(path, "wb", 1) as packed, tarfile.open(fileobj=packed, mode="w|") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content in SPECIAL.values():
                info.type, info.linkname = content, "../../precious"
                archive.addfile(info)
            else:
                info.size = len(content) if isinstance(content, bytes) else content
                archive.addfile(
                    info, io.BytesIO(content) if isinstance(content, bytes) else Endless(content)
                )


def cost(attempt: Try, code: str, folder: Path, refused: bool = True) -> None:
    """Run `code` and see that it gave one line, or read the file, with bounded memory and disk."""
    server().stdin.write(json.dumps([str(folder), code]) + "\n")
    server().stdin.flush()
    status, grown, said = json.loads(server().stdout.readline())
    lines = said.strip().splitlines()
    expect(
        status == 2 and len(lines) == 1 and lines[0].startswith("mindres: error: ")
        if refused
        else not status,
        f"{code[:100]}: status {status}, {said[-500:]!r}",
    )
    expect(grown < MEMORY, f"{code[:100]} took {grown:,} bytes of memory")
    used = sum(path.lstat().st_blocks * 512 for path in attempt.folder.rglob("*"))
    expect(used < DISK, f"{code[:100]} left {used:,} bytes on the disk")
    attempt.tries += 1


def escapes(attempt: Try) -> None:
    """Members with names and kinds that reach for a file outside the folder."""
    from mindres.data.archives import extract
    from mindres.errors import UserError

    outside = attempt.folder / "outside"
    for i, (label, members) in enumerate(
        [
            (name, [(name, b"new")])
            for name in (
                "../one",
                "../../one",
                f"{outside}/one",
                "a/../../../one",
                "./one",
                "..\\one",
                "\x1b[2Jone/one",
                "one/",
                "//one",
            )
        ]
        + [(kind, [("one", code)]) for kind, code in SPECIAL.items()]
        + [(f"{kind} first", [("one", code), ("one", b"new")]) for kind, code in SPECIAL.items()]
        + [
            (f"through a {kind}", [("set", code), ("set/one", b"new")])
            for kind, code in SPECIAL.items()
        ]
        + [("twice", [("set/one", b"new"), ("other/one", b"newer")])]
    ):
        place = attempt.folder / str(i) / "deep"
        place.mkdir(parents=True)
        outside.mkdir(exist_ok=True)
        (place.parent / "precious").write_bytes(b"precious")
        tar(attempt.folder / "a.tar.gz", members)
        before = {path for path in attempt.folder.rglob("*")}
        try:
            extract(attempt.folder / "a.tar.gz", place / "out", {"one"})
        except UserError as error:
            expect("\n" not in str(error) and str(error).isprintable(), f"{label}: {str(error)!r}")
        new = {path for path in attempt.folder.rglob("*")} - before - {place / "out"}
        expect(
            new <= {place / "out" / "one"}
            and (place.parent / "precious").read_bytes() == b"precious",
            f"{label}: left {new}",
        )
        for path in new:
            expect(
                path.is_file() and not path.is_symlink() and path.read_bytes() == b"new",
                f"{label}: {path}",
            )
        attempt.tries += 1


def packed_bombs(attempt: Try) -> None:
    """A few megabytes that unpack to gigabytes."""
    folder, size = attempt.folder, 3 << 30
    extract = "mindres.data.archives.extract(Path('a.tar.gz'), Path('out'), {'a'})"
    for members in (
        [("a", size)],
        [("other", size), ("a", b"")],
        [(f"{i}" * 90, b"") for i in range(50_000)],
    ):
        tar(folder / "a.tar.gz", members)
        cost(attempt, extract, folder)
    # A header that is itself gigabytes long: the name of the next member.
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, size
    for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
        info.type = kind
        with gzip.open(folder / "a.tar.gz", "wb", 1) as packed:
            packed.write(info.tobuf(tarfile.GNU_FORMAT))
            for _ in range(size >> 24):
                packed.write(bytes(1 << 24))
        cost(attempt, extract, folder)
    (folder / "mnist").mkdir()
    for name in ("images-idx3", "labels-idx1"):
        with gzip.open(folder / "mnist" / f"train-{name}-ubyte.gz", "wb", 1) as packed:
            for _ in range(size >> 24):
                packed.write(bytes(1 << 24))
    cost(attempt, "mindres.data.Mnist('mnist')", folder)


def png(width, height, kind=0, bits=8, data=b"") -> bytes:
    """A PNG of this many pixels, with `data` in place of them."""

    def chunk(name, content):
        return (
            struct.pack(">I", len(content))
            + name
            + content
            + struct.pack(">I", zlib.crc32(name + content))
        )

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


def huge_headers() -> dict[str, bytes]:
    """Small images of 100,000 x 100,000 pixels."""
    from PIL import Image

    side, found = (
        100_000,
        {"a.png": png(100_000, 100_000), "grey.png": png(100_000, 100_000, bits=16)},
    )
    for kind, offset, code in (
        ("GIF", 6, None),
        ("BMP", 18, "<II"),
        ("WEBP", 26, "<HH"),
        ("JPEG", None, ">HH"),
    ):
        buffer = io.BytesIO()
        Image.new("RGB", (3, 3)).save(buffer, kind)
        content = bytearray(buffer.getvalue())
        offset = content.index(b"\xff\xc0") + 5 if offset is None else offset
        struct.pack_into(
            code or "<HH", content, offset, *(min(side, 65_000) if code != "<II" else side,) * 2
        )
        found[f"a.{kind.lower()}"] = bytes(content)
    found["a.tiff"] = (
        b"II*\0\x08\0\0\0"
        + struct.pack("<H", 5)
        + b"".join(
            struct.pack("<HHII", tag, 4, 1, value)
            for tag, value in ((256, side), (257, side), (259, 1), (262, 1), (273, 80))
        )
        + bytes(4)
    )
    return found


def image_bombs(attempt: Try) -> None:
    """Headers of 100,000 x 100,000 pixels, and real ones that unpack to as many as are admitted, and more."""
    folder = attempt.folder
    for name, content in huge_headers().items():
        (folder / name).write_bytes(content)
    for name in huge_headers():
        cost(attempt, f"mindres.data.images.read_image({name!r})", folder)
        for label in ("one", "two"):
            (folder / "set" / label).mkdir(parents=True, exist_ok=True)
            (folder / "set" / label / name).write_bytes((folder / name).read_bytes())
    cost(attempt, "mindres.data.ImageFolder('set')", folder)
    # Grey, grey of 16 bits, colour, grey and colour with transparency: (kind, bits, bytes of a pixel).
    for side in (7_000, 13_000):
        for kind, bits, size in ((0, 8, 1), (0, 16, 2), (2, 8, 3), (4, 8, 2), (6, 8, 4)):
            packer = zlib.compressobj(1)
            rows = (
                b"".join(packer.compress(bytes(1 + side * size)) for _ in range(side))
                + packer.flush()
            )
            (folder / "bomb.png").write_bytes(png(side, side, kind, bits, rows))
            cost(
                attempt, "mindres.data.images.read_image('bomb.png')", folder, refused=side > 10_000
            )


def lying_files() -> dict[str, bytes]:
    """Weight files whose headers promise more than they hold, and ones that are deep or long."""
    from seeds import mindspore_checkpoint

    def safetensors(header: bytes, promised=None) -> bytes:
        return struct.pack("<Q", promised or len(header)) + header

    bomb = io.BytesIO()
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("archive/data.pkl", "w", force_zip64=True) as member,
    ):
        for _ in range(192):
            member.write(bytes(1 << 24))
    entry = {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}
    return {
        "shape.ckpt": mindspore_checkpoint([1 << 31], "Float32", bytes(4)),
        "less.ckpt": mindspore_checkpoint([1], "Float32", bytes(4096)),
        "overflow.ckpt": mindspore_checkpoint([1 << 62, 4], "Float32", bytes(16)),
        "length.ckpt": b"\x0a\xff\xff\xff\xff\x07" + bytes(40),
        "promise.safetensors": safetensors(json.dumps({"a": entry}).encode()),
        "header.safetensors": safetensors(b"{" + bytes(20), 1 << 62),
        "long.safetensors": safetensors(b"{" + b" " * (120 << 20) + b"}"),
        "deep.safetensors": safetensors(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        "bomb.pth": bomb.getvalue(),
        "deep.pth": b"\x80\x02" + b"]" * 300_000 + b"a" * 299_999 + b".",
        "memo.pth": b"\x80\x02]r\xff\xff\xff\x7f.",
        "length.pth": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b".",
        "vast.pth": pickle.dumps({"state_dict": {"a": 1}}, 4)[:20],
    }


def weights(attempt: Try) -> None:
    """Weight files that promise more than they hold."""
    for name, content in lying_files().items():
        path = attempt.folder / name
        path.write_bytes(content)
        cost(attempt, f"mindres.weights.formats.read_checkpoint({name!r})", attempt.folder)
        path.unlink()


def datasets(attempt: Try) -> None:
    """Files of datasets that promise more than they hold, and a tar that ends in the middle of a file."""
    from conftest import cifar10_batches, write_cifar10_binary, write_cifar10_python

    folder = attempt.folder
    for name, head, count in (
        ("images-idx3", struct.pack(">IIII", 2051, 0xFFFFFFFF, 28, 28), 784),
        ("labels-idx1", struct.pack(">II", 2049, 0xFFFFFFFF), 1),
    ):
        (folder / f"train-{name}-ubyte").write_bytes(head + bytes(count))
    cost(attempt, "mindres.data.Mnist('.')", folder)
    binary = write_cifar10_binary(folder / "cifar-10-batches-bin", cifar10_batches())
    with open(binary / "data_batch_2.bin", "rb+") as file:
        file.truncate(5 << 30)  # a hole: it takes no room
        os.truncate(binary / "data_batch_2.bin", (5 << 30) + 1)
    cost(attempt, "mindres.data.Cifar10('cifar-10-batches-bin')", folder)
    python = write_cifar10_python(folder / "cifar-10-batches-py", cifar10_batches())
    for content in (
        b"\x80\x02]r\xff\xff\xff\x7f.",
        b"\x80\x02" + b"]" * 300_000 + b"a" * 299_999 + b".",
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",
        b"\x80\x02})" + b"2\x86" * 60 + b"K\x01s.",
        pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [1]})[:-20],
    ):
        (python / "data_batch_1").write_bytes(content)
        cost(attempt, "mindres.data.Cifar10('cifar-10-batches-py')", folder)
    tar(folder / "whole.tar.gz", [("a", os.urandom(1 << 20))])
    whole = gzip.decompress((folder / "whole.tar.gz").read_bytes())
    for content in (
        whole[:5000],
        whole[:500],
        gzip.compress(whole)[:5000],
        gzip.compress(whole[:5000]),
    ):
        (folder / "cut.tar.gz").write_bytes(content)
        cost(
            attempt, "mindres.data.archives.extract(Path('cut.tar.gz'), Path('out'), {'a'})", folder
        )
        expect(not (folder / "out" / "a").exists(), "a file that was cut was left")


FAULTS = [
    Fault(
        "archives with .., absolute names, links, devices, and a file twice",
        "nothing leaves the folder",
        escapes,
    ),
    Fault(
        "archives and .gz files that unpack to 3 GiB",
        "one line, memory and disk bounded",
        packed_bombs,
    ),
    Fault(
        "images of 100,000 x 100,000 pixels, and real ones of 169 million",
        "one line, less than 1 GiB",
        image_bombs,
    ),
    Fault(
        "weight files that promise more than they hold, deep ones, zip bombs",
        "one line, less than 1 GiB",
        weights,
    ),
    Fault("dataset files that promise more than they hold", "one line, less than 1 GiB", datasets),
]
