"""The argument parser of every command and script."""

from __future__ import annotations

import argparse

from mindres.errors import UserError

# Whether --debug was given: every error then shows its traceback.
debug = False


class _Debug(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        global debug
        debug = True


class ArgumentParser(argparse.ArgumentParser):
    """argparse with this package's error line, its help layout, `--debug`, and no abbreviated flags."""

    def __init__(self, *args, **kwargs):
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)
        self.add_argument(
            "--debug", action=_Debug, nargs=0, help="show where in the program an error came from"
        )

    def error(self, message: str):
        raise UserError(f"{message} (see {self.prog} --help)")
