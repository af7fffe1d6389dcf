"""Kills, full disks and damaged files while lists and copies of images are kept."""

from __future__ import annotations

import csv
import functools
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
from fault import Fault, Try, expect
from forks import forks
from PIL import Image
from places import LENET, until

IMAGES = 48  # for training, in two classes
EPOCHS = 4
# Ends the first epoch early, as a disk does that is full after ten copies.
FULL = """
import errno, os
def pwrite(file, content, offset, real=os.pwrite, writes=[]):
    writes.append(offset)
    if len(writes) > 10:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return real(file, content, offset)
os.pwrite = pwrite
"""
OPEN = "from mindres.data import ImageFolder; print(len(ImageFolder('photos', 'train')))"


def photographs(folder: Path) -> Path:
    """Photographs of soft colours in `folder`/photos, train/ and val/, two classes."""
    random = np.random.default_rng(0)
    for split, count in (("train", IMAGES), ("val", 4)):
        for number in range(count):
            path = folder / "photos" / split / ("cat", "dog")[number % 2] / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            small = Image.fromarray(random.integers(0, 256, (12, 16, 3), np.uint8))
            small.resize((640, 480), Image.Resampling.BICUBIC).save(path)
    return folder / "photos"


def command(cache: str) -> list:
    """A training from photographs that keeps copies."""
    flags = ["--dataset", "folder", "--dataset_path", "photos", "--batch_size", "4", "--resume"]
    return [*LENET, *flags, "--epochs", EPOCHS, "--lr", "0.01", "--cache", cache, "--ckpt_dir"]


def train(folder: Path, run: str, cache="disk", before=""):
    arguments = [str(part) for part in [*command(cache), run]]
    return forks().start(folder, arguments, before, MINDRES_CACHE=forks().cache(folder))


def losses(folder: Path, run: str) -> list[tuple]:
    """Epoch, loss and accuracy; with or without copies, a resumed epoch's loss is rounded anew."""
    with open(folder / run / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(row["epoch"], round(float(row["loss"]), 5), row["accuracy"]) for row in rows]


def copies(folder: Path) -> list[Path]:
    place = folder / "cache" / "images"
    return sorted(place.iterdir()) if place.exists() else []


def check_copies(folder: Path) -> None:
    """A file of copies that has its own name has all of them."""
    from mindres.data.copy_stores import OnDisk

    for path in copies(folder):
        if path.name.startswith("."):
            continue
        store = OnDisk.whole(path, IMAGES)
        missing = [number for number in range(IMAGES) if store.get(number) is None]
        expect(not missing, f"{path.name} lacks the copies {missing}")


def kill_while_copying(attempt: Try, number: int) -> None:
    """A training that is killed and resumed ends as one that was not, and leaves whole copies."""
    folder = attempt.folder
    photographs(folder)
    started = time.monotonic()
    done = forks().wait(train(folder, "whole"))
    seconds = time.monotonic() - started
    expect(done.returncode == 0, done.stderr[-600:])
    wanted = losses(folder, "whole")
    kept = {path.name for path in copies(folder)}
    expect(len(kept) == 1, f"copies of the training images: {kept}")
    for _ in attempt.times(4):
        attempt.tries += 1
        shutil.rmtree(folder / "cache" / "images", ignore_errors=True)
        child = train(folder, "run")
        time.sleep(attempt.random.uniform(0.2, 1) * seconds)
        os.kill(child, number)
        forks().wait(child)
        check_copies(folder)
    done = forks().wait(train(folder, "run"))
    expect(done.returncode == 0, done.stderr[-600:])
    expect(losses(folder, "run") == wanted, f"{losses(folder, 'run')} and not {wanted}")
    check_copies(folder)
    left = {path.name for path in copies(folder)} - kept
    expect(not left, f"left behind: {left}")


