"""Full disks, read-only folders, files that vanish, names nobody would choose, closed streams and plain mistakes."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import mistakes
import numpy as np
from fault import ROOT, Broken, Fault, clean_environment, expect, one_line_error
from forks import EXAMPLES, forks, zombie
from PIL import Image

from mindres.weights.formats import read_checkpoint

LENET = [
    EXAMPLES / "finetune_resnet50.py",
    "--device_target",
    "CPU",
    "--arch",
    "lenet5",
    "--pretrained",
    "false",
]


def on_folder(data, epochs) -> list:
    """The flags that train on the class folders in `data`, two images at a time."""
    flags = ["--dataset", "folder", "--dataset_path", data, "--batch_size", "2"]
    return [*flags, "--epochs", str(epochs)]


# Drops all capabilities: root's are above a folder's permissions.
AS_ANYONE = "import ctypes; ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())"
SMALL_FILES = (
    "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    "resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))"
)
CLOCK = "import time; now = iter(range(4_000_000_000, 0, -1000)); time.time = lambda: next(now)"
IN_CHINESE = {
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "ascii",
}
COMMAND = "import sys; from mindres.cli import program; program.main(sys.argv[1:])"
# Names that a file may have; the last is no UTF-8.
NAMES = ("a b", "猫 и пёс", "line\nbreak", "-dash", "%s{0}*?[x]", os.fsdecode(b"\xff\xfe"))


@functools.cache
def a_run() -> Path:
    """A folder with what a training leaves, of a network that is compiled at once and of a residual one."""
    folder = Path(forks().folder.name)
    for arch in ("lenet5", "resnet20"):
        done = forks().run(folder, [*LENET, "--arch", arch, "--max_steps", "1", "--ckpt_dir", arch])
        expect(done.returncode == 0, done.stderr[-500:])
    return folder


def given(folder) -> None:
    """`run` and `run20` in `folder`, each left by a training."""
    shutil.copytree(a_run() / "lenet5", folder / "run")
    shutil.copytree(a_run() / "resnet20", folder / "run20")


def contents(folder) -> dict:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def mistake(attempt, rows) -> None:
    given(attempt.folder)
    for kind in ("ckpt", "onnx", "png"):
        (attempt.folder / f"dir.{kind}").mkdir()
    before = contents(attempt.folder)
    for row in rows:
        attempt.tries += 1
        command = [EXAMPLES / row[0] if row[0].endswith(".py") else row[0], *row[1:]]
        done = forks().run(attempt.folder, command)
        try:
            one_line_error(done)
        except Broken as error:
            raise Broken(f"{' '.join(row)[:200]}: {error}") from None
        written = contents(attempt.folder)
        expect(
            written == before, f"{' '.join(row)[:200]} wrote {sorted(set(written) ^ set(before))}"
        )


# What is written where, by a command line with {} for the folder.
WRITERS = [
    ("last.ckpt", [*LENET, "--max_steps", "1", "--lr", "0.1", "--overwrite", "--ckpt_dir", "{}"]),
    ("out.ckpt", ["mindres", "convert", "run20/best.ckpt", "{}/out.ckpt"]),
    ("out.safetensors", ["mindres", "convert", "run20/best.ckpt", "{}/out.safetensors"]),
    ("out.onnx", ["mindres", "export", "--ckpt", "run20/best.ckpt", "--out", "{}/out.onnx"]),
    ("out.png", ["mindres", "plot", "dataset", "--out", "{}/out.png"]),
    ("out.html", ["mindres", "report", "run", "--out", "{}/out.html"]),
    (
        "features",
        [
            *LENET,
            "--arch",
            "resnet20",
            "--freeze",
            "backbone",
            "--max_steps",
            "1",
            "--ckpt_dir",
            "new",
        ],
    ),
]


def write(attempt, place) -> None:
    """Every writer fails with one line in a folder that takes no more, and what was there stays."""
    given(attempt.folder)
    for name, command in WRITERS:
        attempt.tries += 1
        folder = attempt.folder / f"full-{name}"
        folder.mkdir()
        with place(folder, ["last.ckpt", *({name} - {"features"})]) as before:
            if before == SMALL_FILES and name == "out.onnx":
                continue  # its draft, which lies elsewhere, is as large
            left = contents(folder)
            done = forks().run(
                attempt.folder,
                [str(part).replace("{}", str(folder)) for part in command],
                before,
                MINDRES_CACHE=str(folder) if name == "features" else forks().cache(attempt.folder),
            )
            one_line_error(done, str(folder))
            now = {
                path: data
                for path, data in contents(folder).items()
                if not path.startswith(("config", "native"))
            }
            expect(
                now == left, f"{name}: what was there has changed: {sorted(set(now) ^ set(left))}"
            )


def fill(folder, names) -> None:
    for name in names:
        shutil.copy(a_run() / "lenet5" / "last.ckpt", folder / name)


@contextlib.contextmanager
def small_files(folder, names, mode=0o755, before=SMALL_FILES):
    fill(folder, names)
    folder.chmod(mode)
    yield before
    folder.chmod(0o755)


read_only = functools.partial(small_files, mode=0o555, before=AS_ANYONE)


def device(path) -> None:
    """A node as /dev/full is; where none may be made, a pipe must do."""
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 7))
    except OSError:
        os.mkfifo(path)


def no_regular_file(attempt) -> None:
    """Every writer refuses a device, a pipe and a folder, and writes through a symbolic link."""
    given(attempt.folder)
    makers = {"device": device, "pipe": os.mkfifo, "folder": os.mkdir}
    for name, command in WRITERS[1:6]:
        for kind, make in makers.items():
            attempt.tries += 1
            place = attempt.folder / f"{kind}-{name}"
            place.mkdir()
            make(place / name)
            before = (place / name).lstat()
            done = forks().run(attempt.folder, [str(p).replace("{}", str(place)) for p in command])
            one_line_error(done, name)
            now = (place / name).lstat()
            expect(
                (now.st_ino, now.st_mode) == (before.st_ino, before.st_mode),
                f"{name}: the {kind} was replaced",
            )
        attempt.tries += 1
        place = attempt.folder / f"link-{name}"
        place.mkdir()
        (place / "target").write_bytes(b"old")
        (place / name).symlink_to("target")
        done = forks().run(attempt.folder, [str(p).replace("{}", str(place)) for p in command])
        expect(done.returncode == 0, done.stderr[-500:])
        expect(
            (place / name).is_symlink() and (place / "target").read_bytes() != b"old",
            f"{name}: the link does not lead to what was written",
        )


def odd_class_folders(attempt) -> None:
    """A folder without images is reported and is no class, nor is the folder of a run."""
    photos = attempt.folder / "photos"
    for name, value in (("cats", 10), ("dogs", 240)):
        (photos / name).mkdir(parents=True)
        for i in range(8):
            Image.new("RGB", (40, 40), (value, 8 * i, 9)).save(photos / name / f"{i}.png")
    (photos / "birds").mkdir()
    command = [*LENET, "--dataset", "folder", "--dataset_path", "photos", "--batch_size", "4"]
    for _ in range(2):
        attempt.tries += 1
        done = forks().run(
            attempt.folder,
            [*command, "--max_steps", "1", "--overwrite", "--ckpt_dir", "photos/run"],
        )
        expect(done.returncode == 0, done.stderr[-500:])
        expect("birds" in done.stdout + done.stderr, "the empty folder was not reported")
        recorded = read_checkpoint(photos / "run" / "best.ckpt")[1]
        expect(list(recorded["classes"]) == ["cats", "dogs"], f"classes {recorded['classes']}")
    shutil.rmtree(photos / "dogs")
    attempt.tries += 1
    done = forks().run(attempt.folder, [*command, "--max_steps", "1", "--ckpt_dir", "other"])
    one_line_error(done, "class")
    expect(not (attempt.folder / "other").exists(), "it left a folder")


@contextlib.contextmanager
def full_disk(folder, names):
    """A disk of its own for `folder`; where none can be mounted, the limit on a file's size must do."""
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True
    ).returncode:
        with small_files(folder, names) as before:
            yield before
        return
    try:
        fill(folder, names)
        (folder / "filler").write_bytes(bytes(shutil.disk_usage(folder).free - 20_000))
        yield ""
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def deleted_working_directory(attempt) -> None:
    """A command is run where its working directory has been deleted."""
    for command in (["summary", "lenet5"], ["eval", "--ckpt", "missing.ckpt"]):
        attempt.tries += 1
        code = (
            "import os, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone');"
            f"sys.path.insert(0, {str(ROOT)!r}); from mindres.cli import program;"
            f"program.main({command!r})"
        )
        one_line_error(attempt.run("-c", code), "the working directory has been deleted")


