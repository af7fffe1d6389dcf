"""A process that has imported MindSpore and forks a child for every command, so that a try costs no imports."""

from __future__ import annotations

import atexit
import functools
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent)]

from fault import ROOT, Broken, clean_environment  # noqa: E402

LIMIT_S = 300  # a child that takes longer hangs
EXAMPLES = ROOT / "examples"


@dataclass
class Done:
    """What a child left: its status as `subprocess` has it, and what it said."""

    returncode: int
    stdout: str
    stderr: str


class Forks:
    """The process, seen from outside."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="mindres-forks-")
        self.started = 0
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environment(
                Path(self.folder.name),
                MINDRES_DEVICE_TARGET="CPU",
                no_proxy="127.0.0.1",
                NO_PROXY="127.0.0.1",
            ),
        )

    def cache(self, folder) -> str:
        """A cache of its own in `folder`, but for the compiled convolution."""
        cache = Path(folder) / "cache"
        if not cache.exists():
            cache.mkdir()
            native = Path(self.folder.name) / "cache" / "native"
            native.mkdir(parents=True, exist_ok=True)
            (cache / "native").symlink_to(native)
        return str(cache)

    def _ask(self, **question):
        print(json.dumps(question), file=self.process.stdin, flush=True)
        in_time = select.select([self.process.stdout], [], [], LIMIT_S)[0]
        if not in_time and "wait" in question:
            os.kill(question["wait"], signal.SIGKILL)  # else the next question would wait for it
        answer = json.loads(self.process.stdout.readline())
        if not in_time:
            raise Broken(f"{question} had no answer after {LIMIT_S} s")
        return answer

    def start(self, cwd, command, before="", **environment) -> int:
        """Start `command`, a list (`mindres` or a script, and arguments) or Python code, and wait until it listens.

        `before` is code that runs first. Returns the child's process id.
        """
        self.started += 1
        self.out, self.err, ready = (
            Path(self.folder.name) / f"{self.started}.{kind}" for kind in ("out", "err", "up")
        )
        if isinstance(command, list):
            command = [os.fspath(part) for part in command]
        child = self._ask(
            cwd=str(cwd),
            command=command,
            before=before,
            environment=environment,
            out=str(self.out),
            err=str(self.err),
            ready=str(ready),
        )
        while not ready.exists() and Path(f"/proc/{child}").exists() and not zombie(child):
            time.sleep(0.002)
        return child

    def wait(self, child: int) -> Done:
        status = self._ask(wait=child)
        return Done(
            status,
            *(
                path.read_text(encoding="utf-8", errors="backslashreplace")
                for path in (self.out, self.err)
            ),
        )

    def run(self, cwd, command, before="", **environment) -> Done:
        return self.wait(self.start(cwd, command, before, **environment))


def zombie(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@functools.cache
def forks() -> Forks:
    """The one process of this run."""
    return Forks()


def serve() -> None:
    """Answer what `Forks` asks, in the process that forks."""
    from mindres.cli import program

    # MindSpore is not imported yet, so that this is a child's last exit callback, after MindSpore's
    # own, as in a process of its own: these put a handler back.
    atexit.register(program._ignore_signals, signal.SIG_IGN)
    from mindres.evaluation import evaluator  # noqa: F401
    from mindres.export import exporter  # noqa: F401
    from mindres.report import writer  # noqa: F401
    from mindres.training import trainer  # noqa: F401

    for line in sys.stdin:
        question = json.loads(line)
        if "wait" in question:
            answer = os.waitstatus_to_exitcode(os.waitpid(question["wait"], 0)[1])
        else:
            answer = os.fork()
            if not answer:
                return child(program, **question)
        print(json.dumps(answer), flush=True)


def child(program, cwd, command, before, environment, out, err, ready) -> None:
    os.chdir(cwd)
    os.environ.update(environment)
    for descriptor, path in ((0, os.devnull), (1, out), (2, err)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666), descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    prepare, ignore = program._prepare_streams, program._ignore_signals

    def and_say_so():
        prepare()
        open(ready, "w").close()

    program._prepare_streams = and_say_so
    program._ignore_signals = lambda handler: ignore(lambda *_: None)
    exec(before, {})
    if isinstance(command, str):
        space = {}
        program.run(lambda: exec(command, space))
    elif command[0] == "mindres":
        sys.argv = command
        program.main()
    else:
        sys.argv = command
        runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    serve()
