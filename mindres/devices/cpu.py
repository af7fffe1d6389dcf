"""The CPU: its instruction sets, and the limit that MindSpore's oneDNN needs on some processors."""

from __future__ import annotations

import os

# oneDNN reads this variable at its first call. It binds every oneDNN of the process.
ISA = "ONEDNN_MAX_CPU_ISA"
_limit_is_ours = False


def count() -> int:
    """How many devices of this kind the machine has."""
    return 1


def missing() -> str | None:
    """What keeps MindSpore from using the CPU: nothing."""
    return None


def limit_onednn() -> bool:
    """Hold oneDNN to AVX2 where it needs that; True if this call did so.

    A value that the user has set is left alone.
    """
    global _limit_is_ours
    if ISA in os.environ or not onednn_needs_limit():
        return False
    os.environ[ISA] = "AVX2"
    _limit_is_ours = True
    return True


def lift_limit() -> None:
    """Undo `limit_onednn`, which costs speed where the CPU only prepares what a GPU trains on."""
    global _limit_is_ours
    if _limit_is_ours:
        os.environ.pop(ISA, None)
    _limit_is_ours = False


def onednn_needs_limit() -> bool:
    """Whether oneDNN, as MindSpore 2.10 calls it, takes its reference convolution here.

    MindSpore hands over plain (NCHW) layouts. For these oneDNN has optimised kernels up to AVX2; on
    a processor with AVX-512 it passes them over and takes the reference implementation.
    """
    return "avx512f" in instruction_sets()


def has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16 itself."""
    return bool(instruction_sets() & {"avx512_bf16", "amx_bf16"})


def instruction_sets() -> set[str]:
    """Instruction sets of the processor as Linux names them; empty where that cannot be known."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("flags"):
                    return set(line.partition(":")[2].split())
    except OSError:
        pass
    return set()
