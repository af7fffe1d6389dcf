"""What the README, CONTRIBUTING.md and docs/ say to type and to open is there: commands, paths."""

import argparse
import re
import runpy
import shlex
import sys

import pytest
from conftest import ROOT
from pages import OURS, PAGES

from mindres.cli import COMMANDS, program

README = PAGES[ROOT / "README.md"].text
TEXT = "\n".join(page.text for page in PAGES.values())


class Parsed(BaseException):
    """Raised when a program has understood its command line, so that it goes no further."""


def commands():
    """Every command line of the pages that starts one of our programs: in blocks, and between backticks."""
    found = {line for page in PAGES.values() for line in [*page.typed, *page.mentioned]}
    found = {re.sub(r"^msrun .*?(?=examples/)", "python ", line) for line in found}
    return sorted(line for line in found if line.startswith(("mindres ", "python ")))


def test_commands_of_other_programs_are_run_or_marked():
    """`make test-docs` runs what starts with one of ours; what it cannot run says why."""
    for path, page in PAGES.items():
        others = [line for line in page.typed if line.split()[0] not in OURS.split("|")]
        assert [line for line in others if not page.why_not(line)] == [], path


def test_every_mark_is_needed():
    for path, page in PAGES.items():
        lines = [*page.typed, *page.mentioned]
        unused = [part for part in page.marks if not any(part in line for line in lines)]
        assert unused == [], path


def understood(monkeypatch, run, arguments):
    """Whether `run` parses these arguments to the end."""
    parse = argparse.ArgumentParser.parse_args

    def stop(parser, *args, **kwargs):
        parse(parser, *args, **kwargs)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises((Parsed, SystemExit)) as end:
        run()
    return end.type is Parsed or end.value.code in (None, 0)  # help was asked for


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
    if len(arguments) == 2:  # a mere name
        assert arguments[1] in COMMANDS
    else:
        assert understood(monkeypatch, program.main, arguments)


def test_every_command_is_in_the_readme():
    assert [name for name in COMMANDS if f"mindres {name}" not in README] == []


def test_make_has_the_targets():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", TEXT, re.M))
    assert {"test", "demo"} <= named <= set(targets)


def test_paths_are_there():
    named = set(re.findall(r"`((?:mindres|tests|examples|benchmarks|\.ci)/[\w./-]*)`", TEXT))
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_links_lead_somewhere():
    links = [
        (path, link)
        for path, page in PAGES.items()
        for link in re.findall(r"\]\((?!http)([^)#]+)\)", page.text)
    ]
    assert len(links) > 10
    assert [link for path, link in links if not (path.parent / link).exists()] == []


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150, "put it into a page of docs/"


def test_examples_of_how_to_add_are_still_there():
    lines = []
    for diff in re.findall(
        r"^```diff\n(.*?)^```", PAGES[ROOT / "CONTRIBUTING.md"].text, re.M | re.S
    ):
        for line in diff.splitlines():
            if line.startswith("+++ b/"):
                file = line.removeprefix("+++ b/")
                there = (ROOT / file).read_text(encoding="utf-8").splitlines()
            else:
                lines.append((file, line[1:], line[1:] in there))
    assert len(lines) > 20
    assert [(file, line) for file, line, found in lines if not found] == []
