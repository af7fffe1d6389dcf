"""Long trainings, and trainings that fail beside the files of one that did not."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

from fault import Fault, Try, expect, one_line_error
from forks import EXAMPLES

# Trains for thirty epochs and writes for each its seconds of processor time and the memory after it.
LONG = """
import json, sys
import numpy as np
import psutil
from pathlib import Path
from PIL import Image
import mindres
from mindres.callbacks.monitor import ValAccMonitor

kind, epochs = sys.argv[1], int(sys.argv[2])
mindres.set_device("CPU")
mindres.set_seed(0)
random = np.random.default_rng(0)
if kind == "folder":
    for i in range(320):
        folder = Path("photos", f"class{i % 4}")
        folder.mkdir(parents=True, exist_ok=True)
        small = random.integers(0, 255, (12, 16, 3), np.uint8)
        Image.fromarray(small).resize((320, 240)).save(folder / f"{i}.jpg")
    from mindres.data import ImageFolder
    data = [ImageFolder("photos", split=split, batch_size=32) for split in ("train", "val")]
else:
    from small_data import cifar10_batches, write_cifar10_binary
    folder = write_cifar10_binary(Path("cifar-10-batches-bin"), cifar10_batches(train=2500, test=100))
    from mindres.data import Cifar10
    data = [Cifar10(folder, split=split, batch_size=50) for split in ("train", "test")]
process, before, epoch_costs = psutil.Process(), [0.0], []

def on_train_epoch_end(self, run_context, ended=ValAccMonitor.on_train_epoch_end):
    ended(self, run_context)
    used = sum(process.cpu_times()[:2])
    epoch_costs.append((used - before[0], process.memory_info().rss / 2**20))
    before[0] = used

ValAccMonitor.on_train_epoch_end = on_train_epoch_end
net = mindres.lenet5(len(data[0].classes), in_channels=3)
mindres.train(net, *data, epochs=epochs, lr=0.01, ckpt_dir=None)
Path("costs.json").write_text(json.dumps(epoch_costs))
"""
EPOCHS = 30
TRAIN = [EXAMPLES / "finetune_resnet50.py", "--device_target", "CPU", "--arch", "lenet5"]
TRAIN += ["--pretrained", "false", "--epochs", "2", "--lr", "0.01", "--ckpt_dir"]
FAILING = {
    "a loss that is not finite": (["--lr", "1e30", "--min_lr", "0"], "the loss is"),
    "another run's settings": (["--resume", "--lr", "0.5"], "was left by a run with --lr"),
    "a broken checkpoint": (["--pretrained", "broken.ckpt"], "broken.ckpt"),
    "a stage that is not there": (["--freeze", "layer9"], "layer9"),
    "another network": (["--resume", "--arch", "convnet", "--resize", "28"], "--"),
}


def long_training(attempt: Try, kind: str) -> None:
    """The thirtieth epoch costs what the third did."""
    attempt.tries += 1
    tests = Path(__file__).resolve().parents[1]
    done = attempt.run("-c", LONG, kind, EPOCHS, timeout=400, PYTHONPATH=f"{tests.parent}:{tests}")
    expect(done.returncode == 0, done.stderr[-600:])
    costs = json.loads((attempt.folder / "costs.json").read_text())
    seconds = [cost for cost, _ in costs]
    # The least of seven epochs: waiting threads take processor time where other programs run.
    first, last = min(seconds[1:8]), min(seconds[-7:])
    expect(last < 1.4 * first, f"{first:.2f} s, then {last:.2f} s of processor an epoch")
    growth = costs[-1][1] - costs[2][1]
    expect(growth < 80, f"{growth:.0f} MiB more after {EPOCHS} epochs than after three")


def digests(folder: Path) -> dict[str, str]:
    """The digest of each file of a folder, by its path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def failing(attempt: Try) -> None:
    """A training that fails leaves no folder, and in a folder that is there it changes nothing."""
    (attempt.folder / "broken.ckpt").write_bytes(b"no checkpoint")
    done = attempt.run(*TRAIN, "run")
    expect(done.returncode == 0, done.stderr[-600:])
    before = digests(attempt.folder / "run")
    for flags, part in FAILING.values():
        attempt.tries += 1
        one_line_error(attempt.run(*TRAIN, "run", *flags), part)
        expect(digests(attempt.folder / "run") == before, f"{flags} changed the run before it")
        if "--resume" not in flags:
            one_line_error(attempt.run(*TRAIN, "new/run", *flags), part)
            expect(not (attempt.folder / "new").exists(), f"{flags} left a folder")


def folders_as_files(attempt: Try) -> None:
    """What cannot be written is noticed before the first epoch."""
    for name in ("best.ckpt", "last.ckpt", "history.csv", "config.json"):
        attempt.tries += 1
        (attempt.folder / name.partition(".")[0] / name).mkdir(parents=True)
        done = attempt.run(*TRAIN, name.partition(".")[0])
        one_line_error(done, name, "is not a file")
        expect("Epoch" not in done.stdout, "it trained first")


FAULTS = [
    *(
        Fault(
            f"thirty epochs of {kind}",
            "the last ones take no longer and no more memory than the first",
            functools.partial(long_training, kind=kind),
        )
        for kind in ("folder", "cifar10")
    ),
    Fault(
        "trainings that fail",
        "one line; the run before is as it was, and no folder is left",
        failing,
    ),
    Fault(
        "a folder where a run writes a file", "one line before the first epoch", folders_as_files
    ),
]
