"""The text and HTML representations of data sets."""

from __future__ import annotations

import html

import numpy as np

CLASSES_SHOWN = 20


def facts(data) -> dict[str, str]:
    """The properties of an `ImageDataset` to show, by name."""
    height, width = data.resize
    return {
        "split": data.split,
        "images": f"{len(data):,}",
        "classes": _listed(data.classes),
        "image": f"{data.channels} x {height} x {width} (channels, height, width)",
        "batch size": f"{data.batch_size}",
        "path": str(data.path) if data.path is not None else "none",
    }


def as_text(data) -> str:
    """The class's name and the facts on one line, for `repr`."""
    return f"{data.name}({', '.join(f'{name}: {value}' for name, value in facts(data).items())})"


def as_html(data) -> str:
    """A table of the facts and the number of images of each class, for notebooks."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
        for name, value in facts(data).items()
    )
    counts = np.bincount(data.split_labels(), minlength=len(data.classes))
    per_class = ", ".join(
        f"{html.escape(name)} {count:,}"
        for name, count in list(zip(data.classes, counts))[:CLASSES_SHOWN]
    )
    more = len(data.classes) - CLASSES_SHOWN
    rest = f" and {more} more classes" if more > 0 else ""
    return f"<b>{html.escape(data.name)}</b><table>{rows}</table><p>{per_class}{rest}</p>"


def _listed(names) -> str:
    if len(names) <= CLASSES_SHOWN:
        return f"{len(names)} ({', '.join(names)})"
    return f"{len(names)} ({', '.join(names[:3])} ... {names[-1]})"
