"""What a checkpoint notes beside its weights: one dataclass, checked, written as JSON and read.

To note one thing more, add a field: what a sound value is, a check, and whether the network cannot
be used without it.
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


# What is checked of `net.architecture`, the options of `create_model` with the name as `arch`.
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


def noted(about: str, sound: Callable, use: bool = False) -> Any:
    """A field that is None where nothing was noted.

    Args:
        about: what a sound value is, for messages.
        sound: whether a value that was noted may be used as it is.
        use: whether the network cannot be used without it; an exported file carries it then.
    """
    return field(default=None, metadata={"about": about, "sound": sound, "use": use})


@dataclass(frozen=True, eq=False, repr=False)
class Metadata(Mapping):
    """What a checkpoint notes, as far as it is known; a read-only mapping of what was noted, too.

    `metadata.mean` is None where no mean was noted; `metadata["mean"]` then raises KeyError.
    `other` holds what mindres knows nothing of, by the names that it was noted under.

    Raises:
        ValueError: a value is not what it must be.
    """

    architecture: dict | None = noted("a network with its options", _architecture, use=True)
    classes: list[str] | None = noted("a list of names", _each(_text), use=True)
    mean: list[float] | None = noted(
        "a number from -100 to 100 for each channel", _each(lambda x: _number(x, -100, 100)), True
    )
    std: list[float] | None = noted(
        "a number from 1e-6 to 1e6 for each channel", _each(lambda x: _number(x, 1e-6, 1e6)), True
    )
    input_size: list[int] | None = noted(
        f"a height and a width of 1 to {LARGEST_SIDE} pixels", _size, use=True
    )
    crop_fraction: float | None = noted(
        "the part of an image's shorter side that is kept, from 0.01 to 1",
        lambda x: _number(x, 0.01, 1),
        use=True,
    )
    fit: str | None = noted(
        "crop or stretch, where an image's sides have another ratio",
        _one_of("crop", "stretch"),
        True,
    )
    dataset: str | None = noted("the name of a dataset", _text, use=True)
    split_rule: str | None = noted("how validation images are held out", _text)
    held_out: dict | None = noted(
        "the parts of the training images held out, by name", lambda value: isinstance(value, dict)
    )
    skip_broken: bool | None = noted("true or false", lambda value: isinstance(value, bool))
    confidence: dict | None = noted(
        "a temperature and thresholds of probability", _confidence, use=True
    )
    epoch: int | None = noted("a number", _number)
    metric_name: str | None = noted("a name", _text)
    metric: float | None = noted("a number", lambda value: isinstance(value, (int, float)))
    run: str | None = noted("the name of a run", _text)
    tta: bool | None = noted("true or false", lambda value: isinstance(value, bool))
    state: dict | None = noted("the state of a run", lambda value: isinstance(value, dict))
    other: dict = field(default_factory=dict)

    def __post_init__(self):
        for name, row in NOTED.items():
            value = getattr(self, name)
            if value is not None and not row["sound"](value):
                raise ValueError(f"{name} must be {row['about']}, not {str(value)[:80]}")

    @classmethod
    def of(cls, mapping: Mapping | None) -> Metadata:
        """The metadata that a mapping of names to JSON values holds."""
        if isinstance(mapping, Metadata):
            return mapping
        given = mapping or {}
        known = {name: given[name] for name in NOTED if name in given}
        return cls(**known, other={name: given[name] for name in given if name not in NOTED})

    @classmethod
    def from_json(cls, text: str) -> Metadata:
        """What `to_json` wrote.

        Raises:
            ValueError: `text` is no JSON object, or a value of it is not what it must be.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("not a JSON object")
        return cls.of(values)

    def to_json(self) -> str:
        return json.dumps(dict(self))

    @property
    def temperature(self) -> float:
        """What logits are divided by, so that probabilities are as often right as they say."""
        return self.confidence["temperature"] if self.confidence else 1.0

    def for_use(self) -> dict:
        """What was noted that the network cannot be used without."""
        return {name: self[name] for name in self if NOTED.get(name, {}).get("use")}

    def __getitem__(self, name):
        value = getattr(self, name) if name in NOTED else self.other[name]
        if value is None and name in NOTED:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        yield from (name for name in NOTED if getattr(self, name) is not None)
        yield from self.other

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Metadata({dict(self)})"


# The fields that a checkpoint's JSON has by name: what each is, and when it is sound.
NOTED = {each.name: dict(each.metadata) for each in fields(Metadata) if each.metadata}