def vanish(attempt) -> None:
    for victims in (
        ["best.ckpt"],
        ["last.ckpt"],
        ["best.ckpt", "last.ckpt", "history.csv", "config.json"],
        ["."],
    ):
        attempt.tries += 1
        folder = attempt.folder / f"run{attempt.tries}"
        child = forks().start(
            attempt.folder, [*LENET, "--epochs", "6", "--ckpt_dir", folder, "--keep_best", "2"]
        )
        until(folder / "last.ckpt", child)
        for name in victims:
            if name == ".":  # at once: a file that comes while others are unlinked would stay
                shutil.rmtree(folder.rename(attempt.folder / "gone"))
            else:
                (folder / name).unlink(missing_ok=True)
        done = forks().wait(child)
        expect(done.returncode == 0, f"without {victims}: {done.stderr[-500:]}")
        read_checkpoint(folder / "last.ckpt")
        names = {"last.ckpt", "history.csv", "config.json"}
        expect(names <= {path.name for path in folder.iterdir()}, f"without {victims}: {names}")


def until(path, child) -> None:
    """Wait until the file is there, or the child has ended."""
    while not path.exists() and not zombie(child):
        time.sleep(0.005)


def last_line(done, *parts) -> None:
    """The last line of standard error explains it; earlier ones are other packages'."""
    done.stderr = done.stderr.strip().rpartition("\n")[2]
    one_line_error(done, *parts)


