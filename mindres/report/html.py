"""HTML for the page of a run: tables, charts, images and the frame around them.

`report.html` holds the page's style and script. Everything that comes from elsewhere (class names, commands, paths)
is escaped here.
"""

from __future__ import annotations

import base64
import html
import io
import json
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator
from PIL import Image

from mindres.pictures import drawing

LARGEST_IMAGE = 112  # pixels of the longer side
PANELS = (
    ("loss", "Training loss", ".4f"),
    ("accuracy", "Validation accuracy", ".2%"),
    ("lr", "Learning rate", ".2e"),
)
escape = html.escape


def frame(title, about, missing, tiles, sections, cells):
    """The whole page; `sections` are (id, heading, HTML)."""
    body = [f"<header><h1>{escape(title)}</h1><p class=about>{escape(about)}</p></header>"]
    if missing:
        body.append(
            f"<div class=missing>{''.join(f'<p>{escape(line)}</p>' for line in missing)}</div>"
        )
    links = (f'<a href="#{name}">{escape(heading)}</a>' for name, heading, _ in sections)
    body.append(f"<nav aria-label=Contents>{''.join(links)}</nav>")
    if tiles:
        body.append(
            "<dl class=tiles>"
            + "".join(
                f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in tiles.items()
            )
            + "</dl>"
        )
    body += [
        f'<section><h2 id="{name}">{escape(heading)}</h2>{content}</section>'
        for name, heading, content in sections
    ]
    body.append(
        "<footer>Written by mindres report. This page is one file and fetches nothing.</footer>"
    )
    slots = {
        "title": escape(title),
        "body": "\n".join(body),
        # A closing tag within a name would end the script.
        "cells": json.dumps(cells)
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026"),
    }
    before = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    parts = []
    for (
        name,
        value,
    ) in slots.items():  # in the page's order; what was filled in is not looked at again
        head, before = before.split("{{" + name + "}}")
        parts += [head, value]
    return "".join(parts) + before


def run_table(config):
    """The command, its arguments and its environment."""
    command, environment = config.get("command"), config.get("environment")
    shown = f"<pre>{escape(as_text(command))}</pre>" if command else ""
    rest = {k: v for k, v in config.items() if k not in ("command", "environment")}
    for name, facts in (("Arguments", rest), ("Environment", environment)):
        if isinstance(facts, dict) and facts:
            lines = "".join(
                f"<tr><th scope=row>{escape(str(k))}</th><td class=text>{escape(as_text(v))}</td></tr>"
                for k, v in facts.items()
            )
            shown += (
                f"<details><summary>{name}</summary><div class=scroll><table class=facts><tbody>{lines}</tbody>"
                "</table></div></details>"
            )
    return shown


def as_text(value):
    """A JSON value for people: a string as it is."""
    return value if isinstance(value, str) else json.dumps(value)


def curves(history):
    """A chart for each column of the history."""
    return (
        "<div class=curves>"
        + "".join(
            f"<figure>{curve(history['epoch'], history[column], label, form)}<figcaption>{label} by epoch</figcaption>"
            "</figure>"
            for column, label, form in PANELS
        )
        + "</div>"
    )


def curve(epochs, values, label, form):
    """A line chart as SVG that takes the page's colours; each point tells its value."""
    points = [(e, v) for e, v in zip(epochs, values) if np.isfinite(v)]
    if not points:
        return "<p>No values.</p>"
    left, top, width, height = 52, 10, 300, 170
    ticks_x = MaxNLocator(6, integer=True).tick_values(points[0][0], points[-1][0])
    least, most = min(v for _, v in points), max(v for _, v in points)
    margin = (abs(most) / 10 or 1) * (least == most)
    # With these steps 100% is a tick, and nothing is above it.
    ticks_y = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(least - margin, most + margin)
    scale, unit = (100, "%") if "%" in form else (1, "")
    if unit:
        ticks_y = ticks_y[ticks_y < 1 + 1e-9]
    low, high = points[0][0], max(points[-1][0], points[0][0] + 1)

    def x(epoch):
        return round(left + (epoch - low) / (high - low) * width, 1)

    def y(value):
        return round(top + (ticks_y[-1] - value) / (ticks_y[-1] - ticks_y[0]) * height, 1)

    short = {".4f": ".3g", ".2%": ".3g", ".2e": ".2g"}[form]
    lines = [
        f"<line class=grid x1={left} x2={left + width} y1={y(t)} y2={y(t)} />"
        f"<text x={left - 6} y={y(t) + 4} text-anchor=end>{t * scale:{short}}{unit}</text>"
        for t in ticks_y
    ]
    lines += [
        f"<text x={x(t)} y={top + height + 18} text-anchor=middle>{t:.0f}</text>"
        for t in ticks_x
        if low <= t <= high
    ]
    dots = [
        f"<circle cx={x(e)} cy={y(v)} r={3 if len(points) < 60 else 1.5}><title>epoch {e:.0f}: {v:{form}}</title>"
        "</circle>"
        for e, v in points
    ]
    told = f"{label}: {points[0][1]:{form}} in epoch {points[0][0]:.0f}, {points[-1][1]:{form}} in epoch {high:.0f}"
    return (
        f'<svg viewBox="0 0 {left + width + 14} {top + height + 28}" role=img aria-label="{escape(told)}">'
        + "".join(lines)
        + f'<polyline points="{" ".join(f"{x(e)},{y(v)}" for e, v in points)}" />'
        + "".join(dots)
        + "</svg>"
    )


