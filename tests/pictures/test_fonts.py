"""Names in any script: drawn where a font has their characters, else reported in one line."""

import warnings

import pytest
from matplotlib import font_manager

from mindres.pictures import drawing, fonts
from mindres.pictures.learning_curves import learning_curves


@pytest.fixture(autouse=True)
def empty_font_caches():
    """Each test looks for fonts itself."""
    for cached in (fonts.families, fonts._characters, fonts._warn):
        cached.cache_clear()
    yield
    for cached in (fonts.families, fonts._characters, fonts._warn):
        cached.cache_clear()


def save(figure, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Matplotlib 3.8 uses names that newer versions of pyparsing deprecate.
        warnings.simplefilter("ignore", DeprecationWarning)
        drawing.save(figure, tmp_path / "a.png")


def test_characters_that_no_font_has_are_named_once(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(fonts, "EAST_ASIAN", ("Nobody's font",))
    for _ in range(2):
        save(drawing.note("\u732b and \u72d7, \u732b"), tmp_path)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "mindres: warning: no font on this machine can draw \u732b\u72d7: install"
    )


def test_nothing_is_said_of_characters_that_can_be_drawn(tmp_path, capsys):
    history = {"epoch": [1, 2], "loss": [2, 1], "accuracy": [0.1, 0.2], "lr": [0.1, 0.1]}
    save(drawing.note("caf\xe9 $x$ \u2026\n2"), tmp_path)
    save(learning_curves({"_one": history, "two": history}), tmp_path)
    assert capsys.readouterr().err == ""


def test_a_font_that_is_installed_draws_its_characters(tmp_path, capsys, monkeypatch):
    """A font of Matplotlib's own stands in for one with Chinese characters."""
    name = "STIXGeneral"
    charmap = font_manager.get_font(font_manager.findfont(name)).get_charmap()
    deja = font_manager.get_font(font_manager.findfont(fonts.FIRST)).get_charmap()
    own = next(chr(c) for c in sorted(charmap) if c not in deja and chr(c).isprintable())
    monkeypatch.setattr(fonts, "EAST_ASIAN", (name,))
    figures = [drawing.note(own), learning_curves({own: HISTORY, "b": HISTORY})]
    for figure in figures:
        save(figure, tmp_path)
    assert capsys.readouterr().err == ""
    [entry, _] = figures[1].legends[0].get_texts()
    assert entry.get_fontfamily() == ["DejaVu Sans", name]


HISTORY = {"epoch": [1, 2], "loss": [2, 1], "accuracy": [0.1, 0.2], "lr": [0.1, 0.1]}
