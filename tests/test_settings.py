"""Every environment variable is a row of one table: read through it, in docs/, in doctor."""

import re
from pathlib import Path

import pytest
from conftest import ROOT

import mindres
from mindres import settings

PACKAGE = Path(mindres.__file__).parent
PAGE = ROOT / "docs" / "reference" / "settings.md"


def test_every_variable_named_in_the_package_has_a_row():
    named = set()
    for path in [*PACKAGE.rglob("*.py"), *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        named |= set(re.findall(r"\bMINDRES_[A-Z_]+", path.read_text(encoding="utf-8")))
    assert named == {name for name in settings.SETTINGS if name.startswith("MINDRES_")}


def test_they_are_read_through_the_table_alone():
    names = "|".join(settings.SETTINGS)
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(rf"environ\b.{{0,30}}({names})", text), path


def documented():
    return settings.markdown() in PAGE.read_text(encoding="utf-8")


def test_the_page_has_the_table():
    assert documented(), f"put this into {PAGE}:\n{settings.markdown()}"


def test_a_row_that_is_not_documented_is_found(monkeypatch):
    row = settings.Setting("nothing", "a row that the page does not have")
    monkeypatch.setitem(settings.SETTINGS, "MINDRES_FAKE", row)
    assert not documented() and "MINDRES_FAKE" in settings.markdown()


def test_values(monkeypatch):
    monkeypatch.setenv("MINDRES_NATIVE", "0")
    monkeypatch.setenv("MINDRES_MIRROR", "")
    assert (settings.get("MINDRES_NATIVE"), settings.get("MINDRES_MIRROR")) == ("0", None)
    assert settings.present()["MINDRES_NATIVE"] == "0"
    assert "MINDRES_MIRROR" not in settings.present()
    with pytest.raises(KeyError, match="MINDRES_OTHER has no row"):
        settings.get("MINDRES_OTHER")
