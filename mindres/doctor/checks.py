"""What this machine can train on, what is missing where it cannot, and the command that installs it.

`report` looks, and trains one step of a small network in a process of its own to know: whatever ends that process is
part of the answer. This file imports MindSpore in that process only.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path

from mindres.devices import gpu, runtime
from mindres.errors import UserError
from mindres.files import cache_dir

# What mindres is developed and tested with.
TESTED = {"Python": "3.11, 3.12", "mindspore": "2.10.0", "mindvision": "0.1.0", "numpy": "1.26.4"}
MSRUN_PORT = 8118
# A GPU newer than the plug-in has its kernels compiled in the first run.
PATIENCE_S = 900


def report(target: str = "auto") -> dict:
    """Everything that bears on training on `target`, as a JSON document can hold it.

    Its `training` has `ok`: whether one step of a small network could be trained on the device asked for.
    """
    # The trial run prepares for itself, as a training script does.
    untouched = dict(os.environ)
    gpu.prepare()
    return {
        "versions": versions(),
        "processor": processor(),
        "gpu": nvidia(),
        "ascend": {
            "devices": runtime.device_count("Ascend"),
            "cann": cann(),
            "problem": runtime.missing("Ascend"),
        },
        "caches": caches(),
        "workers": workers(),
        "training": training(target, untouched),
    }


def versions() -> dict:
    """The versions installed and those tested; what to do where MindSpore and NumPy do not fit."""
    found = {
        "Python": {
            "installed": platform.python_version(),
            "tested": TESTED["Python"],
            "problem": None,
        }
    }
    for name in ("mindspore", "mindvision", "numpy"):
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = None
        problem = None if installed else f"missing: pip install {name}=={TESTED[name]}"
        if name == "numpy" and installed and not installed.startswith("1."):
            problem = "MindSpore's compiled modules are built for NumPy 1: pip install 'numpy<2'"
        found[name] = {"installed": installed, "tested": TESTED[name], "problem": problem}
    return found


def processor() -> dict:
    """The processor, and to what instruction set oneDNN is held and why."""
    model = platform.machine()
    if Path("/proc/cpuinfo").exists():
        found = re.search(
            r"^model name\s*:\s*(.+)",
            Path("/proc/cpuinfo").read_text(errors="replace"),
            re.MULTILINE,
        )
        model = found[1] if found else model
    flags = sorted(
        runtime.processor_flags() & {"sse4_1", "avx", "avx2", "avx512f", "avx512_bf16", "amx_bf16"}
    )
    cap, needed = os.environ.get(runtime.ISA), runtime.onednn_needs_cap()
    if needed:
        why = (
            "CPU runs are held to AVX2: with AVX-512 oneDNN takes its reference convolution for the layouts that "
            "MindSpore hands it, which is slower by an order of magnitude"
        )
    else:
        why = "not needed: this processor has no AVX-512"
    return {
        "model": model,
        "cores": os.cpu_count(),
        "instruction_sets": flags,
        runtime.ISA: cap,
        "why": why,
        "problem": f"{runtime.ISA}={cap}: unset it"
        if needed and cap not in (None, "", "AVX2")
        else None,
    }


def nvidia() -> dict:
    """The driver, its GPUs, and each library of the GPU plug-in: where it comes from, or how to get it."""
    gpus, problem = gpu.query()
    found = gpu.find_libraries()
    if gpus:
        gpu.load(found)
    libraries = []
    for name, package in gpu.LIBRARIES.items():
        path, wrong = found.get(name), gpu.load_errors.get(name)
        if not path:
            wrong = f"missing: {gpu.INSTALL}"
        elif wrong:
            wrong = f"cannot be loaded ({wrong}): {gpu.INSTALL}"
        libraries.append(
            {
                "name": name,
                "path": path and str(path),
                "from": path and origin(path, package),
                "problem": wrong,
            }
        )
    module = Path("/proc/driver/nvidia/version")
    release = re.search(r"\s(\d+\.[\d.]+)\s", module.read_text()) if module.exists() else None
    return {
        "driver": release[1] if release else None,
        "driver_cuda": ".".join(map(str, gpu.driver_cuda())) if gpus else None,
        "gpus": [
            {
                "name": card.name,
                "compute_capability": ".".join(map(str, card.capability)),
                "memory_gib": round(card.memory / 2**30, 1),
            }
            for card in gpus
        ],
        "plugin": str(gpu.plugin()) if gpu.plugin() else None,
        "libraries": libraries,
        "CUDA_HOME": os.environ.get("CUDA_HOME"),
        "problem": problem or "; ".join(gpu.problems()) or None,
    }


def origin(path: Path, package: str) -> str:
    """The package that a library comes from, or the system."""
    name = f"nvidia-{package}-cu11"
    if path.parent.parent.parent.name == "nvidia":
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            return name
    return "the system"


def cann() -> str | None:
    """The release of CANN, Ascend's toolkit; None where there is none."""
    home = Path(os.environ.get("ASCEND_HOME_PATH", "/usr/local/Ascend/ascend-toolkit/latest"))
    for file in (home / "compiler" / "version.info", home / "version.info"):
        if file.exists() and (
            found := re.search(r"^Version=(\S+)", file.read_text(errors="replace"), re.MULTILINE)
        ):
            return found[1]
    return None


