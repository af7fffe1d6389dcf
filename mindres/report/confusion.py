"""The confusion matrix of a report: the cells, and the images of each."""

from __future__ import annotations

import numpy as np

from mindres.report.html import about, escape

# The images of the cells, which are limited to bound the size of the page.
IMAGES_OF_A_CELL = 12
IMAGES_OF_ALL_CELLS = 800
MOST_CLASSES_IN_MATRIX = 30
CONFUSIONS = 12  # listed below the matrix
DEEP = 0.55  # fraction of a class above which a cell is so dark that its text is light


def cells_of_interest(matrix):
    """The classes that the matrix shows, and the most common confusions as (true, predicted)."""
    wrong = matrix - np.diag(matrix.diagonal())
    shown = np.arange(len(matrix))
    if len(matrix) > MOST_CLASSES_IN_MATRIX:
        confused = np.argsort(-(wrong.sum(0) + wrong.sum(1)), kind="stable")
        shown = np.sort(confused[:MOST_CLASSES_IN_MATRIX])
    commonest = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS]
    listed = [tuple(map(int, np.unravel_index(i, wrong.shape))) for i in commonest if wrong.flat[i]]
    return shown.tolist(), listed


def positions_behind(result, cells):
    """The positions of the images to show for each (true, predicted) cell.

    The most confident mistakes come first, and the least confident correct predictions.
    """
    cells = list(dict.fromkeys(cells))
    counts = np.array([result.confusion_matrix[cell] for cell in cells])
    most = IMAGES_OF_A_CELL
    while most > 1 and np.minimum(counts, most).sum() > IMAGES_OF_ALL_CELLS:
        most -= 1
    confidence = result.probabilities.max(axis=1)
    behind = {}
    for true, predicted in cells:
        inside = (result.labels == true) & (result.predicted == predicted)
        positions = np.flatnonzero(inside)
        sign = 1 if true == predicted else -1
        order = np.argsort(confidence[positions] * sign, kind="stable")
        behind[true, predicted] = positions[order][:most]
    return behind


def cell(result, true, predicted, positions, uris) -> dict:
    """What the page's script shows for a cell of the matrix."""
    count = int(result.confusion_matrix[true, predicted])
    true_name = result.classes[true]
    if true == predicted:
        title = f"{true_name}, recognised"
        order = "the least confident first"
    else:
        title = f"{true_name}, taken for {result.classes[predicted]}"
        order = "the most confident first"
    images = [
        {
            "src": uris[i],
            "alt": f"Image {i}: {true_name}",
            "caption": f"{result.probabilities[i].max():.0%}",
        }
        for i in positions
    ]
    return {
        "title": title,
        "about": f"{len(positions)} of {count:,} images, {order}",
        "images": images,
    }


def matrix(counts, classes, shown) -> str:
    """The matrix of the classes `shown` as a table of buttons, and a region for their images."""
    heads = "".join(f"<th scope=col><span>{escape(classes[k])}</span></th>" for k in shown)
    lines = []
    for true in shown:
        name = escape(classes[true])
        cells = "".join(_button(counts, classes, true, predicted) for predicted in shown)
        lines.append(f'<tr><th scope=row title="{name}">{name}</th>{cells}</tr>')
    table = (
        f"<table class=matrix><thead><tr><td></td>{heads}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>"
    )
    return (
        about("A row for each true class, a column for each prediction.")
        + f"<div class=confusion><div class=scroll tabindex=0>{table}</div>"
        + "<div class=behind id=behind role=region aria-live=polite aria-label=Images>"
        + about("Point at a cell, or tap it, to see its images.")
        + "</div></div>"
    )


def _button(counts, classes, true, predicted) -> str:
    count = counts[true, predicted]
    if not count:
        return "<td><span class=zero>0</span></td>"
    share = count / max(counts[true].sum(), 1)
    if true != predicted:
        share = share**0.5  # the square root makes few mistakes visible
    kind = "ok" if true == predicted else "no"
    if share > DEEP:
        kind += " deep"
    label = escape(f"{count:,} of class {classes[true]} predicted as {classes[predicted]}")
    return (
        f'<td><button type=button class="{kind}" style="--share:{share:.3f}" aria-pressed=false '
        f'data-cell="{true},{predicted}" aria-label="{label}">{count}</button></td>'
    )


def pairs(counts, classes, cells) -> str:
    """The most common confusions as a list of buttons that show their images."""
    lines = "".join(
        f'<li><button type=button data-cell="{true},{predicted}">{escape(classes[true])} taken for '
        f"{escape(classes[predicted])}</button>: {counts[true, predicted]:,}</li>"
        for true, predicted in cells
    )
    return f"<ol class=pairs>{lines}</ol>"
