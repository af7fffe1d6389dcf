"""Groups of images that stay in one split, and whether classes are large enough to be split."""

from __future__ import annotations

import os
import re

from mindres.errors import UserError


def group_keys(own: list[bytes], pattern: str | None) -> list[bytes]:
    """A key for each file; files with the same key stay together.

    Args:
        own: the paths of the files.
        pattern: a regular expression whose first group, or whole match, in a path is the key; a
            file without a match has its path as its key, as all have if this is None.

    Raises:
        UserError: `pattern` is not a regular expression, or matches in no path.
    """
    if pattern is None:
        return own
    try:
        expression = re.compile(os.fsencode(pattern))
    except re.error as error:
        raise UserError(f"`group` {pattern} is not a regular expression: {error}") from None
    found = [expression.search(name) for name in own]
    if not any(found):
        raise UserError(
            f"`group` {pattern} finds nothing in the images' paths, such as "
            f"{os.fsdecode(own[0])}: give a regular expression for the part of the path that "
            "images of a group share"
        )
    return [
        name if match is None else b"group/" + match[min(1, expression.groups)]
        for name, match in zip(own, found)
    ]


def check_class_sizes(labels, classes, keys, least: int) -> None:
    """Raise `UserError` for a class with fewer than `least` images or groups, unless it has none.

    Args:
        labels: labels of the images, (N,).
        classes: class names by label.
        keys: keys of the images, (N,); images with the same key stay together.
        least: the number of parts that the images are divided into.
    """
    members: dict[int, set] = {}
    singles: dict[int, int] = {}
    for label, key in zip(labels.tolist(), keys):
        members.setdefault(label, set()).add(key)
        singles[label] = singles.get(label, 0) + 1
    for label, found in sorted(members.items()):
        if len(found) >= least:
            continue
        name = classes[label]
        images = singles[label]
        counted = f"{images} image{'s' * (images > 1)}"
        if len(found) < images:
            counted += f" in {len(found)} group{'s' * (len(found) > 1)}"
        raise UserError(
            f"the class {name!r} has {counted}, and needs one to train on and {WORDS[least - 1]} "
            "to hold out: add images to it, or move its folder away"
        )


WORDS = {0: "none", 1: "one", 2: "two"}


def check_fractions(val: float, test: float) -> None:
    """Raise `UserError` unless something is left to train on."""
    if not 0 <= test < 1:
        raise UserError(f"test_fraction must be in [0, 1), not {test}")
    if val + test >= 1:
        raise UserError(
            f"validation_fraction {val} and test_fraction {test} leave no images to train on: "
            "their sum must be below 1"
        )