def caches() -> list[dict]:
    """The folders that fill up while one works, and their sizes in bytes."""
    places = {
        "kernels compiled for this GPU": Path(
            os.environ.get("CUDA_CACHE_PATH", "~/.nv/ComputeCache")
        )
    }
    with suppress(UserError):
        places = {"mindres": cache_dir(), **places}
    return [
        {"what": what, "path": str(path.expanduser()), "bytes": size(path.expanduser())}
        for what, path in places.items()
    ]


def size(folder: Path) -> int:
    """The bytes that the files below `folder` hold."""
    total = 0
    for here, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(here, name)).st_size
            except OSError:  # gone meanwhile
                continue
    return total


def workers() -> dict:
    """Whether `msrun` could start a job of two workers here."""
    msrun, problem = shutil.which("msrun"), None
    if not msrun:
        beside = Path(sys.executable).with_name("msrun")
        problem = (
            f"msrun is not on PATH: export PATH={beside.parent}:$PATH"
            if beside.exists()
            else "msrun, which comes with MindSpore, is not here: pip install mindspore"
        )
    else:
        try:
            with socket.create_server(("127.0.0.1", MSRUN_PORT)):
                pass
        except OSError as error:
            problem = f"port {MSRUN_PORT} cannot be had ({error.strerror}): name another with msrun --master_port"
    return {"msrun": msrun, "port": MSRUN_PORT, "problem": problem}


