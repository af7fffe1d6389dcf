"""The help of every program: a first screen of 24 lines, and every flag with `--help-all`."""

import re
import runpy
import sys

import pytest
from conftest import ROOT

from mindres.cli import COMMANDS, program
from mindres.cli.parser import ArgumentParser

SCRIPTS = sorted(
    path.name
    for path in (ROOT / "examples").glob("*.py")
    if "mindres" in path.read_text(encoding="utf-8") and path.name != "serve_onnx.py"
)


def shown(monkeypatch, capsys, program_name, flag):
    """What a command, `mindres` itself ("") or a script prints for `flag` in 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as left:
        if program_name.endswith(".py"):
            path = str(ROOT / "examples" / program_name)
            monkeypatch.setattr(sys, "argv", [path, flag])
            runpy.run_path(path, run_name="__main__")
        else:
            program.main([*program_name.split(), flag])
    out, err = capsys.readouterr()
    assert (left.value.code or 0, err) == (0, "")
    return out


def flags(text):
    return set(re.findall(r"--[a-z][\w-]*", text.partition("example:")[0]))


@pytest.mark.parametrize("name", ["", *COMMANDS, *SCRIPTS])
def test_the_first_screen(name, monkeypatch, capsys):
    """It fits a terminal of 24 lines; a flag added to a titled group costs no line."""
    lines = shown(monkeypatch, capsys, name, "--help").splitlines()
    assert len(lines) <= 24, "put flags that few want into a group: parser.add_argument_group"
    too_long = [line for line in lines if len(line) > 80 and "examples/" not in line]
    assert [line for line in too_long if line.startswith("  -")] == []
    assert lines[0].startswith("usage: ")


def test_flags_are_named_by_what_they_are_for(monkeypatch, capsys):
    screen = shown(monkeypatch, capsys, "train", "--help")
    for title, flag in (("images", "group"), ("recipe", "lr"), ("device", "device_id")):
        assert re.search(rf"^{title}: .*(\n  --.*)?--{flag}\b", screen, re.M), title
    assert re.search(r"^  --time +how long", screen, re.M)
    assert "mindres train --help-all explains every flag." in screen


def test_the_rest_is_shown_with_help_all(monkeypatch, capsys):
    first = shown(monkeypatch, capsys, "train", "--help")
    everything = shown(monkeypatch, capsys, "train", "--help-all")
    assert flags(first) < flags(everything)
    assert {"--layer_decay", "--standardize", "--no-tta", "--debug"} <= flags(everything)
    assert everything.startswith("usage: mindres train DATA [flag ...]\n")


def test_what_does_not_fit(monkeypatch, capsys):
    """Long lists of flags are named in groups, first those added first; text is cut, not wrapped."""
    parser = ArgumentParser(prog="tool", description="Does it.", epilog="example:\n  tool a.png")
    parser.add_argument("picture", metavar="PICTURE", help="words " * 40 + "(default: none)")
    parser.add_argument("--level", required=True, help="percent: 100%% (default: %(default)s)")
    for number in range(60):
        parser.add_argument_group("many").add_argument(f"--flag_{number}", help="x")
    screen = parser.format_help()
    assert screen.count("\n") <= 24 and max(map(len, screen.splitlines())) <= 80
    assert screen.startswith("usage: tool PICTURE --level LEVEL [flag ...]\n")
    assert "percent: 100% (default: None)" in screen
    assert "many: --flag_0 --flag_1 " in screen and screen.count("many:") == 1
    assert re.search(r"^  PICTURE  words .* \.\.\.$", screen, re.M)
    assert "--flag_59" in parser.format_everything()
