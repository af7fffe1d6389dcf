"""The CPU: its instruction sets, and the limit on them that MindSpore's oneDNN needs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

# oneDNN reads this variable at its first call. It applies to every oneDNN in the process.
ISA = "ONEDNN_MAX_CPU_ISA"
_limit_is_ours = False


def count() -> int:
    """How many CPU devices there are: one."""
    return 1


def missing() -> str | None:
    """What keeps MindSpore from using the CPU: nothing."""
    return None


def limit_onednn() -> bool:
    """Limit oneDNN to AVX2 if it needs that, unless the user has set the variable.

    Returns:
        Whether this call set the limit.
    """
    global _limit_is_ours
    if ISA in os.environ or not onednn_needs_limit():
        return False
    os.environ[ISA] = "AVX2"
    _limit_is_ours = True
    return True


def lift_limit() -> None:
    """Undo `limit_onednn`, which slows a CPU down that only prepares data for a GPU."""
    global _limit_is_ours
    if _limit_is_ours:
        os.environ.pop(ISA, None)
    _limit_is_ours = False


@contextlib.contextmanager
def without_limit() -> Iterator[None]:
    """Lift the limit in this block, for a library with a oneDNN of its own.

    The library must be used there for the first time, and MindSpore must not.
    """
    limit = os.environ.pop(ISA, None) if _limit_is_ours else None
    try:
        yield
    finally:
        if limit is not None:
            os.environ[ISA] = limit


def onednn_needs_limit() -> bool:
    """Whether oneDNN, as MindSpore 2.10 calls it, uses its reference convolution here.

    MindSpore passes plain (NCHW) layouts. oneDNN has optimised kernels for these up to AVX2; on a
    processor with AVX-512 it skips them and uses the slow reference implementation.
    """
    return "avx512f" in instruction_sets()


def has_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16."""
    return bool(instruction_sets() & {"avx512_bf16", "amx_bf16"})


def has_amx() -> bool:
    """Whether the processor multiplies matrices of bfloat16 in tiles (AMX)."""
    return "amx_bf16" in instruction_sets()


def instruction_sets() -> set[str]:
    """The processor's instruction sets by their Linux names; empty if they are not known."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("flags"):
                    return set(line.partition(":")[2].split())
    except OSError:
        pass
    return set()
