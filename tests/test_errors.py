"""One boundary for errors: what a user can put right is a line, what a developer must keeps its traceback."""

import errno
import os
import sys

import pytest

from mindres.cli import COMMANDS, parser, program
from mindres.errors import UserError

PIPELINE = """Exception thrown from dataset pipeline. Refer to 'Dataset Pipeline Error Message'.

------------------------------------------------------------------
- Dataset Pipeline Error Message:
------------------------------------------------------------------
[ERROR] Invalid image, failed to decode: cat/1.jpg, the image is damaged or permission denied.

------------------------------------------------------------------
- C++ Call Stack: (For framework developers)
------------------------------------------------------------------
mindspore/ccsrc/minddata/dataset/data_source/manifest_op.cc(69).
"""
USERS = [
    (UserError("no such\nnetwork"), "no such network"),
    (RuntimeError("Allocate memory failed\n\n----\n- C++ Call Stack"), "--batch_size"),
    (
        RuntimeError("Device(id:0) memory isn't enough and alloc failed, kernel name: Conv2D"),
        "--batch_size",
    ),
    (RuntimeError("Malloc for kernel output failed, Memory isn't enough"), "--batch_size"),
    (MemoryError(), "--batch_size"),
    (RuntimeError("Unknown Error!\n"), "without giving a reason (Unknown Error!)"),
    (
        RuntimeError("could not execute a primitive"),
        "when it runs out of memory: lower --batch",
    ),
    (RuntimeError(PIPELINE), "Invalid image, failed to decode: cat/1.jpg"),
    (
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "ckpt/best.ckpt"),
        "ckpt/best.ckpt: No space left on device",
    ),
    (PermissionError(errno.EACCES, os.strerror(errno.EACCES), b"cafe"), "Permission denied"),
    (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "Too many open files"),
]
DEVELOPERS = [
    ValueError("shapes"),
    OSError("no number"),
    KeyError("x"),
    RuntimeError("For 'Conv2D', 'C_in' of input 'x' shape must be 3"),
]


def outcome(error, capsys, flag=()):
    def main():
        parser.ArgumentParser(prog="p").parse_args(list(flag))
        raise error

    with pytest.raises(SystemExit) as exit:
        program.run(main)
    return exit.value.code, capsys.readouterr().err


@pytest.mark.parametrize(("error", "part"), USERS, ids=lambda value: type(value).__name__)
def test_what_a_user_can_put_right_is_one_line(error, part, capsys):
    status, said = outcome(error, capsys)
    assert (
        status == 2
        and said.startswith("mindres: error: ")
        and said.count("\n") == 1
        and part in said
    )
    assert "Call Stack" not in said


@pytest.mark.parametrize("error", DEVELOPERS, ids=str)
def test_a_defect_keeps_its_traceback_and_says_what_to_report(error, capsys):
    status, said = outcome(error, capsys)
    assert (
        status == 1
        and said.startswith("Traceback")
        and "defect of mindres" in said.splitlines()[-1]
    )
    assert (
        f"Python {sys.version.split()[0]}" in said.splitlines()[-1]
        and "mindspore 2" in said.splitlines()[-1]
    )


@pytest.mark.parametrize(("error", "part"), USERS, ids=lambda value: type(value).__name__)
def test_debug_shows_the_traceback_too(error, part, capsys):
    status, said = outcome(error, capsys, ["--debug"])
    assert (
        status == 2
        and said.startswith("Traceback")
        and said.splitlines()[-1].startswith("mindres: error: ")
    )
    assert "Traceback" not in outcome(error, capsys)[1], "it holds for one run"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_debug(command, capsys):
    with pytest.raises(SystemExit):
        program.main([command, "--help-all"])
    assert "--debug" in capsys.readouterr().out


def test_memory_that_is_not_there(run_python):
    """MindSpore's own allocator, with less memory than a product of matrices takes."""
    resource = pytest.importorskip("resource")
    done = run_python(
        "-c",
        """
import resource, mindres
from mindres.cli.program import run
def main():
    import mindspore, numpy
    small = mindspore.Tensor(numpy.ones((20000, 1), numpy.float32))
    (small + 1).asnumpy()
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + 1_200_000_000,) * 2)
    print(mindspore.ops.matmul(small, small.T).asnumpy().sum())
run(main)
""",
    )
    assert resource and done.returncode == 2, done.stderr[-2000:]
    # MindSpore adds lines of its own, before and after.
    [line] = [line for line in done.stderr.splitlines() if line.startswith("mindres: ")]
    assert line.startswith("mindres: error: ") and "out of memory: lower" in line


def test_arguments_are_flags_on_the_command_line():
    error = UserError("lower `batch_size`; `target=CPU` works, and `no-name` stays")
    assert str(error) == "lower `batch_size`; `target=CPU` works, and `no-name` stays"
    shown = "lower --batch_size; --device_target CPU works, and `no-name` stays"
    assert error.on_command_line() == shown
