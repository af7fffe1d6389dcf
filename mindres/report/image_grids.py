"""Grids of images with predictions, and images as data URIs."""

from __future__ import annotations

import base64
import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from mindres.pictures.drawing import as_rgb
from mindres.report.html import escape

LARGEST_IMAGE = 112  # pixels of the longer side
LARGEST_EXACT = 64  # pixels of the longer side of images that are stored without loss


class Answer(NamedTuple):
    """An image as a data URI, with its predicted and true class, the probability, and its file."""

    source: str
    predicted: str
    truth: str
    probability: float
    file: str = ""


def answers(images) -> str:
    """A grid of `Answer`s."""
    figures = (
        f"<figure>{image(each.source, f'{each.truth}, predicted {each.predicted}')}"
        f"<figcaption>{verdict(each)}</figcaption></figure>"
        for each in images
    )
    return f"<div class=grid>{''.join(figures)}</div>"


def verdict(answer) -> str:
    """The prediction in its colour, and a sign for readers who cannot see colours."""
    right = answer.predicted == answer.truth
    kind, sign = ("right", "&check;") if right else ("wrong", "&cross;")
    caption = (
        f"<span class={kind}>{sign} {escape(answer.predicted)}</span> {answer.probability:.0%}"
    )
    if not right:
        caption += f"<br>is {escape(answer.truth)}"
    if answer.file:
        caption += f'<span class=file title="{escape(answer.file)}">{escape(answer.file)}</span>'
    return caption


def gradcams(rows) -> str:
    """Images with their heat maps for the predicted and the true class.

    `rows` has tuples of an `Answer` and two data URIs.
    """
    figures = []
    for answer, for_prediction, for_truth in rows:
        trio = (
            image(answer.source, answer.truth)
            + image(for_prediction, f"Grad-CAM for {answer.predicted}")
            + image(for_truth, f"Grad-CAM for {answer.truth}")
        )
        figures.append(
            f"<figure><div class=trio>{trio}</div>"
            f"<figcaption>{verdict(answer)}</figcaption></figure>"
        )
    return f"<div class='grid wide'>{''.join(figures)}</div>"


def lookalikes(rows) -> str:
    """For each `Answer`: its image, the training images most like it, and their classes.

    `rows` are (answer, list of (data URI, class)).
    """
    figures = []
    for answer, near in rows:
        pictures = image(answer.source, answer.truth)
        pictures += "".join(image(uri, f"Training image: {name}") for uri, name in near)
        names = ", ".join(escape(name) for _, name in near)
        figures.append(
            f"<figure><div class='trio four'>{pictures}</div><figcaption>{verdict(answer)}<br>"
            f"looks like these, labelled {names}</figcaption></figure>"
        )
    return f"<div class='grid wide'>{''.join(figures)}</div>"


def files_of(images) -> str:
    """A list of `Answer`s by their files."""
    lines = "".join(
        f"<li>{escape(each.file)}: {escape(each.predicted)} {each.probability:.0%}, "
        f"is {escape(each.truth)}</li>"
        for each in images
    )
    return f"<details><summary>Files</summary><ol class=files>{lines}</ol></details>"


def image(source, alt) -> str:
    """An `img` of a data URI."""
    kind = " class=small" if source.startswith("data:image/png") else ""
    return f'<img src="{source}" alt="{escape(alt)}"{kind}>'


def data_uri(picture) -> str:
    """An image for display (H, W, 3) as a data URI, reduced to its size on the page."""
    picture = Image.fromarray(np.rint(as_rgb(picture) * 255).astype(np.uint8))
    buffer = io.BytesIO()
    if max(picture.size) <= LARGEST_EXACT:
        kind = "png"
        picture.save(buffer, "PNG", optimize=True)
    else:
        kind = "jpeg"
        picture.thumbnail((LARGEST_IMAGE, LARGEST_IMAGE))
        picture.save(buffer, "JPEG", quality=85)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
