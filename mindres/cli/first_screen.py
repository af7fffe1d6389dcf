"""The first screen of a help text: 24 lines of 80 columns; `--help-all` shows the rest.

Arguments that were added to the parser itself are explained in one line each. Those of a titled
group, `parser.add_argument_group("images")`, are explained if there is room, else only named.
"""

from __future__ import annotations

import argparse
import textwrap

LINES = 24
COLUMNS = 80
_ALWAYS_THERE = ("help", "help_all", "debug", "version")


def usage(parser: argparse.ArgumentParser) -> str:
    """The program, its required arguments, and a hint that there are flags."""
    words = [parser.prog]
    for action in parser._get_positional_actions():
        many = action.nargs in ("*", "+", argparse.PARSER)
        name = f"{_name(action)} ..." if many else _name(action)
        words.append(f"[{name}]" if action.nargs in ("*", "?") else name)
    flags = [
        action for action in parser._get_optional_actions() if action.dest not in _ALWAYS_THERE
    ]
    either = [
        group._group_actions[0] for group in parser._mutually_exclusive_groups if group.required
    ]
    for action in flags:
        if action.required or action in either:
            words += [action.option_strings[0], str(action.metavar or action.dest.upper())]
    return " ".join([*words, "[flag ...]"] if flags else words)


def first_screen(parser: argparse.ArgumentParser) -> str:
    """The short help of `parser`: what it does, its arguments and an example."""
    # The first two groups are argparse's own: positional arguments and options.
    own, groups = parser._action_groups[:2], parser._action_groups[2:]
    commands = [group for group in groups if group.title == "commands"]
    groups = [group for group in groups if group not in commands]
    screens = [_screen(parser, [*own, *commands, *groups], [], 0)]
    screens += [_screen(parser, [*own, *commands], groups, lines) for lines in (3, 2, 1)]
    return next((text for text in screens if text.count("\n") <= LINES), screens[-1])


def _screen(parser, explained, named, lines_each: int) -> str:
    """A help text that explains the arguments of some groups and names those of others."""
    rows = [row for group in explained for row in _rows(group)]
    width = min(22, max((len(name) for name, _ in rows), default=0))
    lines = [f"usage: {usage(parser)}", "", (parser.description or "").strip(), ""]
    lines += [_row(f"  {name:{width}}  ", text) for name, text in rows]
    for group in named:
        names = " ".join(name.split()[0] for name, _ in _rows(group))
        lines += textwrap.wrap(
            f"{group.title}: {names}",
            COLUMNS,
            subsequent_indent="  ",
            break_on_hyphens=False,
            max_lines=lines_each,
            placeholder=" ...",
        )
    if "\n\n" not in (last := parser.epilog or ""):
        last += f"\n{parser.prog} --help-all explains every flag."
    return "\n".join([*lines, "", last.strip().replace("\n\n", "\n"), ""])


def _rows(group) -> list[tuple[str, str]]:
    """The name and help of each argument, or command, of a group."""
    rows = []
    for action in group._group_actions:
        if isinstance(action, argparse._SubParsersAction):
            rows += [(row.dest, row.help or "") for row in action._get_subactions()]
        elif action.dest not in _ALWAYS_THERE and action.help != argparse.SUPPRESS:
            text = (action.help or "") % vars(action)
            rows.append((_name(action), text))
    return rows


def _name(action: argparse.Action) -> str:
    """The argument as it is typed, with its metavar if it has one."""
    value = action.metavar if isinstance(action.metavar, str) else ""
    if action.option_strings:
        return f"{action.option_strings[0]} {value}".strip()
    return value or action.dest


def _row(start: str, text: str) -> str:
    """A line of help; if it is too long, parentheses are dropped and the rest is shortened."""
    room = max(20, COLUMNS - len(start))
    if len(text) > room:
        text = text.split(" (")[0]
    return start + textwrap.shorten(text, room, placeholder=" ...")
