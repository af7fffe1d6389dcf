"""Every reader is fed damaged files by a coverage-guided fuzzer, each in a process of its own.

    python tests/faults/readers.py READER [FILE...]     what the reader says of these files, such as a finding

libFuzzer, by way of atheris, changes the seeds below, guided by the lines of mindres, Pillow and PyTorch's unpickler
that a change reaches. It ends at an input that crashes the interpreter; the other promises are looked after here.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import os
import pickle
import re
import resource
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

import numpy as np
from fault import Fault, Try, expect

MEMORY = 1 << 30  # that a small file may cost
SECONDS = 10      # of the processor, that an input may take
LONGEST = 8192    # bytes of an input
FOREIGN = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen", "pty.spawn",
           "socket.connect", "ctypes.dlopen", "shutil.rmtree")
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "os.truncate")


@dataclass(frozen=True)
class Reader:
    """`read` takes the path of a file in a folder of its own; `seeds` are files that it reads, or once failed at."""

    name: str
    tries: int
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]


class Command:
    """A pickle of it runs a command when it is read."""

    def __reduce__(self):
        return os.system, ("touch canary",)


def evil_pickles():
    return [pickle.dumps(value, protocol) for protocol in (0, 2, 4)
            for value in ({"data": Command(), "labels": [1]}, [Command()])]


def cifar_pickles():
    from conftest import python2_pickle

    images = np.zeros((1, 3072), np.uint8)
    return [python2_pickle({b"labels": [3], b"data": images, b"filenames": [b"0.png"]}),
            pickle.dumps({"labels": [3], "data": images}, 0), pickle.dumps({"labels": [3], "data": images}, 5),
            python2_pickle({b"fine_labels": [3], b"coarse_labels": [1], b"data": images}),
            python2_pickle({b"label_names": [b"%d" % i for i in range(10)]}), *evil_pickles(),
            # The unpickler in C made a memo of 170 million entries for these; the others double 60 times.
            b"\x80\x02]q\x00rra?\n2\x00~\x00\x01\xe1\x9c\xef\xd1",
            b"\x80\x02}X\x04\x00\x00\x00data](K\x01K\x02e" + b"2\x86" * 60 + b"s.",
            b"\x80\x02})" + b"2\x86" * 60 + b"K\x01s.",
            b"\x80\x05\x96\x00\x00\x00\x00\x04\x00\x00\x00."]


def read_cifar_pickle(path):
    from mindres.data import Cifar10, Cifar100
    from mindres.errors import UserError

    for kind, read in ((Cifar10, Cifar10._read_batch), (Cifar100, Cifar100._read_batch)):
        with contextlib.suppress(UserError):
            read(kind.__new__(kind), path)
    Cifar10.__new__(Cifar10)._class_names(path, False)


def cifar_binaries():
    return [bytes(3073) + b"\x09" + bytes(3072), bytes(3074), b"airplane\nbird\ncat\ndeer\ndog\n1\n2\n3\n4\n5\n"]


def read_cifar_binary(path):
    from mindres.data import Cifar10, Cifar100
    from mindres.errors import UserError

    for kind in (Cifar10, Cifar100):
        with contextlib.suppress(UserError):
            kind.__new__(kind)._check_binary(path)
    Cifar10.__new__(Cifar10)._class_names(path, True)


def idx_files():
    images = struct.pack(">IIII", 2051, 2, 28, 28) + bytes(2 * 784)
    labels = struct.pack(">II", 2049, 2) + b"\x01\x09"
    return [images, labels, gzip.compress(images, mtime=0), gzip.compress(labels, mtime=0),
            gzip.compress(images, 0, mtime=0), gzip.compress(labels, 0, mtime=0)]


def read_idx(path):
    """The file in the place of the images, and in the place of the labels, packed and not."""
    from mindres.data import Mnist
    from mindres.errors import UserError

    good, content = idx_files(), path.read_bytes()
    ending = ".gz" if content[:2] == b"\x1f\x8b" else ""
    images, labels = (path.with_name(f"train-{name}-ubyte{ending}") for name in ("images-idx3", "labels-idx1"))
    offset = 2 if ending else 0
    for first, second in ((content, good[1 + offset]), (good[offset], content)):
        images.write_bytes(first)
        labels.write_bytes(second)
        with contextlib.suppress(UserError):
            Mnist(path.parent).labels()
        for left in path.parent.glob("cache/datasets/*/*"):
            left.unlink()


def small_arrays():
    return {"conv1.weight": np.arange(18, dtype=np.float32).reshape(2, 1, 3, 3), "fc.bias": np.zeros(2, np.float16),
            "steps": np.array(7)}


def noted():
    return {"architecture": {"arch": "convnet", "num_classes": 10, "in_channels": 1}, "classes": list("0123456789"),
            "mean": [0.1307], "std": [0.3081], "input_size": [28, 28], "dataset": "mnist", "epoch": 3, "metric": 0.5}


def written(ending):
    """A file of `small_arrays` with everything that mindres notes."""
    import tempfile

    from mindres.formats import write_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        return write_checkpoint(small_arrays(), Path(folder) / f"file{ending}", noted()).read_bytes()


def mindspore_checkpoint(dims, kind, data):
    from mindspore.train.checkpoint_pb2 import Checkpoint

    message = Checkpoint()
    value = message.value.add(tag="a")
    value.tensor.dims.extend(dims)
    value.tensor.tensor_type, value.tensor.tensor_content = kind, data
    return message.SerializeToString()


def ckpt_files():
    # MindSpore's reader wrote 64 bytes into an array of two values, and gave four gigabytes for four bytes.
    return [written(".ckpt"), mindspore_checkpoint([2], "Float32", bytes(64)),
            mindspore_checkpoint([1 << 20, 1 << 10], "Float32", bytes(4)),
            mindspore_checkpoint([-1], "BFloat16", bytes(4)), mindspore_checkpoint([1], "str", b"\xff" * 8)]


def safetensors_files():
    return [written(".safetensors"), struct.pack("<Q", 4000) + b'{"a":' * 800]


def torch_files():
    import torch

    state, found = {name: torch.from_numpy(value) for name, value in small_arrays().items()}, []
    for zipped in (True, False):
        for content in (state, {"state_dict": state, "epoch": 3}, {"state_dict": state, "extra": Command()}):
            buffer = io.BytesIO()
            torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
            found.append(buffer.getvalue())
    return found + evil_pickles()


def read_weights(path):
    from mindres.formats import read_checkpoint

    return read_checkpoint(path)


def notes():
    return [json.dumps(noted()).encode(), json.dumps({"architecture": {"arch": "resnet20", "shortcut": "A"}}).encode(),
            b'{"architecture": {"arch": "vgg16", "num_classes": 1000000000}}', b'{"mean": [NaN], "std": [0]}',
            b'{"input_size": [99999, 99999]}', b'{"architecture": [1], "classes": {}}']


def read_notes(path):
    """What `mindres predict` does with a checkpoint that notes this of itself."""
    import safetensors.numpy

    from mindres.prediction import class_names, preprocess
    from mindres.zoo import load_model

    text = path.read_bytes().decode("utf-8", "replace")
    safetensors.numpy.save_file(CONVNET, path, metadata={"mindres": text})
    net, metadata = load_model(path)
    class_names(net, metadata)
    return preprocess(np.zeros((5, 4, 3), np.uint8), metadata)


CONVNET = {"backbone.conv1.weight": np.zeros((8, 1, 3, 3), np.float32)}


def images():
    from PIL import Image

    found = []
    for kind, mode in (("PNG", "RGB"), ("PNG", "I;16"), ("PNG", "P"), ("JPEG", "RGB"), ("JPEG", "CMYK"), ("GIF", "P"),
                       ("WEBP", "RGBA"), ("TIFF", "F"), ("TIFF", "LAB"), ("TIFF", "RGB"), ("BMP", "1"), ("BMP", "RGB")):
        buffer, exif = io.BytesIO(), Image.Exif()
        exif[0x112] = 6
        options = {"exif": exif} if kind in ("JPEG", "WEBP") else {}
        Image.new(mode, (7, 5), 1 if mode in ("1", "P", "F", "I;16") else None).save(buffer, kind, **options)
        found.append(buffer.getvalue())
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9)).save(buffer, "TIFF", compression="tiff_lzw")
    return [*found, buffer.getvalue()]


def read_picture(path):
    from mindres.prediction import read_image

    return read_image(path)


def read_folder_image(path):
    """What `ImageFolder` does: Pillow looks at the file first, MindSpore's own decoder reads it."""
    from mindspore.dataset import vision

    from mindres.errors import UserError
    from mindres.folder import _check

    found = _check(path) or {}
    if "problem" in found:
        raise UserError(found["problem"])
    return vision.Decode()(np.fromfile(path, np.uint8)) if not found else None


