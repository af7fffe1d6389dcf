"""The machine, apart from its GPUs: versions, processor, Ascend, settings, caches, workers."""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mindres import settings
from mindres.devices import ascend, cpu
from mindres.errors import UserError
from mindres.files import cache_dir

# The versions that mindres is tested with.
TESTED = {
    "Python": "3.10, 3.11, 3.12",
    "mindspore": "2.10.0",
    "mindvision": "0.1.0",
    "numpy": "1.26.4",
}
# The instruction sets that matter to the speed of oneDNN.
INSTRUCTION_SETS = {"sse4_1", "avx", "avx2", "avx512f", "avx512_bf16", "amx_bf16"}
MSRUN_PORT = 8118


def versions() -> dict:
    """The installed and the tested version of each package, and what is wrong with it."""
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
    """The processor, and the instruction set that oneDNN is limited to, and why."""
    limit = os.environ.get(cpu.ISA)
    needed = cpu.onednn_needs_limit()
    why = "not needed: this processor has no AVX-512"
    if needed:
        why = (
            "limited to AVX2 on CPU: with AVX-512, oneDNN uses its reference convolution for the "
            "layouts that MindSpore passes, which is slower by an order of magnitude"
        )
    wrong = needed and limit not in (None, "", "AVX2")
    return {
        "model": _processor_model(),
        "cores": os.cpu_count(),
        "instruction_sets": sorted(cpu.instruction_sets() & INSTRUCTION_SETS),
        cpu.ISA: limit,
        "why": why,
        "problem": f"{cpu.ISA}={limit}: unset it" if wrong else None,
    }


def _processor_model() -> str:
    described = Path("/proc/cpuinfo")
    if described.exists():
        text = described.read_text(errors="replace")
        if found := re.search(r"^model name\s*:\s*(.+)", text, re.MULTILINE):
            return found[1]
    return platform.machine()


def ascend_processors() -> dict:
    """The number of Ascend processors, CANN's release, and what keeps MindSpore from using them."""
    return {"devices": ascend.count(), "cann": cann(), "problem": ascend.missing()}


def cann() -> str | None:
    """The release of CANN, Ascend's toolkit; None if it is not installed."""
    home = Path(os.environ.get("ASCEND_HOME_PATH", "/usr/local/Ascend/ascend-toolkit/latest"))
    for file in (home / "compiler" / "version.info", home / "version.info"):
        if not file.exists():
            continue
        text = file.read_text(errors="replace")
        if found := re.search(r"^Version=(\S+)", text, re.MULTILINE):
            return found[1]
    return None


def settings_present() -> list[dict]:
    """The environment variables of mindres that are set, with values and meanings."""
    return [
        {"name": name, "value": value, "meaning": settings.SETTINGS[name].meaning}
        for name, value in settings.present().items()
    ]


def caches() -> list[dict]:
    """The cache folders and their sizes in bytes."""
    places = {}
    with suppress(UserError):
        places["mindres"] = cache_dir()
    compiled = os.environ.get("CUDA_CACHE_PATH", "~/.nv/ComputeCache")
    places["kernels compiled for this GPU"] = Path(compiled).expanduser()
    return [{"what": what, "path": str(path), "bytes": size(path)} for what, path in places.items()]


def size(folder: Path) -> int:
    """The total size of the files below `folder` in bytes."""
    total = 0
    for here, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # removed in the meantime
                total += os.lstat(os.path.join(here, name)).st_size
    return total


def workers() -> dict:
    """Whether `msrun` can start a job of several workers here."""
    msrun = shutil.which("msrun")
    problem = _port_problem() if msrun else _no_msrun()
    return {"msrun": msrun, "port": MSRUN_PORT, "problem": problem}


def _no_msrun() -> str:
    beside = Path(sys.executable).with_name("msrun")
    if beside.exists():
        return f"msrun is not on PATH: export PATH={beside.parent}:$PATH"
    return "msrun, which comes with MindSpore, is missing: pip install mindspore"


def _port_problem() -> str | None:
    try:
        with socket.create_server(("127.0.0.1", MSRUN_PORT)):
            return None
    except OSError as error:
        return (
            f"port {MSRUN_PORT} is not free ({error.strerror}): name another with msrun "
            "--master_port"
        )
