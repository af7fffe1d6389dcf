"""Pictures of images, answers and runs, with NumPy and Matplotlib alone. Every function returns the figure.

A notebook shows what they return; `save` writes it to a file. Images are displayable: (H, W, 3) or in grey (H, W)
or (H, W, 1), as floats in [0, 1] or as uint8. `denormalize` makes them from what a network is fed.
"""

from __future__ import annotations

import functools
import io
import math
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure as _Figure
from matplotlib.ticker import MaxNLocator

from mindres.errors import UserError
from mindres.files import replacing

RIGHT, WRONG = "blue", "red"
# Above this many classes a cell is too small for its number, and a name for its row.
MOST_CLASSES_WITH_NUMBERS = 30


class Figure(_Figure):
    """A Matplotlib figure that a notebook shows although no `pyplot` made it."""

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


def dataset_grid(images, labels, classes, columns=6):
    """Images with the names of their classes; `labels` are N integers."""
    return image_grid(images, [short(classes[label]) for label in labels], columns=columns)


def prediction_grid(images, predicted, truth=None, probabilities=None, columns=6):
    """A grid of images titled with the prediction: blue where it is right, red where it is wrong.

    Args:
        images: N images.
        predicted: predicted class names, N of them.
        truth: true class names; None leaves the titles black.
        probabilities: probability of each prediction, shown behind it.
        columns: images in a row.
    """
    return image_grid(images, *captions(predicted, truth, probabilities), columns)


def captions(predicted, truth=None, probabilities=None):
    """The titles of `prediction_grid` and their colours."""
    titles, colors = [], []
    for i, name in enumerate(predicted):
        title = short(name) + ("" if probabilities is None else f" {probabilities[i]:.0%}")
        right = truth is None or name == truth[i]
        titles.append(title if right else f"{title}\nis {short(truth[i])}")
        colors.append("black" if truth is None else RIGHT if right else WRONG)
    return titles, colors


def note(message):
    """A picture of a sentence, where there is nothing to draw."""
    figure = Figure(figsize=(5, 1.2))
    figure.text(0.5, 0.5, message, ha="center", va="center", **text(12))
    return figure


def augmentation_grid(columns):
    """What augmentation does: one row per image, one column per kind, such as "original", "flipped" or "as fed".

    Args:
        columns: the images of each kind, N of them, by its name.
    """
    rows = len(next(iter(columns.values())))
    figure = Figure(figsize=(1.5 * len(columns), 1.5 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, len(columns), squeeze=False)
    for column, (name, images) in enumerate(columns.items()):
        axes[0, column].set_title(name, **text(10))
        for axis, image in zip(axes[:, column], images):
            show(axis, image)
            axis.axis("off")
    return figure


def confusion_matrix(matrix, classes):
    """Heat map of `matrix[true, predicted]`, shaded by the share of the true class.

    Each cell has its count, the last column each class's recall, the last row its precision, and the corner the
    accuracy. More than 30 classes are drawn without numbers.
    """
    matrix = np.asarray(matrix)
    n, support, right = len(matrix), matrix.sum(1), matrix.diagonal()
    small = n > MOST_CLASSES_WITH_NUMBERS
    size = 3 + (0.12 * min(n, 100) if small else 0.48 * n)
    figure = Figure(figsize=(size + 0.6, size), layout="compressed")
    axis = figure.subplots()
    shares = matrix / np.maximum(support, 1)[:, None]
    picture = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(picture, ax=axis, shrink=0.7, label="share of the true class")
    axis.set(xlabel="predicted", ylabel="true")
    ticks, names = np.arange(n), [short(name) for name in classes]
    if small:
        ticks = np.arange(0, n, math.ceil(n / 25))
        names = [names[i] for i in ticks]
    else:
        for (row, column), count in np.ndenumerate(matrix):
            axis.text(
                column,
                row,
                f"{count:d}",
                ha="center",
                va="center",
                fontsize=9,
                color="white" if shares[row, column] > 0.5 else "black" if count else "silver",
            )
        for i in range(n):
            axis.text(
                n,
                i,
                percent(right[i], support[i]),
                ha="center",
                va="center",
                fontsize=8,
                color="dimgray",
            )
            axis.text(
                i,
                n,
                percent(right[i], matrix[:, i].sum()),
                ha="center",
                va="center",
                fontsize=8,
                color="dimgray",
            )
        axis.text(
            n,
            n,
            percent(right.sum(), support.sum()),
            ha="center",
            va="center",
            fontsize=8,
            weight="bold",
        )
        ticks = np.arange(n + 1)
        axis.set(xlim=(-0.5, n + 0.5), ylim=(n + 0.5, -0.5))
        axis.axhline(n - 0.5, color="gray", linewidth=0.6)
        axis.axvline(n - 0.5, color="gray", linewidth=0.6)
    axis.set_xticks(ticks, names if small else [*names, "recall"], rotation=90, **text(9))
    axis.set_yticks(ticks, names if small else [*names, "precision"], **text(9))
    axis.tick_params(length=0)
    return figure


def learning_curves(runs):
    """Training loss, validation accuracy and learning rate by epoch, of one run or of several on top of each other.

    Args:
        runs: the history of each run by its name, as lists by column: epoch, loss, accuracy and lr.
    """
    figure = Figure(figsize=(12, 3.4), layout="constrained")
    panels = (
        ("loss", "training loss"),
        ("accuracy", "validation accuracy"),
        ("lr", "learning rate"),
    )
    for axis, (column, label) in zip(figure.subplots(1, 3), panels):
        draw_curve(axis, runs, column, label)
    if len(runs) > 1:
        lines, names = figure.axes[0].get_legend_handles_labels()
        legend = figure.legend(lines, names, loc="outside lower center", ncols=4, frameon=False)
        for entry in legend.get_texts():
            entry.set_parse_math(False)
    return figure


def learning_curve(history, column, label):
    """One panel of `learning_curves`, for one run."""
    figure = Figure(figsize=(4, 2.8), layout="constrained")
    draw_curve(figure.subplots(), {"": history}, column, label)
    return figure


def draw_curve(axis, runs, column, label):
    """Draw one column of each run's history into `axis`; epochs without a value are stepped over."""
    for name, history in runs.items():
        epochs, values = (np.asarray(history[key], float) for key in ("epoch", column))
        known = np.isfinite(values)
        # A leading underscore would take the name out of the legend.
        axis.plot(
            epochs[known],
            values[known],
            marker="o" if known.sum() < 30 else None,
            markersize=3,
            label="\u200b" + name if name.startswith("_") else name,
        )
    axis.set_title(label, fontsize=11)
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axis.grid(alpha=0.3)
    if column == "lr":
        axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)


