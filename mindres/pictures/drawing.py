"""What all pictures are drawn with: figures, grids of images, titles, and files.

Images are displayable: (H, W, 3) or in grey (H, W) or (H, W, 1), as floats in [0, 1] or as uint8.
`denormalize` makes them from what a network is fed.
"""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as _Figure

from mindres.errors import UserError
from mindres.files import atomic_write
from mindres.pictures import fonts

FORMATS = ("png", "svg", "pdf")


class Figure(_Figure):
    """A Matplotlib figure that a notebook shows, although it was not made by `pyplot`.

    One warning on standard error names the characters that no installed font can draw.
    """

    def draw(self, renderer):
        with fonts.one_warning(self):
            super().draw(renderer)

    def _repr_png_(self):
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=100)
        return buffer.getvalue()


def image_grid(images, titles=(), colors="black", columns=6):
    """A grid of images (N of them) with a title above each; `colors` is one colour or N."""
    columns = max(1, min(columns, len(images)))
    rows = max(1, math.ceil(len(images) / columns))
    lines = max((title.count("\n") + 1 for title in titles), default=0)
    figure = Figure(figsize=(1.7 * columns, (1.65 + 0.17 * lines) * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    colors = [colors] * len(images) if isinstance(colors, str) else colors
    for axis, image, title, color in zip(axes, images, [*titles] or [""] * len(images), colors):
        show(axis, image)
        axis.set_title(title, color=color, **text(9))
    return figure


def entitle(figure, words):
    """Write `words` above a figure, below the title that it has."""
    own = figure.get_suptitle()
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.25)
    figure.suptitle(f"{own}\n{words}" if own else words, **text(9))


def note(message):
    """A picture of a sentence, where there is nothing to draw."""
    figure = Figure(figsize=(5, 1.2))
    figure.text(0.5, 0.5, message, ha="center", va="center", **text(12))
    return figure


def tiles(images, columns, cmap, limits=(None, None)):
    """A grid of small images without titles; those in grey take the colours of `cmap`.

    `limits` are the values of its first and last colour; None takes each image's own.
    """
    columns = max(1, min(columns, len(images)))
    rows = math.ceil(len(images) / columns)
    figure = Figure(figsize=(0.8 * columns, 0.8 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, image in zip(axes, images):
        axis.imshow(image, cmap=cmap, vmin=limits[0], vmax=limits[1], interpolation="nearest")
    return figure


def denormalize(images, mean, std):
    """Normalised images (N, C, H, W) as displayable ones, (N, H, W, 3) in [0, 1].

    One channel becomes three.
    """
    shown = np.clip(np.transpose(images, (0, 2, 3, 1)) * np.asarray(std) + np.asarray(mean), 0, 1)
    return np.repeat(shown, 3, axis=3) if shown.shape[3] == 1 else shown


def as_rgb(image):
    """A displayable image as floats (H, W, 3) in [0, 1]."""
    image = np.asarray(image)
    image = image / 255 if image.dtype == np.uint8 else image
    image = image[..., None] if image.ndim == 2 else image
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


def show(axis, image):
    """Draw one image into `axis`."""
    axis.imshow(as_rgb(image), interpolation="nearest")


def save(figure, path):
    """Write `figure` as PNG, SVG or PDF by the ending of `path`, whole or not at all."""
    kind = format_of(path)
    with atomic_write(path) as part:
        figure.savefig(part, dpi=150, format=kind)


def format_of(path):
    """The format of a picture by its file's ending."""
    kind = Path(path).suffix.lower().lstrip(".")
    if kind not in FORMATS:
        raise UserError(f"{path} must end in .png, .svg or .pdf")
    return kind


def short(name, longest=18):
    """A class name that fits above a small image."""
    name = str(name)
    return name if len(name) <= longest else name[: longest - 1] + "…"


def text(size):
    """The style of text by other people, such as class names and paths.

    A dollar is a dollar, and Chinese is Chinese where a font for it is installed.
    """
    return {"fontsize": size, "parse_math": False, "fontfamily": fonts.families()}
