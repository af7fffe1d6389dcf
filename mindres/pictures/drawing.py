"""The base of all pictures: figures, grids of images, titles, and files.

Images here are for display: (H, W, 3), or grey (H, W) or (H, W, 1), as floats in [0, 1] or uint8.
`denormalize` makes them from a network's inputs.
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
    """A Matplotlib figure that notebooks show although `pyplot` did not make it.

    A warning on standard error names the characters that no installed font can draw.
    """

    def draw(self, renderer):
        with fonts.one_warning(self):
            super().draw(renderer)

    def _repr_png_(self):
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=100)
        return buffer.getvalue()


def image_grid(images, titles=(), colors="black", columns=6):
    """A grid of N images with a title above each; `colors` is one colour or N of them."""
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
    """Write `words` above a figure, below its title."""
    own = figure.get_suptitle()
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.25)
    figure.suptitle(f"{own}\n{words}" if own else words, **text(9))


def note(message):
    """A picture of a sentence, for when there is nothing to draw."""
    figure = Figure(figsize=(5, 1.2))
    figure.text(0.5, 0.5, message, ha="center", va="center", **text(12))
    return figure


def tiles(images, columns, cmap, limits=(None, None)):
    """A grid of small images without titles; grey ones are drawn with the colour map `cmap`.

    `limits` are the values of its first and last colour; None means each image's own range.
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
    """Images for display, (N, H, W, 3) in [0, 1], from normalised ones, (N, C, H, W)."""
    shown = np.clip(np.transpose(images, (0, 2, 3, 1)) * np.asarray(std) + np.asarray(mean), 0, 1)
    return np.repeat(shown, 3, axis=3) if shown.shape[3] == 1 else shown


def as_rgb(image):
    """An image for display as floats (H, W, 3) in [0, 1]."""
    image = np.asarray(image)
    image = image / 255 if image.dtype == np.uint8 else image
    image = image[..., None] if image.ndim == 2 else image
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


def show(axis, image):
    """Draw one image into `axis`."""
    axis.imshow(as_rgb(image), interpolation="nearest")


def save(figure, path):
    """Write `figure` as PNG, SVG or PDF by the extension of `path`, completely or not at all."""
    kind = format_of(path)
    with atomic_write(path) as part:
        figure.savefig(part, dpi=150, format=kind)


def format_of(path):
    """The format of a picture by the extension of its file; raises `UserError` for others."""
    kind = Path(path).suffix.lower().lstrip(".")
    if kind not in FORMATS:
        raise UserError(f"{path} must end in .png, .svg or .pdf")
    return kind


def short(name, longest=18):
    """A class name, shortened to fit above a small image."""
    name = str(name)
    return name if len(name) <= longest else name[: longest - 1] + "…"


def text(size):
    """The style of the user's text, such as class names and paths.

    Dollars do not start formulas, and Chinese is drawn if a font for it is installed.
    """
    return {"fontsize": size, "parse_math": False, "fontfamily": fonts.families()}
