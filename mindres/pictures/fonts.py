"""Fonts for names in any script."""

from __future__ import annotations

import contextlib
import functools
import sys
import warnings

from matplotlib import font_manager
from matplotlib.text import Text

FIRST = "DejaVu Sans"  # comes with Matplotlib
EAST_ASIAN = (
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Microsoft YaHei",
    "SimHei",
    "Droid Sans Fallback",
)


@functools.lru_cache
def families() -> list[str]:
    """The font families to draw characters with, in order of preference."""
    installed = set(font_manager.get_font_names())
    return [FIRST, *(name for name in EAST_ASIAN if name in installed)]


@functools.lru_cache
def _characters() -> frozenset[int]:
    """The code points of all characters that `families` can draw."""
    drawn = set()
    for family in families():
        drawn |= set(font_manager.get_font(font_manager.findfont(family)).get_charmap())
    return frozenset(drawn)


def missing(words: str) -> str:
    """The characters of `words` that no font can draw, each once."""
    return "".join(
        c for c in dict.fromkeys(words) if c.isprintable() and ord(c) not in _characters()
    )


@contextlib.contextmanager
def one_warning(figure):
    """Draw `figure` in this block, with a single warning of all characters that no font has."""
    words = "".join(each.get_text() for each in figure.findobj(Text))
    if lacking := missing(words):
        _warn(lacking)
    with warnings.catch_warnings():
        # Matplotlib's own warning comes once for each character.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


@functools.lru_cache
def _warn(characters: str) -> None:
    """Warn once, on standard error, of characters without a font."""
    print(
        f"mindres: warning: no font on this machine can draw {characters}: install "
        f"{EAST_ASIAN[0]}, for example (package fonts-noto-cjk)",
        file=sys.stderr,
    )
