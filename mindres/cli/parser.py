"""The argument parser class of every command and script, and the parser of `mindres`."""

from __future__ import annotations

import argparse
import importlib

from mindres import __version__
from mindres.cli import COMMANDS, first_screen
from mindres.errors import UserError, suggestion

# Whether --debug was given: errors then show their tracebacks.
debug = False


class _Debug(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        global debug
        debug = True


class _HelpAll(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        print(parser.format_everything(), end="")
        parser.exit()


class ArgumentParser(argparse.ArgumentParser):
    """argparse with mindres's error line, help layout, suggestions, and `--debug`.

    `--help` fits on a screen, `--help-all` explains every flag. Flags cannot be abbreviated.
    """

    def __init__(self, *args, **kwargs):
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)
        self.add_argument("--help-all", action=_HelpAll, nargs=0, help="explain every flag")
        self.add_argument("--debug", action=_Debug, nargs=0, help="show the traceback of an error")

    def add_argument_group(self, title=None, *args, **kwargs):
        """The group of this title; it is created if there is none."""
        found = (group for group in self._action_groups if title and group.title == title)
        return next(found, None) or super().add_argument_group(title, *args, **kwargs)

    def format_help(self) -> str:
        """The complete help if it is short, else its first screen."""
        everything = self.format_everything()
        short = everything.count("\n") <= first_screen.LINES
        return everything if short else first_screen.first_screen(self)

    def format_everything(self) -> str:
        """The help with every flag explained."""
        self.usage = first_screen.usage(self)
        return super().format_help()

    def _check_value(self, action, value):
        if action.choices is not None and value not in action.choices:
            message = f"unknown value {value!r}: {suggestion(value, action.choices)}"
            raise argparse.ArgumentError(action, message)

    def error(self, message: str):
        raise UserError(f"{message} (see {self.prog} --help)")


class _CommandParser(ArgumentParser):
    """The parser of one command, whose file it loads when it is used."""

    def __init__(self, *args, command: str, **kwargs):
        super().__init__(*args, **kwargs)
        self.command = command

    def add_flags(self):
        file = importlib.import_module(f"mindres.cli.{self.command}")
        file.add_flags(self)
        self.set_defaults(run=file.run)

    def parse_known_args(self, args=None, namespace=None):
        self.add_flags()
        return super().parse_known_args(args, namespace)


def build_parser() -> ArgumentParser:
    """The parser of `mindres`; parsed arguments have the `run` function of their command."""
    parser = ArgumentParser(
        prog="mindres",
        description="Train, evaluate and understand ResNets on today's MindSpore.",
        epilog="example:\n  mindres summary resnet50 --input 3,224,224\n\n"
        "mindres COMMAND --help explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"mindres {__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=_CommandParser
    )
    for name, row in COMMANDS.items():
        commands.add_parser(
            name,
            command=name,
            help=row.does,
            description=f"{row.does[0].upper()}{row.does[1:]}.",
            epilog=f"example:\n  {row.example}",
        )
    return parser
