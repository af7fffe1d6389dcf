"""The fields of a recipe: dataclass fields with help and range in their metadata."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from mindres.errors import UserError, unknown

KINDS = {int: "a whole number", float: "a number", bool: "True or False", str: "a name"}


@dataclass(frozen=True)
class Range:
    """The numbers from `least` to `most`; open ends are excluded."""

    least: float = 0
    most: float = math.inf
    open_least: bool = False
    open_most: bool = True

    def __contains__(self, value: float) -> bool:
        above = value > self.least if self.open_least else value >= self.least
        below = value < self.most if self.open_most else value <= self.most
        return above and below

    def __str__(self) -> str:
        if self.most == math.inf:
            return f"{'above' if self.open_least else 'at least'} {self.least:g}"
        first = "(" if self.open_least else "["
        last = ")" if self.open_most else "]"
        return f"in {first}{self.least:g}, {self.most:g}{last}"


AT_LEAST_0 = Range(0)
AT_LEAST_1 = Range(1)
ABOVE_0 = Range(0, open_least=True)
SHARE = Range(0, 1)
FACTOR = Range(0, 1, open_least=True, open_most=False)


def number(default: float, help: str, within: Range) -> Any:
    """A field for a number `within` a range; it is an integer if the default is."""
    return dataclasses.field(default=default, metadata={"help": help, "within": within})


def switch(default: bool, help: str) -> Any:
    """A field for a boolean."""
    return dataclasses.field(default=default, metadata={"help": help})


def row_of(index: Collection[str], default: str, help: str) -> Any:
    """A field for the name of a row of `index`; its help lists the rows."""
    return dataclasses.field(default=default, metadata={"help": help, "index": index})


def shares(default: tuple[float, ...], help: str) -> Any:
    """A field for several fractions, each in [0, 1); it has no flag."""
    return dataclasses.field(default=default, metadata={"help": help, "each": SHARE, "flag": False})


@dataclass(frozen=True)
class Option:
    """A field of a recipe, for the command line."""

    name: str
    kind: type
    default: Any
    help: str
    has_flag: bool


def options(recipe_class: type) -> list[Option]:
    """The fields of `recipe_class` that have help, in their order."""
    return [
        Option(
            field.name,
            type(field.default),
            field.default,
            _help(field.metadata),
            field.metadata.get("flag", True),
        )
        for field in dataclasses.fields(recipe_class)
        if "help" in field.metadata
    ]


def _help(metadata) -> str:
    if "index" not in metadata:
        return metadata["help"]
    return f"{metadata['help']}: {', '.join(metadata['index'])}"


def check(recipe) -> None:
    """Raise `UserError` for the first field of `recipe` whose value is out of range."""
    for field in dataclasses.fields(recipe):
        if "help" in field.metadata:
            _check_field(field, getattr(recipe, field.name))


def _check_field(field, value) -> None:
    metadata = field.metadata
    if "index" in metadata:
        if value not in metadata["index"]:
            raise unknown(field.name, value, metadata["index"])
        return
    numbers = value if "each" in metadata else [value]
    within: Collection[float] | Range | None = metadata.get("within", metadata.get("each"))
    kind = float if "each" in metadata else type(field.default)
    for item in numbers:
        if not _is_a(item, kind):
            raise UserError(f"{field.name} must be {KINDS[kind]}, not {item!r}")
        if within is not None and item not in within:
            raise UserError(f"{field.name} must be {within}, not {item}")


def _is_a(value, kind: type) -> bool:
    if kind is bool:
        return value in (True, False)
    accepts: Callable | type = int if kind is int else float
    try:
        return not isinstance(value, (str, bool)) and accepts(value) == value
    except (TypeError, ValueError, OverflowError):
        return False