def pictures(folder, classes=("猫", "狗")) -> Path:
    """A folder of pictures, train/ and val/, two classes."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in classes:
            (folder / split / name).mkdir(parents=True)
            for i in range(4):
                pixels = rng.integers(0, 256, (40, 40, 3), np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{i}.png")
    return folder


def vanishing_images(attempt) -> None:
    for number, harm in enumerate(
        (Path.unlink, lambda p: os.truncate(p, 60), lambda p: p.write_bytes(b"no image"))
    ):
        attempt.tries += 1
        data = pictures(attempt.folder / f"data{number}")
        child = forks().start(
            attempt.folder,
            [
                *LENET,
                *on_folder(data, epochs=2000),
                "--ckpt_dir",
                f"run{number}",
            ],
        )
        until(attempt.folder / f"run{number}" / "last.ckpt", child)
        for path in data.glob("train/*/*.png"):
            harm(path)
        last_line(forks().wait(child), "the dataset cannot be read")
        read_checkpoint(attempt.folder / f"run{number}" / "last.ckpt")


def two_runs(attempt) -> None:
    for _ in attempt.times(2):
        attempt.tries += 1
        child = forks().start(attempt.folder, [*LENET, "--epochs", "2000", "--ckpt_dir", "run"])
        until(attempt.folder / "run" / "last.ckpt", child)
        second = forks().run(
            attempt.folder, [*LENET, "--epochs", "2000", "--ckpt_dir", "run", "--resume"]
        )
        os.kill(child, signal.SIGKILL)
        forks().wait(child)
        one_line_error(second, "another run is training in run")
        third = forks().run(
            attempt.folder,
            [*LENET, "--epochs", "2000", "--ckpt_dir", "run", "--resume", "--max_steps", "1"],
        )
        expect(third.returncode == 0 and "resuming from" in third.stdout, third.stderr[-500:])
        shutil.rmtree(attempt.folder / "run")


def clock(attempt) -> None:
    given(attempt.folder)
    for path in attempt.folder.rglob("*"):
        os.utime(path, (4.1e9, 4.1e9))
    for command in (
        [*LENET, "--epochs", "2", "--ckpt_dir", "run"],
        ["mindres", "report", "run"],
        [
            *LENET,
            "--arch",
            "resnet20",
            "--freeze",
            "backbone",
            "--epochs",
            "2",
            "--ckpt_dir",
            "frozen",
        ],
    ):
        attempt.tries += 1
        done = forks().run(
            attempt.folder, command, CLOCK, MINDRES_CACHE=forks().cache(attempt.folder)
        )
        expect(done.returncode == 0, done.stderr[-500:])
        expect(", -" not in done.stdout, f"a negative time is left: {done.stdout}")


def elsewhere(attempt) -> None:
    (attempt.folder / "b").mkdir()
    command = [*LENET, "--epochs", "3", "--lr", "0.01", "--keep_best", "2", "--ckpt_dir"]
    forks().run(attempt.folder, [*command, "whole"])
    forks().run(attempt.folder, [*command, "part", "--max_steps", "50"])
    (attempt.folder / "part").rename(attempt.folder / "b" / "moved")
    attempt.tries += 1
    done = forks().run(attempt.folder / "b", [*command, attempt.folder / "b" / "moved", "--resume"])
    expect(done.returncode == 0, done.stderr[-500:])
    left = {path.name for path in (attempt.folder / "b" / "moved").iterdir()}
    expect(
        left == {path.name for path in (attempt.folder / "whole").iterdir()},
        f"it left {sorted(left)}",
    )
    expect(not (attempt.folder / "b" / "part").exists(), "it wrote to the old place")


def strange_names(attempt) -> None:
    """Folders, images and files of every name: train, predict, report, plot, convert and export."""
    for name in NAMES:
        attempt.tries += 1
        folder = attempt.folder / name
        utf8 = name.isascii() or name == NAMES[1]  # MindSpore reads no image of another name
        data = pictures(
            (folder if utf8 else attempt.folder) / "data", classes=(name if utf8 else "a", "b")
        )
        # A name may look like a flag.
        own = f"./{name}" if name.startswith("-") else name
        for command in (
            [
                *LENET,
                *on_folder(data, epochs=1),
                "--ckpt_dir",
                folder / "run",
            ],
            ["mindres", "predict", data / "val" / "b" / "0.png", "--ckpt", f"{own}/run/best.ckpt"],
            ["mindres", "report", folder / "run"],
            [
                "mindres",
                "plot",
                "predictions",
                "--ckpt",
                f"{own}/run/best.ckpt",
                "--images",
                data / "val",
                "--out",
                f"{own}/p.svg",
            ],
            ["mindres", "convert", f"{own}/run/best.ckpt", f"{own}/{name}.safetensors"],
            [
                "mindres",
                "export",
                "--ckpt",
                f"{own}/run/best.ckpt",
                "--out",
                folder / f"{name}.onnx",
            ],
        ):
            done = forks().run(attempt.folder, command)
            expect(done.returncode == 0, f"{name!a}: {command[:2]!s}: {done.stderr[-600:]}")


def locale(attempt) -> None:
    data = pictures(attempt.folder / "data")
    for script, *arguments in (
        [
            "train",
            *LENET[1:],
            *on_folder(data, epochs=1),
        ],
        [COMMAND, "predict", data / "val" / "猫" / "0.png", "--ckpt", "ckpt/best.ckpt"],
        [COMMAND, "report", "ckpt"],
    ):
        attempt.tries += 1
        done = attempt.run(
            *([LENET[0]] if script == "train" else ["-c", script]), *arguments, **IN_CHINESE
        )
        expect(done.returncode == 0, done.stderr[-600:])
    classes = read_checkpoint(attempt.folder / "ckpt" / "best.ckpt")[1]["classes"]
    expect(set(classes) == {"猫", "狗"}, f"the checkpoint records {classes}")


def no_home(attempt) -> None:
    given(attempt.folder)
    for home in (None, "/proc/nothing", str(attempt.folder / "run" / "last.ckpt")):
        attempt.tries += 1
        environment = {"HOME": home, "MINDRES_CACHE": None, "XDG_CACHE_HOME": None}
        done = attempt.run(
            "-c", COMMAND, "eval", "--ckpt", "run/best.ckpt", "--json", **environment
        )
        expect(done.returncode == 0 and json.loads(done.stdout)["num_images"], done.stderr[-600:])
        if home:
            done = attempt.run(
                LENET[0], *LENET[1:], "--freeze", "backbone", "--max_steps", "1", **environment
            )
            last_line(done, home)


STREAMS = [  # a command line for the shell, and the statuses that are right
    ("models | head -n 1", (0, 141)),
    ("models >&-", (0,)),
    ("models 2>&-", (0,)),
    ("models <&- >&- 2>&-", (0,)),
    ("models >/dev/full", (2,)),
    ("nonsense 2>&-", (2,)),
    ("nonsense 2>/dev/full", (2,)),
    ("models | true", (0, 141)),
    ("convert run/best.ckpt new.ckpt <&- >&- 2>&-", (0,)),
]


def streams(attempt) -> None:
    given(attempt.folder)
    for command, statuses in STREAMS:
        attempt.tries += 1
        done = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m mindres {command}; exit ${{PIPESTATUS[0]}}"],
            cwd=attempt.folder,
            env=clean_environment(attempt.folder),
            capture_output=True,
            text=True,
        )
        expect(
            done.returncode in statuses
            and "Traceback" not in done.stderr
            and "Exception" not in done.stderr,
            f"{command}: status {done.returncode}, {done.stderr[-500:]!r}",
        )
    expect(
        read_checkpoint(attempt.folder / "new.ckpt")[1]["architecture"]["arch"] == "lenet5",
        "it wrote no network",
    )


ONE_LINE = "one line says what is wrong, status 2, and nothing is written"
FAULTS = [
    *(
        Fault(f"mistakes: {name}", ONE_LINE, functools.partial(mistake, rows=rows))
        for name, rows in mistakes.ROWS.items()
    ),
    Fault(
        "disk full", "one line, and the old file stays", functools.partial(write, place=full_disk)
    ),
    Fault(
        "file over the limit",
        "one line, and the old file stays",
        functools.partial(write, place=small_files),
    ),
    Fault(
        "read-only folder",
        "one line, and the old file stays",
        functools.partial(write, place=read_only),
    ),
    Fault(
        "outputs that are no regular file",
        "one line for a device, pipe or folder, which stays; a link is followed",
        no_regular_file,
    ),
    Fault(
        "class folders without images, a run among them",
        "they are reported and are no classes",
        odd_class_folders,
    ),
    Fault("working directory deleted", "one line", deleted_working_directory),
    Fault("checkpoints deleted while training", "the run goes on and writes them again", vanish),
    Fault(
        "images deleted or damaged while training",
        "one line explains it, and last.ckpt stays",
        vanishing_images,
    ),
    Fault(
        "two runs in one --ckpt_dir",
        "the second is refused; a killed one keeps nobody out",
        two_runs,
    ),
    Fault("clock going backwards", "the same run, and no negative time left", clock),
    Fault("run moved, resumed from elsewhere", "it goes on in its new place", elsewhere),
    Fault(
        "names with spaces, newlines, Chinese, no UTF-8", "every command takes them", strange_names
    ),
    Fault(
        "locale without UTF-8, Chinese class names",
        "the names are kept, what cannot be printed is escaped",
        locale,
    ),
    Fault(
        "no home folder, or not writable",
        "what needs a cache says so in one line, the rest works",
        no_home,
    ),
    Fault(
        "streams closed early, closed or full",
        "no traceback, and no output in a file that is written",
        streams,
    ),
]
