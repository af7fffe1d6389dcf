"""The commands that the README, CONTRIBUTING.md and the pages of docs/ say to type.

A page marks a command that `make test-docs` does not run with a comment that has a part of it and
the reason: `<!-- not run: PART: REASON -->`.
"""

import re
from dataclasses import dataclass, field

from programs import ROOT

FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
OURS = "mindres|python|msrun|curl"
NO_SHELL = ("python", "diff", "text", "toml", "html")


@dataclass
class Page:
    """What is in a page.

    typed: the lines of its blocks of commands.
    mentioned: the commands between backticks in its sentences.
    marks: reason why a command is not run, by a part of the command.
    """

    text: str
    typed: list[str] = field(default_factory=list)
    mentioned: list[str] = field(default_factory=list)
    marks: dict[str, str] = field(default_factory=dict)
    python: list[str] = field(default_factory=list)

    def why_not(self, line):
        """Why `line` is not run; None where it is to be run."""
        return next((why for part, why in self.marks.items() if part in line), None)


def read_page(text):
    """What is in a page with this Markdown."""
    page = Page(text)
    page.marks = dict(re.findall(r"(?<!`)<!-- not run: (.*?): (.*?) -->", text))
    fences = re.compile(r"^(```|~~~)(\w*)\n(.*?)^\1", re.M | re.S)
    for _, language, code in fences.findall(text):
        if language == "python":
            page.python.append(code)
        elif language not in NO_SHELL:
            page.typed += [line for line in map(_command, code.splitlines()) if line]
    prose = fences.sub("", text)
    indented = re.findall(rf"^ {{4}}(?:{OURS}) .*", prose, re.M)
    page.typed += [_command(line) for line in indented]
    page.mentioned = re.findall(rf"`((?:{OURS}) [^`]*)`", prose)
    return page


def _command(line):
    """A line of a block without the comment behind it."""
    return re.sub(r"(^|\s+)#.*", "", line).strip()


PAGES = {path: read_page(path.read_text(encoding="utf-8")) for path in FILES}
