"""The metadata of a checkpoint: a dataclass that is checked, written as JSON and read again.

A new entry is a field with a description of its values, a check, and whether the network cannot be
used without it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

LARGEST_SIDE = 4096  # pixels


def _number(value, least=float("-inf"), most=float("inf")) -> bool:
    return isinstance(value, (int, float)) and least <= value <= most


def _positive(value) -> bool:
    return isinstance(value, int) and value >= 1


def _text(value) -> bool:
    return isinstance(value, str)


def _each(sound: Callable) -> Callable:
    """A check that a value is a list of which each element is `sound`."""
    return lambda value: isinstance(value, (list, tuple)) and all(map(sound, value))


def _size(value) -> bool:
    return (
        _each(_positive)(value) and len(value) == 2 and all(side <= LARGEST_SIDE for side in value)
    )


def _one_of(*values) -> Callable:
    return lambda value: isinstance(value, str) and value in values


def _confidence(value) -> bool:
    """Whether `value` is as `mindres.evaluation.confidence.confidence_of` writes it."""
    if not (isinstance(value, dict) and _number(value.get("temperature"), 1e-3, 1e3)):
        return False
    rows = value.get("thresholds")
    return isinstance(rows, list) and all(
        _each(lambda share: _number(share, 0, 1))(row) and len(row) == 3 for row in rows
    )


def _likeness(value) -> bool:
    """Whether `value` is as `mindres.evaluation.likeness.likeness_of` writes it."""
    return (
        isinstance(value, dict)
        and _number(value.get("least"), -1, 1)
        and _each(_each(lambda x: _number(x, -1.01, 1.01)))(value.get("means"))
        and len({len(row) for row in value["means"]}) == 1
    )


# The checks of `net.architecture`, the options of `create_model` with the name as `arch`.
ARCHITECTURE = {
    "arch": _text,
    "num_classes": _positive,
    "in_channels": _positive,
    "shortcut": _one_of("A", "B"),
    "pad_mode": _one_of("same", "pad"),
    "aux_logits": lambda value: isinstance(value, bool),
}


def _architecture(value) -> bool:
    return isinstance(value, dict) and all(
        sound(value[option]) for option, sound in ARCHITECTURE.items() if option in value
    )


def entry(about: str, sound: Callable, use: bool = False) -> Any:
    """A field that is None if nothing was recorded.

    Args:
        about: a description of valid values, for messages.
        sound: a function that says whether a value is valid.
        use: whether the network cannot be used without it; exported files then have it, too.
    """
    return field(default=None, metadata={"about": about, "sound": sound, "use": use})


@dataclass(frozen=True, eq=False, repr=False)
class Metadata(Mapping):
    """The metadata of a checkpoint; also a read-only mapping of the entries that it has.

    If there is no mean, `metadata.mean` is None and `metadata["mean"]` raises KeyError. `other` has
    entries that mindres does not know, by name.

    Raises:
        ValueError: a value is not valid.
    """

    architecture: dict | None = entry("a network with its options", _architecture, use=True)
    classes: list[str] | None = entry("a list of names", _each(_text), use=True)
    mean: list[float] | None = entry(
        "a number from -100 to 100 for each channel", _each(lambda x: _number(x, -100, 100)), True
    )
    std: list[float] | None = entry(
        "a number from 1e-6 to 1e6 for each channel", _each(lambda x: _number(x, 1e-6, 1e6)), True
    )
    input_size: list[int] | None = entry(
        f"a height and a width of 1 to {LARGEST_SIDE} pixels", _size, use=True
    )
    crop_fraction: float | None = entry(
        "the part of an image's shorter side that is kept, from 0.01 to 1",
        lambda x: _number(x, 0.01, 1),
        use=True,
    )
    fit: str | None = entry(
        "crop or stretch, for images of another aspect ratio",
        _one_of("crop", "stretch"),
        True,
    )
    dataset: str | None = entry("the name of a dataset", _text, use=True)
    split_rule: str | None = entry("how validation images are held out", _text)
    held_out: dict | None = entry(
        "the parts of the training images held out, by name", lambda value: isinstance(value, dict)
    )
    skip_broken: bool | None = entry("true or false", lambda value: isinstance(value, bool))
    confidence: dict | None = entry(
        "a temperature and thresholds of probability", _confidence, use=True
    )
    likeness: dict | None = entry("mean features of classes and a least similarity", _likeness)
    epoch: int | None = entry("a number", _number)
    metric_name: str | None = entry("a name", _text)
    metric: float | None = entry("a number", lambda value: isinstance(value, (int, float)))
    run: str | None = entry("the name of a run", _text)
    tta: bool | None = entry("true or false", lambda value: isinstance(value, bool))
    state: dict | None = entry("the state of a run", lambda value: isinstance(value, dict))
    other: dict = field(default_factory=dict)

    def __post_init__(self):
        for name, row in ENTRIES.items():
            value = getattr(self, name)
            if value is not None and not row["sound"](value):
                raise ValueError(f"{name} must be {row['about']}, not {str(value)[:80]}")

    @classmethod
    def of(cls, mapping: Mapping | None) -> Metadata:
        """The metadata in a mapping of names to JSON values."""
        if isinstance(mapping, Metadata):
            return mapping
        given = mapping or {}
        known = {name: given[name] for name in ENTRIES if name in given}
        return cls(**known, other={name: given[name] for name in given if name not in ENTRIES})

    @classmethod
    def from_json(cls, text: str) -> Metadata:
        """The metadata in the text of `to_json`.

        Raises:
            ValueError: `text` is not a JSON object, or a value is not valid.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("not a JSON object")
        return cls.of(values)

    def to_json(self) -> str:
        return json.dumps(dict(self))

    @property
    def temperature(self) -> float:
        """The divisor of logits that calibrates probabilities; 1 if none was measured."""
        return self.confidence["temperature"] if self.confidence else 1.0

    def for_use(self) -> dict:
        """The entries that the network cannot be used without."""
        return {name: self[name] for name in self if ENTRIES.get(name, {}).get("use")}

    def __getitem__(self, name):
        value = getattr(self, name) if name in ENTRIES else self.other[name]
        if value is None and name in ENTRIES:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        yield from (name for name in ENTRIES if getattr(self, name) is not None)
        yield from self.other

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Metadata({dict(self)})"


# The entries of a checkpoint's JSON by name, with description and check.
ENTRIES = {each.name: dict(each.metadata) for each in fields(Metadata) if each.metadata}