def filters(weights, columns=16):
    """The kernels of the first convolution, (out, in, height, width), in colour where it has three inputs.

    Grey is zero; each kernel is stretched to its own largest weight.
    """
    weights = np.asarray(weights, float)
    largest = np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
    scaled = 0.5 + weights / np.maximum(2 * largest, 1e-12)
    images = scaled.transpose(0, 2, 3, 1) if weights.shape[1] == 3 else scaled.mean(axis=1)
    return _tiles(images, columns, "gray", limits=(0, 1))


def feature_maps(maps, columns=8):
    """Feature maps (channels, height, width) of one image, each stretched from its smallest to its largest value."""
    return _tiles(maps, columns, "viridis")


def _tiles(images, columns, cmap, limits=(None, None)):
    columns = max(1, min(columns, len(images)))
    rows = math.ceil(len(images) / columns)
    figure = Figure(figsize=(0.8 * columns, 0.8 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, image in zip(axes, images):
        axis.imshow(image, cmap=cmap, vmin=limits[0], vmax=limits[1], interpolation="nearest")
    return figure


def gradcam_grid(images, heat, titles=(), colors="black", columns=4):
    """Each image beside the same with its Grad-CAM heat map, (N, h, w) in [0, 1], on top."""
    pairs = [
        picture
        for image, one in zip(images, heat)
        for picture in (as_rgb(image), overlay(image, one))
    ]
    doubled = [part for title in titles for part in (title, "")]
    colors = colors if isinstance(colors, str) else [color for color in colors for _ in range(2)]
    return image_grid(pairs, doubled, colors, 2 * columns)


def overlay(image, heat):
    """`image` with `heat` (h, w), in [0, 1], enlarged and laid over it in colour: float (H, W, 3) in [0, 1]."""
    image = as_rgb(image)
    heat = enlarge(np.asarray(heat, float), image.shape[:2])
    color = matplotlib.colormaps["turbo"](heat)[..., :3]
    opacity = 0.7 * heat[..., None]
    return (1 - opacity) * image + opacity * color


def enlarge(heat, shape):
    """`heat` (h, w) stretched to `shape`, bilinearly, with the corners of the pixels aligned."""
    for axis, size in enumerate(shape):
        at = (np.arange(size) + 0.5) * heat.shape[axis] / size - 0.5
        low = np.clip(np.floor(at).astype(int), 0, heat.shape[axis] - 1)
        high = np.minimum(low + 1, heat.shape[axis] - 1)
        part = np.clip(at - low, 0, 1)
        part = part[:, None] if axis == 0 else part
        heat = np.take(heat, low, axis) * (1 - part) + np.take(heat, high, axis) * part
    return heat


def denormalize(images, mean, std):
    """Normalised images (N, C, H, W) as displayable ones, (N, H, W, 3) in [0, 1]; one channel becomes three."""
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
    with replacing(path) as part:
        figure.savefig(part, dpi=150, format=kind)


def format_of(path):
    """The format of a picture by its file's ending."""
    kind = Path(path).suffix.lower().lstrip(".")
    if kind not in ("png", "svg", "pdf"):
        raise UserError(f"{path} must end in .png, .svg or .pdf")
    return kind


def percent(part, whole):
    """A share for people: whole percents, and a dash where there is nothing to share."""
    return f"{part / whole:.0%}" if whole else "-"


def short(name, longest=18):
    """A class name that fits above a small image."""
    name = str(name)
    return name if len(name) <= longest else name[: longest - 1] + "…"


def text(size):
    """Text of other people: a dollar is a dollar, and Chinese is Chinese where a font for it is installed."""
    return {"fontsize": size, "parse_math": False, "fontfamily": _fonts()}


@functools.lru_cache
def _fonts():
    installed = set(font_manager.get_font_names())
    east_asian = (
        "Noto Sans CJK SC",
        "Source Han Sans SC",
        "WenQuanYi Micro Hei",
        "WenQuanYi Zen Hei",
        "PingFang SC",
        "Microsoft YaHei",
        "SimHei",
        "Droid Sans Fallback",
    )
    return ["DejaVu Sans", *(name for name in east_asian if name in installed)]