def runs():
    config = {"command": "mindres train", "epochs": 3, "environment": {"python": "3.11"}, "validation_fraction": 0.2}
    history = "epoch,loss,accuracy,lr,images_per_second,seconds\n1,0.5,0.9,0.1,100,3\n2,nan,,1e-3,inf,-1\n"
    return [json.dumps(config).encode(), history.encode(), b'{"a":' * 1500, b"epoch,loss,accuracy,lr\n1e308,1,1,1\n",
            b"epoch,loss,accuracy,lr\n1,1e308,1,1\n-1e308,-1e308,1,1\n", b"[" * 5000]


def read_run(path):
    """The page of a run with this file as its `config.json` and as its `history.csv`."""
    from mindres import page, report
    from mindres.pictures import read_history

    page.run_table(report.read_config(path)[0])
    return page.curves(read_history(path))


READERS = {reader.name: reader for reader in (
    Reader("CIFAR pickles", 15_000, cifar_pickles, read_cifar_pickle),
    Reader("CIFAR binary files", 10_000, cifar_binaries, read_cifar_binary),
    Reader("MNIST idx files", 10_000, idx_files, read_idx),
    Reader(".ckpt files", 20_000, ckpt_files, read_weights),
    Reader(".safetensors files", 20_000, safetensors_files, read_weights),
    Reader(".pth files", 15_000, torch_files, read_weights),
    Reader("what a checkpoint notes", 2_000, notes, read_notes),
    Reader("images to predict", 20_000, images, read_picture),
    Reader("images of a folder", 10_000, images, read_folder_image),
    Reader("config.json, history.csv", 10_000, runs, read_run),
)}


