"""Files that mindres reads, small ones, and those that it once failed at: what the fuzzer starts from."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import pickle
import struct
import tempfile
from pathlib import Path

import numpy as np


class Command:
    """A pickle of it runs a command when it is read."""

    def __reduce__(self):
        return os.system, ("touch canary",)


def evil_pickles():
    return [
        pickle.dumps(value, protocol)
        for protocol in (0, 2, 4)
        for value in ({"data": Command(), "labels": [1]}, [Command()])
    ]


def cifar_pickles():
    from conftest import python2_pickle

    images = np.zeros((1, 3072), np.uint8)
    return [
        python2_pickle({b"labels": [3], b"data": images, b"filenames": [b"0.png"]}),
        pickle.dumps({"labels": [3], "data": images}, 0),
        pickle.dumps({"labels": [3], "data": images}, 5),
        python2_pickle({b"fine_labels": [3], b"coarse_labels": [1], b"data": images}),
        python2_pickle({b"label_names": [b"%d" % i for i in range(10)]}),
        *evil_pickles(),
        # The unpickler in C made a memo of 170 million entries for these; the others double 60 times.
        b"\x80\x02]q\x00rra?\n2\x00~\x00\x01\xe1\x9c\xef\xd1",
        b"\x80\x02}X\x04\x00\x00\x00data](K\x01K\x02e" + b"2\x86" * 60 + b"s.",
        b"\x80\x02})" + b"2\x86" * 60 + b"K\x01s.",
        b"\x80\x05\x96\x00\x00\x00\x00\x04\x00\x00\x00.",
    ]


def cifar_binaries():
    return [
        bytes(3073) + b"\x09" + bytes(3072),
        bytes(3074),
        b"airplane\nbird\ncat\ndeer\ndog\n1\n2\n3\n4\n5\n",
    ]


def idx_files():
    images = struct.pack(">IIII", 2051, 2, 28, 28) + bytes(2 * 784)
    labels = struct.pack(">II", 2049, 2) + b"\x01\x09"
    return [
        images,
        labels,
        gzip.compress(images, mtime=0),
        gzip.compress(labels, mtime=0),
        gzip.compress(images, 0, mtime=0),
        gzip.compress(labels, 0, mtime=0),
    ]


def small_arrays():
    return {
        "conv1.weight": np.arange(18, dtype=np.float32).reshape(2, 1, 3, 3),
        "fc.bias": np.zeros(2, np.float16),
        "steps": np.array(7),
    }


def recorded():
    return {
        "architecture": {"arch": "convnet", "num_classes": 10, "in_channels": 1},
        "classes": list("0123456789"),
        "mean": [0.1307],
        "std": [0.3081],
        "input_size": [28, 28],
        "dataset": "mnist",
        "epoch": 3,
        "metric": 0.5,
    }


def written(ending):
    """A file of `small_arrays` with everything that mindres notes."""
    from mindres.weights.formats import write_checkpoint
    from mindres.weights.metadata import Metadata

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{ending}"
        return write_checkpoint(small_arrays(), path, Metadata.of(recorded())).read_bytes()


def mindspore_checkpoint(dims, kind, data):
    from mindspore.train.checkpoint_pb2 import Checkpoint

    message = Checkpoint()
    value = message.value.add(tag="a")
    value.tensor.dims.extend(dims)
    value.tensor.tensor_type, value.tensor.tensor_content = kind, data
    return message.SerializeToString()


def matlab_files() -> list[bytes]:
    """Two images and their labels in a MATLAB 5 file, packed and not."""
    import scipy.io

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (8, 8, 3, 2), np.uint8)
    found = []
    for compressed in (False, True):
        buffer = io.BytesIO()
        scipy.io.savemat(
            buffer,
            {"X": images, "y": np.array([[1], [10]], np.uint8)},
            do_compression=compressed,
        )
        found.append(buffer.getvalue())
    return found


def ckpt_files():
    # MindSpore's reader wrote 64 bytes into an array of two values, and gave four gigabytes for four bytes.
    return [
        written(".ckpt"),
        mindspore_checkpoint([2], "Float32", bytes(64)),
        mindspore_checkpoint([1 << 20, 1 << 10], "Float32", bytes(4)),
        mindspore_checkpoint([-1], "BFloat16", bytes(4)),
        mindspore_checkpoint([1], "str", b"\xff" * 8),
    ]


def safetensors_files():
    return [written(".safetensors"), struct.pack("<Q", 4000) + b'{"a":' * 800]


def torch_files():
    import torch

    state, found = {name: torch.from_numpy(value) for name, value in small_arrays().items()}, []
    for zipped in (True, False):
        for content in (
            state,
            {"state_dict": state, "epoch": 3},
            {"state_dict": state, "extra": Command()},
        ):
            buffer = io.BytesIO()
            torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
            found.append(buffer.getvalue())
    return found + evil_pickles()


def notes():
    return [
        json.dumps(recorded()).encode(),
        json.dumps({"architecture": {"arch": "resnet20", "shortcut": "A"}}).encode(),
        b'{"architecture": {"arch": "vgg16", "num_classes": 1000000000}}',
        b'{"mean": [NaN], "std": [0]}',
        b'{"input_size": [99999, 99999]}',
        b'{"architecture": [1], "classes": {}}',
        b'{"fit": "crop", "crop_fraction": 0.01, "epoch": 1, "tta": true, "metric": 1e999}',
    ]


CONVNET = {"backbone.conv1.weight": np.zeros((8, 1, 3, 3), np.float32)}


def images():
    from PIL import Image

    found = []
    for kind, mode in (
        ("PNG", "RGB"),
        ("PNG", "I;16"),
        ("PNG", "P"),
        ("JPEG", "RGB"),
        ("JPEG", "CMYK"),
        ("GIF", "P"),
        ("WEBP", "RGBA"),
        ("TIFF", "F"),
        ("TIFF", "LAB"),
        ("TIFF", "RGB"),
        ("BMP", "1"),
        ("BMP", "RGB"),
    ):
        buffer, exif = io.BytesIO(), Image.Exif()
        exif[0x112] = 6
        options = {"exif": exif} if kind in ("JPEG", "WEBP") else {}
        Image.new(mode, (7, 5), 1 if mode in ("1", "P", "F", "I;16") else None).save(
            buffer, kind, **options
        )
        found.append(buffer.getvalue())
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9)).save(buffer, "TIFF", compression="tiff_lzw")
    # A palette of one colour, which Pillow reads and MindSpore does not.
    short = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAcAAAAFAQMAAACzVGSbAAAAA1BMVEUAAACnej3agAAADUlEQVR4nGP4x8QAgQAJ"
        "IAEHNORfYwAAAABJRU5ErkJggg=="
    )
    return [*found, buffer.getvalue(), short]


def runs():
    config = {
        "command": "mindres train",
        "epochs": 3,
        "environment": {"python": "3.11"},
        "validation_fraction": 0.2,
    }
    history = "epoch,loss,accuracy,lr,images_per_second,seconds\n1,0.5,0.9,0.1,100,3\n2,nan,,1e-3,inf,-1\n"
    return [
        json.dumps(config).encode(),
        history.encode(),
        b'{"a":' * 1500,
        b"epoch,loss,accuracy,lr\n1e308,1,1,1\n",
        b"epoch,loss,accuracy,lr\n1,1e308,1,1\n-1e308,-1e308,1,1\n",
        b"[" * 5000,
    ]
