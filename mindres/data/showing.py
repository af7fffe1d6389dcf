"""How a data set shows itself in Python and in notebooks."""

from __future__ import annotations

import html

import numpy as np

CLASSES_SHOWN = 20


def facts(data) -> dict[str, str]:
    """What is worth knowing of an `ImageDataset`: names and values to show."""
    height, width = data.resize
    return {
        "split": data.split,
        "images": f"{len(data):,}",
        "classes": _listed(data.classes),
        "image": f"{data.channels} x {height} x {width} (channels, height, width)",
        "batch size": f"{data.batch_size}",
        "path": str(data.path) if data.path is not None else "comes with a package",
    }


def as_text(data) -> str:
    """For `repr`: the class's name and the facts on one line."""
    return f"{data.name}({', '.join(f'{name}: {value}' for name, value in facts(data).items())})"


def as_html(data) -> str:
    """For notebooks: a table of the facts, and of the images that each class has."""
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