def fuzz(attempt: Try, reader: Reader) -> None:
    """Let a process of its own try the reader, and count what it tried."""
    folder = attempt.folder
    done = attempt.run(__file__, reader.name, f"-runs={attempt.times(reader.tries)[-1] + 1}", "-timeout=300",
                       f"-seed={attempt.random.randrange(1, 1 << 31)}", f"-max_len={LONGEST}", "-rss_limit_mb=6000",
                       "-use_value_profile=1", f"-artifact_prefix={folder}/", timeout=1800)
    found = next((path for kind in ("crash", "timeout", "oom") for path in folder.glob(f"{kind}-*")), None)
    said = re.findall(r"^ === Uncaught Python exception: ===\n(.*)", done.stdout, re.M) or [done.stderr[-500:]]
    expect(not found and not done.returncode,
           f"{said[0]}; the input in base64: "
           f"{base64.b64encode(found.read_bytes()).decode() if found else None}")
    attempt.tries += int(re.search(r"Done (\d+) runs", done.stderr)[1])


class Watched:
    """Calls a reader as libFuzzer wants it and looks after what it promised."""

    def __init__(self, reader: Reader, folder: Path):
        from mindres.errors import UserError

        self.reader, self.folder, self.refusal, self.deeds = reader, folder, UserError, []
        self.start = self.usage().ru_maxrss
        sys.addaudithook(self.audit)

    @staticmethod
    def usage():
        return resource.getrusage(resource.RUSAGE_SELF)

    def audit(self, event, arguments):
        if event in FOREIGN:
            self.deeds.append(f"{event} {arguments}")
        elif event in CHANGES or (event == "open" and isinstance(arguments[2], int)
                                  and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            name = arguments[0]
            if not isinstance(name, int) and not os.path.abspath(os.fsdecode(name)).startswith(str(self.folder)) \
                    and name != os.devnull:
                self.deeds.append(f"{event} {arguments}")

    def __call__(self, data: bytes):
        path = self.folder / "input"
        path.write_bytes(data)
        started = time.process_time()
        said = None
        try:
            self.reader.read(path)
        except self.refusal as error:
            said = str(error)
        expect(said is None or (said and "\n" not in said and said.isprintable()), f"the error is {said!r}")
        expect(time.process_time() - started < SECONDS, f"it took {time.process_time() - started:.0f} s")
        expect((self.usage().ru_maxrss - self.start) * 1024 < MEMORY, "it took more than a gigabyte")
        expect(not self.deeds, f"it did {self.deeds[:1]}")
        return said


def main(name: str, *arguments: str) -> None:
    """Fuzz a reader with libFuzzer's arguments, or say what it says of files."""
    import tempfile

    import atheris

    with atheris.instrument_imports(include=["mindres", "PIL", "torch._weights_only_unpickler"],
                                    enable_loader_override=False):
        import mindres.report  # noqa: F401
    import torch  # noqa: F401
    from PIL import Image

    Image.init()
    reader = READERS[name]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        (folder / "seeds").mkdir()
        os.environ["MINDRES_CACHE"] = str(folder / "cache")
        tempfile.tempdir = made
        for i, seed in enumerate(reader.seeds()):
            (folder / "seeds" / str(i)).write_bytes(seed)
        os.chdir(folder)
        watched = Watched(reader, folder)
        if arguments and not arguments[0].startswith("-"):
            for file in arguments:
                print(f"{file}: {watched(Path(file).read_bytes()) or 'it is read'}")
            return
        atheris.Setup([sys.argv[0], str(folder / "seeds"), *arguments], watched)
        atheris.Fuzz()


FAULTS = [Fault(f"{reader.name}, damaged", "is read or gives one line; no crash, hang, gigabyte or foreign code",
                lambda attempt, reader=reader: fuzz(attempt, reader)) for reader in READERS.values()]

if __name__ == "__main__":
    main(*sys.argv[1:])
