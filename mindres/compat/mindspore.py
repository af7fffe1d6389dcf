"""The private parts of MindSpore that mindres relies on.

Attributes, file names inside the wheel and message texts may change with any release. Each has a
row in `UNTIL`, which says when it can be removed, and a test in
tests/compat/test_private_mindspore.py that fails when it no longer holds. All hold for MindSpore
2.10.0. Importing this file loads no MindSpore.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path

# What makes an entry unnecessary. No release up to 2.10.0 has any of these.
UNTIL = {
    "GPU_PLUGIN": "the PyPI wheel of MindSpore leaves its GPU plug-in out",
    "NVCC_RELEASES": "MindSpore no longer asks nvcc to choose its GPU plug-in",
    "silence_missing_libraries": "MindSpore looks for CUDA's libraries in its own process",
    "plugin_error": "MindSpore's errors name the missing library in a field",
    "onednn_library": "MindSpore hands oneDNN layouts that it has AVX-512 kernels for",
    "checkpoint_message": "MindSpore reads a checkpoint without making parameters of it",
    "without_checksum": "MindSpore reads a checkpoint without making parameters of it",
    "without_initial_values": "MindSpore has a way to build a Cell whose weights are loaded later",
    "initialise_rest": "MindSpore has a way to build a Cell whose weights are loaded later",
    "forget_compiled": "a Cell that was changed compiles anew by itself",
    "renew_graph": "a Cell whose class was changed compiles anew by itself",
    "workers_joined": "mindspore.communication says whether `init` was called",
    "last_learning_rate": "an optimizer says which learning rate its last step had",
    "has_rates_of_groups": "an optimizer says whether its groups have learning rates of their own",
    "number_epoch": "`Model.train` numbers epochs from a given one without preparing those before",
    "NO_REASON": "MindSpore raises MemoryError where an allocation failed",
    "NO_MEMORY": "MindSpore raises MemoryError where an allocation failed",
    "pipeline_reason": "the data pipeline raises an exception class of its own",
    "pipeline_user_error": "the data pipeline raises the exception that Python raised in it",
    "native_reason": "errors of MindSpore's C++ carry their reason in a field",
}

# The wheel's GPU plug-in, below the package's folder.
GPU_PLUGIN = "lib/plugin/libmindspore_gpu.so.11.6"
# The plug-in is loaded only if `nvcc --version` says a release from the first to before the second.
NVCC_RELEASES = ((11, 6), (12, 0))
# MindSpore looks for CUDA's libraries with ldd, in a process that does not see those loaded here.
MISSING_LIBRARIES = ("need by mindspore-gpu) is not found", "Cannot find cuda libs")
# MindSpore's message for a kernel that ran although its memory could not be allocated.
NO_REASON = re.compile(r"Unknown Error!|could not (execute|create) a primitive")
# The messages of MindSpore, its GPU plug-in and CANN for a lack of memory.
NO_MEMORY = re.compile(
    r"(alloc|malloc)\w*( \w+){0,2} fail|out of memory|memory (is )?(not|isn't) enough|bad_alloc",
    re.IGNORECASE,
)


def package_folder() -> Path | None:
    """The folder of the MindSpore that would be imported; None if it is not installed."""
    spec = PathFinder.find_spec("mindspore")
    return Path(spec.origin).parent if spec and spec.origin else None


def gpu_plugin() -> Path | None:
    """The path of MindSpore's GPU plug-in; None if MindSpore or the plug-in is missing."""
    folder = package_folder()
    path = folder / GPU_PLUGIN if folder else None
    return path if path and path.exists() else None


def silence_missing_libraries() -> None:
    """Drop MindSpore's warnings that CUDA's libraries, which are loaded, are missing."""
    logging.getLogger(f"ME.mindspore.log.{os.getpid()}").addFilter(
        lambda record: not any(text in record.getMessage() for text in MISSING_LIBRARIES)
    )