def training(target: str, environment: dict) -> dict:
    """Train one step of a small network on `target` in a process of its own, and say how that went."""
    code = "import sys; from mindres.doctor import checks; checks.train_one_step(sys.argv[2])"
    path = os.pathsep.join(
        [str(Path(__file__).parents[2]), *filter(None, [environment.get("PYTHONPATH")])]
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, "--device_target", target],
            check=False,
            timeout=PATIENCE_S,
            env={**environment, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        return {
            "target": target,
            "device": None,
            "ok": False,
            "problem": f"nothing came of it in {PATIENCE_S} s",
        }
    if done.returncode == 0:
        return {
            "target": target,
            "ok": True,
            "problem": None,
            **json.loads(done.stdout.splitlines()[-1]),
        }
    return {
        "target": target,
        "device": None,
        "ok": False,
        "problem": cause(done.returncode, done.stderr),
    }


def cause(status: int, stderr: str) -> str:
    """The line of a failed process's last words that says the most."""
    if status < 0:
        return f"the process was ended by {signal.Signals(-status).name}"
    lines = [line.strip() for line in stderr.splitlines() if line.strip().strip("-")]
    said = [line for line in lines if re.match(r"mindres\.errors\.UserError|\w*Error: ?\S", line)]
    if said:
        return said[-1].partition(": ")[2] if said[-1].startswith("mindres.") else said[-1]
    # MindSpore puts the reason below a heading, between rules.
    told = [line for before, line in pairwise(lines) if re.fullmatch(r"- .*[Ee]rror:", before)]
    return next(iter([*told, *reversed(lines)]), f"exit status {status}")


def train_one_step(target: str) -> None:
    """Train a small network for one step on `target`; print the device and the losses before and after as JSON."""
    device = runtime.set_device(target)
    import mindspore
    import numpy as np
    from mindspore import nn
    from mindspore.amp import FixedLossScaleManager, build_train_network

    from mindres.native import library

    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    mindspore.set_seed(0)
    net = nn.SequentialCell(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dense(8 * 8 * 8, 2)
    )
    step = build_train_network(
        net,
        nn.Momentum(net.trainable_params(), 0.001, 0.9),
        nn.CrossEntropyLoss(),
        level=runtime.DEFAULTS[device].amp_level,
        loss_scale_manager=FixedLossScaleManager(128.0, drop_overflow_update=False),
    )
    step.set_train()
    images = np.random.default_rng(0).standard_normal((4, 3, 8, 8)).astype(np.float32)
    labels = np.array([0, 1, 0, 1], np.int32)
    losses = []
    for _ in range(2):
        losses.append(float(step(mindspore.Tensor(images), mindspore.Tensor(labels)).asnumpy()))
    if not losses[1] < losses[0]:
        raise UserError(
            f"{device} does not learn: the loss of a small network went from {losses[0]:.3f} "
            f"to {losses[1]:.3f}"
        )
    print(
        json.dumps(
            {
                "device": device,
                "losses": losses,
                "native_convolution": library.why_not() or "used",
            }
        )
    )


def format_report(report: dict) -> str:
    """A report for reading: a line for each finding, with `!` before what is wrong and what to do after it."""
    lines = []

    def add(name, *texts, problem=None):
        text = "; ".join(str(text) for text in (*texts, problem) if text)
        lines.append(f"{'!' if problem else ' '} {name:<18} {text}")

    for name, found in report["versions"].items():
        add(name, found["installed"], f"tested with {found['tested']}", problem=found["problem"])
    cpu, cuda, ascend = report["processor"], report["gpu"], report["ascend"]
    add("processor", f"{cpu['model']}, {cpu['cores']} cores", " ".join(cpu["instruction_sets"]))
    cap = cpu[runtime.ISA]
    add(
        "oneDNN",
        f"{runtime.ISA}={cap}" if cap else f"{runtime.ISA} is not set",
        cpu["why"],
        problem=cpu["problem"],
    )
    here = cuda["problem"] not in runtime.NOT_HERE
    if cuda["driver_cuda"]:
        add("NVIDIA driver", cuda["driver"], f"for CUDA {cuda['driver_cuda']}")
    for index, card in enumerate(cuda["gpus"]):
        add(
            f"GPU {index}",
            card["name"],
            f"compute capability {card['compute_capability']}",
            f"{card['memory_gib']} GiB",
        )
    if here or report["training"]["target"] == "GPU":
        for library in cuda["libraries"]:
            add(library["name"], library["from"], library["path"], problem=library["problem"])
        if cuda["CUDA_HOME"]:
            add("CUDA_HOME", cuda["CUDA_HOME"])
    if not cuda["problem"]:
        add("GPU precision", "O2 by default; where that leaves single precision, TF32 is allowed")
    elif here:
        add("GPU", problem=cuda["problem"])
    else:
        add("GPU", cuda["problem"])
    if ascend["problem"] in runtime.NOT_HERE:
        add("Ascend", ascend["problem"])
    else:
        add(
            "Ascend",
            f"{ascend['devices']} devices",
            f"CANN {ascend['cann'] or 'of unknown release'}",
            problem=ascend["problem"],
        )
    for cache in report["caches"]:
        add("cache", f"{cache['bytes'] / 1e6:,.1f} MB", cache["what"], cache["path"])
    jobs = report["workers"]
    add(
        "several workers",
        jobs["msrun"] if jobs["problem"] else f"{jobs['msrun']}, port {jobs['port']} is free",
        problem=jobs["problem"],
    )
    run = report["training"]
    if run["device"] == "CPU":
        add("native convolution", run["native_convolution"])
    if run["ok"]:
        add(
            "training",
            f"{run['device']} trains: a small network's loss fell from {run['losses'][0]:.3f} "
            f"to {run['losses'][1]:.3f}",
        )
    else:
        add("training", problem=f"{run['target']} cannot train: {run['problem']}")
    return "\n".join(lines)