def full_disk(attempt: Try) -> None:
    """A disk that is full while copies are made: the training goes on, and one line says why."""
    folder = attempt.folder
    photographs(folder)
    forks().wait(train(folder, "whole", "ram"))
    place = Path(forks().cache(folder)) / "images"
    place.mkdir()
    for before in (FULL, ""):
        attempt.tries += 1
        run = f"run{attempt.tries}"
        mounted = (
            not before
            and not subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=320k", "tmpfs", str(place)],
                capture_output=True,
            ).returncode
        )
        if not before and not mounted:
            continue
        try:
            child = train(folder, run, before=before)
            if mounted:
                until_part(place, child)
                with open(place / "filler", "wb", buffering=0) as filler:
                    fill(filler)
            done = forks().wait(child)
            left = [path.name for path in copies(folder) if path.name != "filler"]
        finally:
            if mounted:
                subprocess.run(["umount", "-l", str(place)], check=True)
        lines = [line for line in done.stderr.splitlines() if "No space left" in line]
        expect(done.returncode == 0 and len(lines) == 1, f"{done.returncode}: {done.stderr[-600:]}")
        expect("copies of the training images cannot be kept" in lines[0], lines[0])
        expect(losses(folder, run) == losses(folder, "whole"), "it trained in another way")
        expect(not left or before, f"left behind: {left}")


def until_part(place: Path, child: int) -> None:
    """Wait until the copies are begun."""
    while not any(place.iterdir()):
        until(place, child)
        time.sleep(0.001)


def fill(filler) -> None:
    try:
        while True:
            filler.write(bytes(4096))
    except OSError:
        return


def damaged_lists(attempt: Try) -> None:
    """Random bytes of what is kept of a tree are changed or cut off: it opens as before."""
    from mindres.data import ImageFolder
    from mindres.data.class_folders import SETTLED

    photos = photographs(attempt.folder)
    time.sleep(SETTLED + 0.1)
    os.environ["MINDRES_CACHE"] = str(attempt.folder / "cache")
    wanted = [str(path) for path in ImageFolder(photos, "train").files()]
    kept = {path: path.read_bytes() for path in attempt.folder.glob("cache/datasets/*.npz")}
    expect(len(kept) == 2, f"{list(kept)}")
    for _ in attempt.times(300):
        attempt.tries += 1
        for path, content in kept.items():
            changed = bytearray(content)
            for _ in range(attempt.random.randint(1, 3)):
                changed[attempt.random.randrange(len(changed))] = attempt.random.randrange(256)
            path.write_bytes(changed[: attempt.random.choice([None, None, len(changed) // 2])])
        found = [str(path) for path in ImageFolder(photos, "train").files()]
        expect(found == wanted, f"{len(found)} files, and not {len(wanted)}")


def opened_at_once(attempt: Try) -> None:
    """Several processes list the same new tree at once, in a cache that is there or cannot be."""
    photographs(attempt.folder)
    closed = attempt.folder / "file"
    closed.write_bytes(b"")
    for cache in (str(attempt.folder / "new"), str(closed / "no folder"), None):
        environment = {} if cache else {"HOME": "/proc/nothing", "XDG_CACHE_HOME": "/proc/none"}
        for _ in range(2):
            running = [
                (
                    forks().start(attempt.folder, OPEN, MINDRES_CACHE=cache or "", **environment),
                    forks().out,
                    forks().err,
                )
                for _ in range(4)
            ]
            for child, out, err in running:
                attempt.tries += 1
                forks().wait(child)
                said = out.read_text(), err.read_text()
                expect(said == (f"{IMAGES}\n", ""), f"with the cache {cache}: {said}")


FAULTS = [
    *(
        Fault(
            f"{number.name} while copies of images are kept",
            "copies are whole or not there; the next run goes on to the same end",
            functools.partial(kill_while_copying, number=number),
        )
        for number in (signal.SIGKILL, signal.SIGTERM)
    ),
    Fault(
        "a full disk while copies of images are kept",
        "the training goes on in the same way, and one line says why",
        full_disk,
    ),
    Fault("damaged lists of images", "the same images as before", damaged_lists),
    Fault(
        "a tree opened by four processes at once, caches that cannot be written",
        "the same images, and nothing is said",
        opened_at_once,
    ),
]
