"""Every reader is fed damaged files by a coverage-guided fuzzer, each in a process of its own.

    python tests/faults/readers.py READER [FILE...]     how the reader answers these files, such as one that was found

libFuzzer, by way of atheris, changes the files of seeds.py, guided by the lines of mindres, Pillow and PyTorch's
unpickler that a change reaches. It ends at an input that crashes the interpreter; `Watched` checks the other promises.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [
        str(Path(__file__).resolve().parents[1]),
        str(Path(__file__).resolve().parents[2]),
    ]

import numpy as np
import seeds
from fault import Fault, Try, expect

MEMORY = 1 << 30  # that a small file may cost
SECONDS = 10  # of the processor, that an input may take
LONGEST = 8192  # bytes of an input
FOREIGN = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "subprocess.Popen",
    "pty.spawn",
    "socket.connect",
    "ctypes.dlopen",
    "shutil.rmtree",
)
CHANGES = (
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.truncate",
)


@dataclass(frozen=True)
class Reader:
    """`read` takes the path of a file in a folder of its own; `seeds` are files that it reads, or once failed at."""

    name: str
    tries: int
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]


def read_cifar_pickle(path):
    from mindres.data import cifar_records
    from mindres.data.cifar import Cifar10, Cifar100
    from mindres.errors import UserError

    for kind in (Cifar10, Cifar100):
        with contextlib.suppress(UserError):
            cifar_records.read_batch(path, kind.format)
    cifar_records.class_names(path, False, Cifar10.format)


def read_cifar_binary(path):
    from mindres.data import cifar_records
    from mindres.data.cifar import Cifar10, Cifar100
    from mindres.errors import UserError

    for kind in (Cifar10, Cifar100):
        with contextlib.suppress(UserError):
            cifar_records.binary_labels(path, kind.format)
    cifar_records.class_names(path, True, Cifar10.format)


def read_idx(path):
    """The file in the place of the images, and in the place of the labels, packed and not."""
    from mindres.data.mnist import Mnist
    from mindres.errors import UserError

    good, content = seeds.idx_files(), path.read_bytes()
    ending = ".gz" if content[:2] == b"\x1f\x8b" else ""
    images, labels = (
        path.with_name(f"train-{name}-ubyte{ending}") for name in ("images-idx3", "labels-idx1")
    )
    offset = 2 if ending else 0
    for first, second in ((content, good[1 + offset]), (good[offset], content)):
        images.write_bytes(first)
        labels.write_bytes(second)
        with contextlib.suppress(UserError):
            Mnist(path.parent).labels()
        for left in path.parent.glob("cache/datasets/*/*"):
            left.unlink()


def read_matlab(path):
    from mindres.data.matlab import read_arrays

    return read_arrays(path, ("X", "y"), 1 << 20)


def read_weights(path):
    from mindres.weights.formats import read_checkpoint

    return read_checkpoint(path)


def read_notes(path):
    """What `mindres predict` does with a checkpoint that records this of itself."""
    import safetensors.numpy

    from mindres.data.as_trained import preprocess
    from mindres.evaluation.predictor import class_names
    from mindres.models.checkpoints import load_model

    text = path.read_bytes().decode("utf-8", "replace")
    safetensors.numpy.save_file(seeds.CONVNET, path, metadata={"mindres": text})
    net, metadata = load_model(path)
    class_names(net, metadata)
    return preprocess(np.zeros((5, 4, 3), np.uint8), metadata)


def read_picture(path):
    from mindres.data.images import read_image

    return read_image(path)


def read_folder_image(path):
    """What `ImageFolder` does: a look at both ends, then OpenCV or Pillow, at two scales."""
    from mindres.data.folder_check import looks_whole
    from mindres.data.photo import Photo

    looks_whole(os.fsencode(path))
    Photo(os.fsencode(path)).pixels(2)
    return Photo(os.fsencode(path)).pixels()


def read_run(path):
    """The page of a run with this file as its `config.json` and as its `history.csv`."""
    from mindres.report import sections
    from mindres.runs.config import read_config
    from mindres.runs.history import read_history

    return sections.of_run(read_config(path)[0], read_history(path))


READERS = {
    reader.name: reader
    for reader in (
        Reader("CIFAR pickles", 15_000, seeds.cifar_pickles, read_cifar_pickle),
        Reader("CIFAR binary files", 10_000, seeds.cifar_binaries, read_cifar_binary),
        Reader("MNIST idx files", 10_000, seeds.idx_files, read_idx),
        Reader("SVHN's MATLAB files", 15_000, seeds.matlab_files, read_matlab),
        Reader(".ckpt files", 20_000, seeds.ckpt_files, read_weights),
        Reader(".safetensors files", 20_000, seeds.safetensors_files, read_weights),
        Reader(".pth files", 15_000, seeds.torch_files, read_weights),
        Reader("what a checkpoint records", 2_000, seeds.notes, read_notes),
        Reader("images to predict", 20_000, seeds.images, read_picture),
        Reader("images of a folder", 10_000, seeds.images, read_folder_image),
        Reader("config.json, history.csv", 10_000, seeds.runs, read_run),
    )
}


def fuzz(attempt: Try, reader: Reader) -> None:
    """Let a process of its own try the reader, and count what it tried."""
    folder = attempt.folder
    done = attempt.run(
        __file__,
        reader.name,
        f"-runs={attempt.times(reader.tries)[-1] + 1}",
        "-timeout=300",
        f"-seed={attempt.random.randrange(1, 1 << 31)}",
        f"-max_len={LONGEST}",
        "-rss_limit_mb=6000",
        "-use_value_profile=1",
        f"-artifact_prefix={folder}/",
        timeout=1800,
    )
    found = next(
        (path for kind in ("crash", "timeout", "oom") for path in folder.glob(f"{kind}-*")), None
    )
    said = re.findall(r"^ === Uncaught Python exception: ===\n(.*)", done.stdout, re.M) or [
        done.stderr[-500:]
    ]
    expect(
        not found and not done.returncode,
        f"{said[0]}; the input in base64: "
        f"{base64.b64encode(found.read_bytes()).decode() if found else None}",
    )
    attempt.tries += int(re.search(r"Done (\d+) runs", done.stderr)[1])


class Watched:
    """Calls a reader as libFuzzer wants it, and checks what the reader promised."""

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
        elif event in CHANGES or (
            event == "open"
            and isinstance(arguments[2], int)
            and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        ):
            name = arguments[0]
            if (
                not isinstance(name, int)
                and not os.path.abspath(os.fsdecode(name)).startswith(str(self.folder))
                and name != os.devnull
            ):
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
        expect(
            said is None or (said and "\n" not in said and said.isprintable()),
            f"the error is {said!r}",
        )
        expect(
            time.process_time() - started < SECONDS,
            f"it took {time.process_time() - started:.0f} s",
        )
        expect(
            (self.usage().ru_maxrss - self.start) * 1024 < MEMORY, "it took more than a gigabyte"
        )
        expect(not self.deeds, f"it did {self.deeds[:1]}")
        return said


def main(name: str, *arguments: str) -> None:
    """Fuzz a reader with libFuzzer's arguments, or print how it answers files."""
    import tempfile

    import atheris

    with atheris.instrument_imports(
        include=["mindres", "PIL", "torch._weights_only_unpickler"], enable_loader_override=False
    ):
        import mindres.models.checkpoints
        import mindres.report.writer  # noqa: F401
        from mindres.weights.formats import FORMATS

        for format in FORMATS:
            importlib.import_module(f"mindres.weights.formats.{format}")
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


FAULTS = [
    Fault(
        f"{reader.name}, damaged",
        "is read or gives one line; no crash, hang, gigabyte or foreign code",
        lambda attempt, reader=reader: fuzz(attempt, reader),
    )
    for reader in READERS.values()
]

if __name__ == "__main__":
    main(*sys.argv[1:])
