"""Writes check.html: the findings with their images, in the style of the report."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mindres import files
from mindres.check import KINDS
from mindres.check.result import CheckResult, Finding
from mindres.report import html
from mindres.report.html import Section, escape
from mindres.report.image_grids import LARGEST_IMAGE, data_uri, image

SHOWN = 48  # findings of a kind with an image, which bounds the size of the page
LISTED = 500  # broken files


def write_page(result: CheckResult, out: Path, title: str) -> None:
    """Write the page on the data set `title` to `out`."""
    counts = result.counts()
    tiles = {"Images": f"{len(result.images):,}", "Classes": f"{len(result.images.classes):,}"}
    tiles |= {KINDS[kind][0]: f"{count:,}" for kind, count in counts.items()}
    uris = _uris(result)
    shown = [_section(kind, result.of_kind(kind), uris) for kind, count in counts.items() if count]
    written = f"{len(result.findings):,} findings, written {time.strftime('%Y-%m-%d %H:%M')}"
    page = html.frame(
        f"Check of {title}",
        written,
        result.notes,
        tiles,
        [*shown, _classes(result), _sizes(result.facts)],
        {},
        command="mindres check",
    )
    with files.atomic_write(out) as part:
        part.write_text(page, encoding="utf-8", errors="backslashreplace")


def _uris(result: CheckResult) -> dict[int, str]:
    """The images that are shown, as data URIs."""
    shown = [each for kind in KINDS for each in result.of_kind(kind)[:SHOWN]]
    positions = sorted({position for each in shown for position in each.positions})
    return {i: data_uri(_small(pixels)) for i, pixels in result.images.some(positions).items()}


def _small(pixels: NDArray) -> NDArray:
    """The image at its size on the page, in [0, 1]."""
    picture = Image.fromarray(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels)
    picture.thumbnail((LARGEST_IMAGE, LARGEST_IMAGE))
    return np.asarray(picture, np.float32) / 255


def _section(kind: str, found: list[Finding], uris) -> Section:
    heading, meaning = KINDS[kind]
    shown = found[:SHOWN]
    intro = html.about(f"{len(found):,} {meaning}" + _more(found, SHOWN, "shown"))
    if kind == "broken":
        lines = [f"<li>{escape(f'{each.path}: {each.suggestion}')}</li>" for each in found[:LISTED]]
        content = f"<ol class=files>{''.join(lines)}</ol>"
    else:
        wide = " wide" if len(shown[0].positions) > 1 else ""
        content = f"<div class='grid{wide}'>{''.join(_figure(each, uris) for each in shown)}</div>"
    return Section(kind, heading, intro + content)


def _more(found: list, most: int, what: str) -> str:
    return f"; the {most} surest are {what}, check.csv has all" if len(found) > most else "."


def _figure(finding: Finding, uris) -> str:
    pictures = "".join(image(uris[i], f"Image {i}: {finding.label}") for i in finding.positions)
    if len(finding.positions) > 1:
        pictures = f"<div class=trio>{pictures}</div>"
    name = f"<span class=file title='{escape(finding.path)}'>{escape(finding.path)}</span>"
    return f"<figure>{pictures}<figcaption>{_caption(finding)}{name}</figcaption></figure>"


def _caption(finding: Finding) -> str:
    label = f"{escape(finding.label)}, {escape(finding.split)}"
    if finding.kind == "label":
        return (
            f"{label}<br><span class=wrong>{escape(finding.suggestion)}?</span> {finding.score:.0%}"
        )
    if len(finding.positions) > 1:
        other = escape(finding.suggestion)
        return f"{label}, {finding.score:.0%}<span class=file title='{other}'>{other}</span>"
    return f"{label}, {finding.score:.0%}"


def _classes(result: CheckResult) -> Section:
    most = max(result.facts["classes"].values())
    lines = [
        f"<tr><th scope=row>{escape(name)}</th>"
        f'<td class=bar style="--share:{count / most:.4f}">{count:,}</td></tr>'
        for name, count in result.facts["classes"].items()
    ]
    head = "<thead><tr><th scope=col>class</th><th scope=col>images</th></tr></thead>"
    return Section("classes", "Classes", html.table("named", head, lines))


def _sizes(facts: dict) -> Section:
    rows = {
        "median": html.times(facts["median_size"]),
        "smallest": html.times(facts["smallest_size"]),
        "largest": html.times(facts["largest_size"]),
        "kept, on average": f"{facts['kept_by_crop']['mean']:.0%}",
        "kept, at the least": f"{facts['kept_by_crop']['least']:.0%}",
    }
    lines = [f"<tr><th scope=row>{name}</th><td>{value}</td></tr>" for name, value in rows.items()]
    intro = html.about("Height and width in pixels, and how much of an image a network sees.")
    return Section("sizes", "Sizes", intro + html.table("named", "", lines))