def plugin_error(error: Exception, target: str) -> str:
    """The line of MindSpore's error that says why it cannot use the device `target`."""
    lines = str(error).strip().splitlines() or ["it gives no reason"]
    return next((line for line in lines if f"libmindspore_{target.lower()}" in line), lines[0])


def onednn_library() -> Path:
    """The path of MindSpore's own oneDNN library; MindSpore must be installed."""
    folder = package_folder()
    assert folder is not None
    return folder / "lib" / "libdnnl.so.3"


def checkpoint_message():
    """The protocol buffer class of a checkpoint file."""
    from mindspore.train.checkpoint_pb2 import Checkpoint

    return Checkpoint


def without_checksum(content: bytes) -> bytes:
    """A checkpoint's `content` without the checksum of `save_checkpoint(crc_check=True)`."""
    mark = len(b"crc_num") + 10  # the name, and the digits of the checksum
    return content[:-mark] if content[-mark:].startswith(b"crc_num") else content


@contextmanager
def without_initial_values():
    """Create parameters without values in this block, which takes a tenth of the time.

    Call `initialise_rest` once the values of a file are loaded. MindSpore's own
    `mindspore.nn.utils.no_init_parameters` does the same and is deprecated.
    """
    from mindspore import Parameter

    before = getattr(Parameter, "init_param", True)
    Parameter.init_param = False
    try:
        yield
    finally:
        Parameter.init_param = before


def initialise_rest(net) -> None:
    """Initialise the parameters of `net` that have no value yet."""
    net.init_parameters_data()
    for parameter in net.get_parameters():
        # Otherwise a copy of a loaded parameter would get the initial values.
        parameter.init_mode = None


def forget_compiled(net) -> None:
    """Make `net`, which was changed, compile again at its next call."""
    net.compile_cache.clear()


def renew_graph(cell, by: int) -> None:
    """Make `cell` use the graph of another version of itself, `by` versions away.

    MindSpore caches compiled graphs by the time at which the cell was created.
    """
    vars(cell)["_create_time"] += by


def last_learning_rate(optimizer) -> float:
    """The learning rate of the optimizer's last step, the highest of its parameter groups."""
    rates = optimizer.learning_rate if optimizer.is_group_lr else [optimizer.learning_rate]
    if not optimizer.dynamic_lr:
        return max(float(rate.asnumpy()) for rate in rates)
    step = max(int(optimizer.global_step.asnumpy()[0]) - 1, 0)
    schedules = [rate.learning_rate.asnumpy() for rate in rates]
    return max(float(schedule[min(step, len(schedule) - 1)]) for schedule in schedules)


def has_rates_of_groups(optimizer) -> bool:
    """Whether `optimizer.get_lr()` gives a tuple with the rate of each parameter."""
    return optimizer.is_group_lr


def number_epoch(state, epoch: int, epochs: int) -> None:
    """Make the callbacks of `Model.train` see `epoch` of `epochs` in their `state`."""
    state.cur_epoch_num = epoch
    state.epoch_num = epochs


def workers_joined() -> bool:
    """Whether this process has joined the workers of a distributed job."""
    from mindspore.communication import GlobalComm

    return GlobalComm.INITED


def pipeline_reason(error: Exception) -> str | None:
    """The reason in an error of the data pipeline; None for other errors."""
    text = str(error)
    if "Dataset Pipeline Error Message" not in text:
        return None
    found = re.search(r"\[ERROR\] (.*)", text)
    return found[1] if found else text.splitlines()[0]


def pipeline_user_error(error: Exception) -> str | None:
    """The message of a `UserError` that was raised in the data pipeline; None for other errors."""
    if "Dataset Pipeline Error Message" not in str(error):
        return None
    found = re.search(r".*UserError: (.*)", str(error))  # the last on its line
    return found[1] if found else None


def native_reason(lines: list[str]) -> str | None:
    """The reason in an error of MindSpore's C++, the line below a heading; else None."""
    for heading, line in itertools.pairwise(lines):
        if re.fullmatch(r"- .*[Ee]rror:", heading):
            return line
    return None
