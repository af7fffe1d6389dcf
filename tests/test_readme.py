"""What the README and CONTRIBUTING.md say to type and to open is there: commands, paths."""

import argparse
import re
import runpy
import shlex
import sys

import pytest
from conftest import ROOT

from mindres.cli import COMMANDS, program

PAGES = {
    name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")
}
TEXT = "\n".join(PAGES.values())


class Parsed(BaseException):
    """Raised when a program has understood its command line, so that it goes no further."""


def commands():
    """Every command line of the pages that starts one of our programs: in blocks, and between backticks."""
    lines = re.findall(r"^(?: {4})?((?:python|mindres|msrun) .*?)(?:\s+#.*)?$", TEXT, re.M)
    found = [*lines, *re.findall(r"`((?:python|mindres|msrun) [^`]*)`", TEXT)]
    return sorted({re.sub(r"^msrun .*?(?=examples/)", "python ", line) for line in found})


def understood(monkeypatch, run, arguments):
    """Whether `run` parses these arguments to the end."""
    parse = argparse.ArgumentParser.parse_args

    def stop(parser, *args, **kwargs):
        parse(parser, *args, **kwargs)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(Parsed):
        run()
    return True


@pytest.mark.parametrize("line", [line for line in commands() if "examples/" in line])
def test_scripts_take_what_the_pages_say(line, monkeypatch):
    _, script, *flags = shlex.split(line)
    path = str(ROOT / script)
    assert understood(
        monkeypatch, lambda: runpy.run_path(path, run_name="__main__"), [path, *flags]
    )


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("mindres ")])
def test_commands_take_what_the_pages_say(line, monkeypatch):
    arguments = shlex.split(line.replace("PICTURE", "gradcam"))
    if len(arguments) == 2:  # the command is spoken of, not typed
        assert arguments[1] in COMMANDS
    else:
        assert understood(monkeypatch, program.main, arguments)


def test_every_command_is_in_the_readme():
    assert [name for name in COMMANDS if f"mindres {name}" not in PAGES["README.md"]] == []


def test_make_has_the_targets():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", TEXT, re.M))
    assert {"test", "demo"} <= named <= set(targets)


def test_paths_are_there():
    named = set(re.findall(r"`((?:mindres|tests|examples|benchmarks|\.ci)/[\w./-]*)`", TEXT))
    links = set(re.findall(r"\]\((?!http)([^)#]+)\)", TEXT))
    assert len(named) > 10 and len(links) > 3
    assert [path for path in named | links if not (ROOT / path).exists()] == []


def test_examples_of_how_to_add_are_still_there():
    lines = []
    for diff in re.findall(r"^```diff\n(.*?)^```", PAGES["CONTRIBUTING.md"], re.M | re.S):
        for line in diff.splitlines():
            if line.startswith("+++ b/"):
                file = line.removeprefix("+++ b/")
                there = (ROOT / file).read_text(encoding="utf-8").splitlines()
            else:
                lines.append((file, line[1:], line[1:] in there))
    assert len(lines) > 20
    assert [(file, line) for file, line, found in lines if not found] == []
