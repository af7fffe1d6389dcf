"""The frame of a report's page, and its tables.

All text from outside, such as class names and paths, is escaped here.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import NamedTuple

from mindres.evaluation.interval import interval_text

escape = html.escape


class Section(NamedTuple):
    """A section of the page: its anchor, its heading, and its contents in HTML."""

    anchor: str
    heading: str
    content: str


def frame(title, about, missing, tiles, sections, cells, command="mindres report") -> str:
    """The whole page.

    Args:
        title, about: the heading and the line below it.
        missing: sentences on what the run's folder lacks.
        tiles: figures by name.
        sections: a list of `Section`.
        cells: the data of the confusion matrix's cells for the script.
        command: the command that wrote the page.
    """
    slots = {
        "title": escape(title),
        "body": _body(title, about, missing, tiles, sections, command),
        "cells": _json_in_script(cells),
    }
    rest = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    parts = []
    # In the page's order, so that values that were filled in are not searched again.
    for name, value in slots.items():
        head, rest = rest.split("{{" + name + "}}")
        parts += [head, value]
    return "".join(parts) + rest


def _body(title, about, missing, tiles, sections, command) -> str:
    parts = [f"<header><h1>{escape(title)}</h1><p class=about>{escape(about)}</p></header>"]
    if missing:
        lines = "".join(f"<p>{escape(line)}</p>" for line in missing)
        parts.append(f"<div class=missing>{lines}</div>")
    links = "".join(f'<a href="#{s.anchor}">{escape(s.heading)}</a>' for s in sections)
    parts.append(f"<nav aria-label=Contents>{links}</nav>")
    if tiles:
        figures = "".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
            for name, value in tiles.items()
        )
        parts.append(f"<dl class=tiles>{figures}</dl>")
    parts += [
        f'<section><h2 id="{s.anchor}">{escape(s.heading)}</h2>{s.content}</section>'
        for s in sections
    ]
    parts.append(
        f"<footer>Written by {command}. This page is a single file and loads nothing else.</footer>"
    )
    return "\n".join(parts)


def _json_in_script(value) -> str:
    """JSON that cannot end the script element."""
    text = json.dumps(value)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def about(sentence) -> str:
    """A paragraph of explanation; `sentence` is escaped."""
    return f"<p class=about>{escape(sentence)}</p>"


def table(kind, head, lines, scrolls=True) -> str:
    """A table of the class `kind` from its head and its rows, which are HTML."""
    focus = " tabindex=0" if scrolls else ""
    return (
        f"<div class=scroll{focus}><table class={kind}>{head}"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def run_table(config) -> str:
    """The command of a run, its arguments and its environment."""
    command = config.get("command")
    rest = {k: v for k, v in config.items() if k not in ("command", "environment")}
    shown = f"<pre>{escape(as_text(command))}</pre>" if command else ""
    for name, facts in (("Arguments", rest), ("Environment", config.get("environment"))):
        if isinstance(facts, dict) and facts:
            lines = [
                f"<tr><th scope=row>{escape(str(k))}</th>"
                f"<td class=text>{escape(as_text(v))}</td></tr>"
                for k, v in facts.items()
            ]
            facts_table = table("facts", "", lines, scrolls=False)
            shown += f"<details><summary>{name}</summary>{facts_table}</details>"
    return shown


def as_text(value) -> str:
    """A JSON value as text; strings have no quotes."""
    return value if isinstance(value, str) else json.dumps(value)


def scores(rows, trained: list[int] | None = None) -> str:
    """The table of `Evaluation.per_class`, with columns that sort.

    trained: the number of training images of each class; None if it is not known.
    """
    names = ["images", "precision", "recall", "F1", "recall's 95% interval"]
    if trained is not None:
        names.insert(0, "training images")
    heads = "".join(f"<th><button type=button>{name}</button></th>" for name in names)
    lines = []
    for k, row in enumerate(rows):
        cells = f"<td data-value={trained[k]}>{trained[k]:,}</td>" if trained is not None else ""
        cells += f"<td data-value={row['support']}>{row['support']:,}</td>"
        for key in ("precision", "recall", "f1"):
            share = row[key]
            cells += (
                f'<td class=bar style="--share:{share:.4f}" data-value={share:.6f}>{share:.1%}</td>'
            )
        interval = row["recall_interval"]
        cells += f"<td data-value={interval[0] if interval else -1}>{interval_text(interval)}</td>"
        lines.append(f"<tr><th scope=row>{escape(row['class'])}</th>{cells}</tr>")
    head = f"<thead><tr><th scope=col>class</th>{heads}</tr></thead>"
    return table("named", head, lines)


def layers(summary) -> str:
    """The table of a `Summary`."""
    lines = [
        f"<tr><th scope=row>{escape(row.name)}</th><td class=text>{escape(row.kind)}</td>"
        f"<td>{times(row.output_shape)}</td><td>{row.parameters:,}</td>"
        f"<td>{row.multiply_adds:,}</td><td>{times(row.receptive_field)}</td></tr>"
        for row in summary.rows
    ]
    names = ("output", "parameters", "multiply-adds", "receptive field")
    heads = "<th scope=col>layer</th><th scope=col class=text>type</th>"
    heads += "".join(f"<th scope=col>{name}</th>" for name in names)
    return table("layers", f"<thead><tr>{heads}</tr></thead>", lines)


def times(shape) -> str:
    """(64, 8, 8) as 64 x 8 x 8, with the multiplication sign."""
    return "&times;".join(map(str, shape))


def large(number) -> str:
    """A count, in millions if it is that large."""
    return f"{number / 1e6:,.2f} M" if number >= 1e6 else f"{number:,}"
