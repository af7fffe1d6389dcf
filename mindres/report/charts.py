"""Learning curves as SVG in the colours of the page."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import MaxNLocator

from mindres.pictures.learning_curves import panels
from mindres.report.html import escape

# Pixels of the chart and of its margins.
LEFT = 52
TOP = 10
WIDTH = 300
HEIGHT = 170
RIGHT = 14
BOTTOM = 28
# The format of the numbers on the axis, by the format of the values.
TICK_FORMATS = {".4f": ".3g", ".2%": ".3g", ".2e": ".2g"}


def curves(history) -> str:
    """A chart for each column of a history that has a panel."""
    figures = []
    for column, panel in panels(history).items():
        label = f"{panel.title[0].upper()}{panel.title[1:]}"
        chart = curve(history["epoch"], history[column], label, panel.form)
        figures.append(f"<figure>{chart}<figcaption>{escape(label)} by epoch</figcaption></figure>")
    return f"<div class=curves>{''.join(figures)}</div>"


def curve(epochs, values, label, form) -> str:
    """A line chart whose points show their values in the format `form`."""
    points = [(e, v) for e, v in zip(epochs, values) if np.isfinite(v)]
    if not points:
        return "<p>No values.</p>"
    ticks = _ticks([value for _, value in points], form)
    first = points[0][0]
    last = max(points[-1][0], first + 1)

    def x(epoch):
        return round(LEFT + (epoch - first) / (last - first) * WIDTH, 1)

    def y(value):
        return round(TOP + (ticks[-1] - value) / (ticks[-1] - ticks[0]) * HEIGHT, 1)

    epoch_ticks = MaxNLocator(6, integer=True).tick_values(first, points[-1][0])
    line = " ".join(f"{x(e)},{y(v)}" for e, v in points)
    label = (
        f"{label}: {points[0][1]:{form}} in epoch {first:.0f}, "
        f"{points[-1][1]:{form}} in epoch {last:.0f}"
    )
    size = f"{LEFT + WIDTH + RIGHT} {TOP + HEIGHT + BOTTOM}"
    return (
        f'<svg viewBox="0 0 {size}" role=img aria-label="{escape(label)}">'
        + _grid(ticks, y, form)
        + _epochs([tick for tick in epoch_ticks if first <= tick <= last], x)
        + f'<polyline points="{line}" />'
        + _dots(points, x, y, form)
        + "</svg>"
    )


def _ticks(values, form):
    """The values of the grid's lines; for fractions none is above 100%."""
    least = min(values)
    most = max(values)
    margin = (abs(most) / 10 or 1) if least == most else 0
    ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(least - margin, most + margin)
    return ticks[ticks < 1 + 1e-9] if "%" in form else ticks


def _grid(ticks, y, form) -> str:
    scale, unit = (100, "%") if "%" in form else (1, "")
    return "".join(
        f"<line class=grid x1={LEFT} x2={LEFT + WIDTH} y1={y(t)} y2={y(t)} />"
        f"<text x={LEFT - 6} y={y(t) + 4} text-anchor=end>"
        f"{t * scale:{TICK_FORMATS[form]}}{unit}</text>"
        for t in ticks
    )


def _epochs(ticks, x) -> str:
    return "".join(
        f"<text x={x(t)} y={TOP + HEIGHT + 18} text-anchor=middle>{t:.0f}</text>" for t in ticks
    )


def _dots(points, x, y, form) -> str:
    radius = 3 if len(points) < 60 else 1.5
    return "".join(
        f"<circle cx={x(e)} cy={y(v)} r={radius}><title>epoch {e:.0f}: {v:{form}}</title></circle>"
        for e, v in points
    )


def reliability(lines) -> str:
    """The share of right answers by their probability, with the diagonal.

    lines: what `calibration_bins` returns, by the CSS class of its line.
    """
    side = HEIGHT

    def at(probability, share):
        return round(LEFT + probability * side, 1), round(TOP + (1 - share) * side, 1)

    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    marks = "".join(
        f"<line class=grid x1={LEFT} x2={LEFT + side} y1={at(0, t)[1]} y2={at(0, t)[1]} />"
        f"<text x={LEFT - 6} y={at(0, t)[1] + 4} text-anchor=end>{t:.0%}</text>"
        f"<text x={at(t, 0)[0]} y={TOP + side + 18} text-anchor=middle>{t:.0%}</text>"
        for t in ticks
    )
    marks += f'<polyline class=diagonal points="{LEFT},{TOP + side} {LEFT + side},{TOP}" />'
    for kind, bins in reversed(lines.items()):
        there = [row for row in bins if row[0]]
        points = [at(probability, share) for _, probability, share in there]
        marks += f'<polyline class="{kind}" points="{" ".join(f"{x},{y}" for x, y in points)}" />'
        marks += "".join(
            f'<circle class="{kind}" cx={x} cy={y} r=3><title>{count:,.0f} images: probability '
            f"{probability:.1%}, {share:.1%} right</title></circle>"
            for (x, y), (count, probability, share) in zip(points, there)
        )
    size = f"{LEFT + side + 2 * RIGHT} {TOP + side + BOTTOM}"
    label = "Share of right answers by the probability of the answer"
    return f'<svg class=square viewBox="0 0 {size}" role=img aria-label="{label}">{marks}</svg>'
