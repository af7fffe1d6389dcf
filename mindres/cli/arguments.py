"""Argparse types: functions from the text of an argument to its value."""

from __future__ import annotations

import argparse


def positive_int(text: str) -> int:
    """A whole number of at least 1."""
    return _number(text, int, lambda n: n >= 1, "a whole number of at least 1")


def non_negative_int(text: str) -> int:
    """A whole number of at least 0."""
    return _number(text, int, lambda n: n >= 0, "a whole number of at least 0")


def duration(text: str) -> float:
    """The seconds in a duration such as 90s, 20m or 1.5h; a bare number means minutes."""
    unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1:])
    try:
        value = float(text[:-1] if unit else text) * (unit or 60)
        if 0 < value < float("inf"):
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"must be a time such as 90s, 20m or 2h, not {text!r}")


def _number(text, kind, accept, wanted):
    try:
        value = kind(text)
        if accept(value):
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"must be {wanted}, not {text!r}")


def image_shape(text: str) -> tuple[int, int, int]:
    """(channels, height, width) from "channels,height,width"."""
    if text.count(",") != 2:
        raise argparse.ArgumentTypeError(
            f"must be CHANNELS,HEIGHT,WIDTH such as 3,224,224, not {text!r}"
        )
    channels, height, width = (positive_int(part) for part in text.split(","))
    return channels, height, width
