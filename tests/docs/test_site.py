"""The documentation as a site: it builds without a warning, has what the program has, and fetches nothing."""

import argparse
import ast
import html
import logging
import re

import pytest
from conftest import ROOT

from mindres.cli import COMMANDS
from mindres.cli.parser import build_parser
from mindres.data import DATASETS
from mindres.models.registry import list_models
from mindres.pictures import PICTURES
from mindres.training.optimizers import OPTIMIZERS
from mindres.training.recipes import RECIPES, recipe_options


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        patch.chdir(ROOT)
        config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True)
        heard = Warnings(logging.WARNING)
        logging.getLogger("mkdocs").addHandler(heard)
        config.plugins.on_startup(command="build", dirty=False)
        try:
            build(config)
        finally:
            logging.getLogger("mkdocs").removeHandler(heard)
            config.plugins.on_shutdown()
    assert heard.records == []
    return folder


class Warnings(logging.Handler):
    """Keeps what MkDocs warns of: links that lead nowhere, pages that no menu names."""

    def __init__(self, level):
        super().__init__(level)
        self.records = []

    def emit(self, record):
        self.records.append(record.getMessage())


def text(site, page):
    """What a page shows, without markup."""
    return html.unescape(re.sub(r"<[^>]+>", "", (site / page).read_text(encoding="utf-8")))


def test_every_flag_of_every_command_is_in_the_reference(site):
    page = text(site, "reference/commands.html")
    (commands,) = (
        action.choices
        for action in build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    assert list(commands) == list(COMMANDS)
    following = [*list(COMMANDS)[1:], ""]
    for (name, parser), after in zip(commands.items(), following):
        section = page.partition(f"mindres {name}¶")[2].partition(f"mindres {after}¶")[0]
        assert COMMANDS[name].example in section
        parser.add_flags()
        shown = [a for a in parser._actions if a.dest not in ("help", "help_all", "debug")]
        assert shown, name
        flags = [flag for action in shown for flag in action.option_strings]
        words = set(re.findall(r"-[\w-]+", section))
        assert [flag for flag in flags if flag not in words] == [], name


def test_every_row_is_in_the_reference(site):
    recipes = text(site, "reference/recipes.html")
    names = [*RECIPES, *OPTIMIZERS, *(option.name for option in recipe_options())]
    assert [name for name in names if name not in recipes] == []
    networks = text(site, "reference/networks.html")
    assert [name for name in list_models() if name not in networks] == []
    datasets = text(site, "reference/datasets.html")
    assert [name for name in [*DATASETS, *PICTURES] if name not in datasets] == []


def test_public_names_have_their_docstrings(site):
    page = text(site, "reference/api.html")
    for words in (
        "keep the weights with the best validation metric",
        "accuracy",
        "Labelled images, with MindVision's arguments.",
    ):
        assert words in page, words


def test_the_home_page_is_the_readme_with_links_to_pages(site):
    page = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="howto/own_photographs.html"' in page and 'href="contributing.html"' in page
    assert (site / "report.png").is_file()
    assert 'href="tables/cpu.html"' in (site / "benchmarks.html").read_text(encoding="utf-8")


def test_pages_fetch_nothing(site):
    """Neither script, style, font nor image comes from a network."""
    loads = re.compile(r'<(?:script|link|img|iframe)\b[^>]*?(?:src|href)="?(https?:)?//')
    for page in site.rglob("*.html"):
        assert not loads.search(page.read_text(encoding="utf-8")), page


def test_messages_of_the_troubleshooting_page_are_those_of_the_program():
    page = (ROOT / "docs" / "howto" / "troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^\| `(.*?)` \|", page, re.M)
    source = ""
    for path in (ROOT / "mindres").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                source += f"\n{node.value}"
    others = {"SystemError: pyboost_add_ext"}  # MindSpore's
    assert len(messages) > 20
    assert [text for text in messages if text not in source and text not in others] == []


def test_links_of_the_pages_lead_somewhere(site):
    """Those that MkDocs makes itself, of notebooks and of the reference too: files, and places in them."""
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    places = {path: set(re.findall(r'\bid="?([^"\s>]+)', text)) for path, text in pages.items()}
    lost = set()
    for path, text in pages.items():
        if path.name == "404.html":  # its links are those of a server
            continue
        text = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.S)
        for link in re.findall(r'\b(?:href|src)="?([^"\s>]+)', text):
            target, _, place = html.unescape(link).partition("#")
            if re.match(r"[a-z]+:", target):  # another site
                continue
            there = (path.parent / target).resolve() if target else path
            if not there.exists() or (place and place not in places.get(there, {place})):
                lost.add((path.name, link))
    assert sorted(lost) == []
