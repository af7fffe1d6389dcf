"""Programs started by the tests: in processes of their own, or in this one where that saves seconds of imports."""

import os
import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def clean_environment(**changes):
    """This process's environment without what mindres or a user may have set, plus `changes`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MINDRES_", "ONEDNN_", "CUDA_", "DISPLAY", "WAYLAND_"))
    }
    return {**kept, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", **changes}


@pytest.fixture
def run_python(tmp_path, own_cache):
    """Runs a fresh interpreter in `tmp_path`: `run_python("-c", code)` or `run_python(script, "--flag", ...)`."""

    def run(*arguments, timeout=300, **environment):
        environment = clean_environment(**{"MINDRES_CACHE": str(own_cache), **environment})
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run


@dataclass
class Outcome:
    """What a program left behind, whether it ran in this process or in one of its own."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run_example(tmp_path, monkeypatch, capfd):
    """Runs a script of examples/ as `__main__` in this process and in `tmp_path`, which saves seconds of imports."""

    def run(script, *arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        status = 0
        capfd.readouterr()
        try:
            runpy.run_path(str(ROOT / "examples" / script), run_name="__main__")
        except SystemExit as exit:
            status = exit.code or 0
        return Outcome(status, *capfd.readouterr())

    return run
