"""Compiles the native operators, for a wheel or into the user's cache on first use.

setup.py runs this file by its path, so it must not import the package.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

CPP = Path(__file__).with_name("cpp")
# The files that are compiled, and their headers.
SOURCES = [*sorted(CPP.glob("*.cc")), *sorted(CPP.glob("*.h"))]
FLAGS = ("-std=c++17", "-O3", "-fno-math-errno", "-Wno-psabi", "-fPIC", "-shared", "-pthread")
NATIVE = ("-march=native",)
# The processor levels that a wheel has libraries for, highest first: the compiler's name, and the
# instruction sets that it needs by their Linux names.
V3 = {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"}
LEVELS = {
    "x86-64-v4": V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    "x86-64-v3": V3,
}


def find_compiler() -> str | None:
    """The path of `$CXX` or of another C++ compiler."""
    names = (os.environ.get("CXX", ""), "g++", "c++", "clang++")
    return next(filter(None, map(shutil.which, names)), None)


def compile_operators(compiler: str, library: Path, options: tuple[str, ...] = NATIVE) -> None:
    """Compile the shared `library`; raises CalledProcessError if the compiler fails."""
    units = [str(source) for source in SOURCES if source.suffix == ".cc"]
    command = [compiler, *FLAGS, *options, *units, "-o", str(library), "-ldl"]
    subprocess.run(command, check=True, capture_output=True, text=True)


def compile_for_wheel(folder: Path) -> bool:
    """Put a library for each level beside the sources in `folder`; False if that cannot be done."""
    compiler = find_compiler()
    if not compiler or sys.platform != "linux" or os.uname().machine != "x86_64":
        return False
    libraries = {level: folder / "native" / "cpp" / f"operators-{level}.so" for level in LEVELS}
    try:
        for level, library in libraries.items():
            # The wheel may be installed on a system with an older C++ library.
            static = ("-static-libstdc++", "-static-libgcc")
            compile_operators(compiler, library, (f"-march={level}", *static))
    except (OSError, subprocess.CalledProcessError):
        for library in libraries.values():
            library.unlink(missing_ok=True)
        return False
    return True


def from_wheel(flags: set[str]) -> Path | None:
    """The wheel's library for a processor with these flags; None if there is none."""
    folder = SOURCES[0].parent
    libraries = [folder / f"operators-{level}.so" for level in LEVELS if LEVELS[level] <= flags]
    return next(filter(Path.exists, libraries), None)