def scores(rows):
    """The table of `Evaluation.per_class`, with columns that sort."""
    heads = "".join(
        f"<th><button type=button>{name}</button></th>"
        for name in ("images", "precision", "recall", "F1")
    )
    lines = []
    for row in rows:
        cells = f"<td data-value={row['support']}>{row['support']:,}</td>" + "".join(
            f'<td class=bar style="--share:{row[key]:.4f}" data-value={row[key]:.6f}>{row[key]:.1%}</td>'
            for key in ("precision", "recall", "f1")
        )
        lines.append(f"<tr><th scope=row>{escape(row['class'])}</th>{cells}</tr>")
    return (
        f"<div class=scroll tabindex=0><table class=named><thead><tr><th scope=col>class</th>{heads}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def matrix(counts, classes, shown):
    """The confusion matrix of the classes `shown` as a table of buttons, and the place for the images behind them."""
    support = np.maximum(counts.sum(axis=1), 1)
    heads = "".join(f"<th scope=col><span>{escape(classes[k])}</span></th>" for k in shown)
    lines = []
    for true in shown:
        cells = []
        for guess in shown:
            count, share = counts[true, guess], counts[true, guess] / support[true]
            if not count:
                cells.append("<td><span class=zero>0</span></td>")
                continue
            # Mistakes are few: the root makes them visible.
            share = share if true == guess else share**0.5
            kind = ("ok" if true == guess else "no") + (" deep" if share > 0.55 else "")
            told = f"{count:,} of class {classes[true]} predicted as {classes[guess]}"
            cells.append(
                f'<td><button type=button class="{kind}" style="--share:{share:.3f}" aria-pressed=false '
                f'data-cell="{true},{guess}" aria-label="{escape(told)}">{count}</button></td>'
            )
        lines.append(
            f'<tr><th scope=row title="{escape(classes[true])}">{escape(classes[true])}</th>'
            f"{''.join(cells)}</tr>"
        )
    table = f"<table class=matrix><thead><tr><td></td>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return (
        "<p class=about>A row for each true class, a column for each prediction.</p>"
        f"<div class=confusion><div class=scroll tabindex=0>{table}</div>"
        "<div class=behind id=behind role=region aria-live=polite aria-label=Images>"
        "<p class=about>Point at a cell, or tap it, to see the images behind it.</p></div></div>"
    )


def pairs(counts, classes, cells):
    """The commonest confusions as a list of buttons that show their images."""
    return (
        "<ol class=pairs>"
        + "".join(
            f'<li><button type=button data-cell="{true},{guess}">{escape(classes[true])} taken for '
            f"{escape(classes[guess])}</button>: {counts[true, guess]:,}</li>"
            for true, guess in cells
        )
        + "</ol>"
    )


def answers(images):
    """A grid of answered images: (data URI, predicted name, true name, probability) each."""
    return (
        "<div class=grid>"
        + "".join(
            f"<figure>{image(source, f'{truth}, predicted {guess}')}<figcaption>{verdict(guess, truth, probability)}"
            "</figcaption></figure>"
            for source, guess, truth, probability in images
        )
        + "</div>"
    )


def verdict(guess, truth, probability):
    """The prediction in its colour, with a sign for those who see no colours."""
    right = guess == truth
    kind, sign = ("right", "&check;") if right else ("wrong", "&cross;")
    return f"<span class={kind}>{sign} {escape(guess)}</span> {probability:.0%}" + (
        "" if right else f"<br>is {escape(truth)}"
    )


def gradcams(rows):
    """For each image: itself, what speaks for the predicted class and what for the true one."""
    return (
        (
            "<p class=about>Left the image, in the middle what speaks for the prediction, on the right what speaks for "
            "the true class.</p><div class='grid wide'>"
        )
        + "".join(
            f"<figure><div class=trio>{image(source, truth)}{image(for_guess, f'Grad-CAM for {guess}')}"
            f"{image(for_truth, f'Grad-CAM for {truth}')}</div>"
            f"<figcaption>{verdict(guess, truth, probability)}</figcaption></figure>"
            for source, for_guess, for_truth, guess, truth, probability in rows
        )
        + "</div>"
    )


def layers(summary):
    """The table of a `Summary`."""
    lines = "".join(
        f"<tr><th scope=row>{escape(row.name)}</th><td class=text>{escape(row.kind)}</td>"
        f"<td>{times(row.output_shape)}</td><td>{row.parameters:,}</td><td>{row.multiply_adds:,}</td>"
        f"<td>{times(row.receptive_field)}</td></tr>"
        for row in summary.rows
    )
    heads = "<th scope=col>layer</th><th scope=col class=text>type</th>" + "".join(
        f"<th scope=col>{name}</th>"
        for name in ("output", "parameters", "multiply-adds", "receptive field")
    )
    return (
        f"<div class=scroll tabindex=0><table class=layers><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody>"
        "</table></div>"
    )


def times(shape):
    """(64, 8, 8) as 64 x 8 x 8, with the sign for it."""
    return "&times;".join(map(str, shape))


def large(number):
    """A count in millions where there are so many."""
    return f"{number / 1e6:,.2f} M" if number >= 1e6 else f"{number:,}"


def image(source, alt):
    """An `img` of a data URI."""
    kind = " class=small" if source.startswith("data:image/png") else ""
    return f'<img src="{source}" alt="{escape(alt)}"{kind}>'


def data_uri(picture):
    """A displayable image (H, W, 3) as a data URI, no larger than is needed to look at."""
    picture = Image.fromarray(np.rint(drawing.as_rgb(picture) * 255).astype(np.uint8))
    buffer = io.BytesIO()
    if max(picture.size) <= 64:
        kind = "png"
        picture.save(buffer, "PNG", optimize=True)
    else:
        kind = "jpeg"
        picture.thumbnail((LARGEST_IMAGE, LARGEST_IMAGE))
        picture.save(buffer, "JPEG", quality=85)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
