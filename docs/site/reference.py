"""The reference, from parsers and rows: a function for each page returns its Markdown."""

import argparse
import importlib
import inspect
import re
from collections.abc import Callable, Iterable

import mindres
from mindres import callbacks, data, weights
from mindres.cli import COMMANDS
from mindres.cli.parser import build_parser
from mindres.data import AUTO_AUGMENT, DATASETS
from mindres.evaluation.metrics import METRICS
from mindres.models.registry import list_models, network
from mindres.pictures import PICTURES
from mindres.training.optimizers import OPTIMIZERS
from mindres.training.recipes import RECIPES, recipe_options
from mindres.training.schedules import SCHEDULES
from mindres.weights.publishers import PUBLISHERS


def table(head: Iterable[str], rows: Iterable[Iterable]) -> str:
    """A table in Markdown."""
    lines = [list(head), ["---"] * len(list(head)), *rows]
    cells = [[_cell(str(cell)) for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _cell(text: str) -> str:
    """`text` in one line, with the strokes escaped that are not in code."""
    text = text.replace("\n", " ")
    return re.sub(r"(`[^`]*`)|\|", lambda found: found[1] or "\\|", text)


def code(text) -> str:
    """`text` as code, nothing where it is empty."""
    return f"`{text}`" if text not in ("", None) else ""


def commands() -> str:
    """Every command with its flags, from the parser."""
    parser = build_parser()
    (choices,) = (a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    parts = [
        "# Commands",
        "Every flag of every command, as `--help-all` explains them. Flags cannot be abbreviated.",
        table(
            ("command", "what it does"),
            ((f"[`mindres {name}`](#mindres-{name})", row.does) for name, row in COMMANDS.items()),
        ),
    ]
    for name, row in COMMANDS.items():
        choices[name].add_flags()
        parts += [f"## mindres {name}", f"{row.does[0].upper()}{row.does[1:]}."]
        parts += [f"```\n{row.example}\n```", *_flags(choices[name])]
    return "\n\n".join(parts) + "\n"


def _flags(parser):
    """A table for each group of flags; arguments and the flags without a group share the first."""
    groups: dict[str, list] = {}
    for group in parser._action_groups:
        title = "" if group.title in ("positional arguments", "options") else group.title
        actions = [a for a in group._group_actions if a.dest not in ("help", "help_all", "debug")]
        groups.setdefault(title, []).extend(actions)
    for title, actions in groups.items():
        if actions:
            yield from [f"### {parser.prog}: {title}"] if title else []
            yield table(("argument", "meaning"), map(_flag, actions))


def _flag(action):
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else "")
    if action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction):
        value = ""
    elif not value:
        value = action.dest.upper() if action.option_strings else action.dest
    names = ", ".join(f"`{name}`" for name in action.option_strings)
    text = (action.help or "") % {**vars(action), "prog": ""}
    return f"{names} {code(value)}".strip(), text


def recipes() -> str:
    """Recipes, optimizers, schedules and metrics."""
    values = {name: recipe.values() for name, recipe in RECIPES.items()}
    fields = (
        (code(option.name), option.help, *(_value(values[name][option.name]) for name in RECIPES))
        for option in recipe_options()
    )
    return "\n\n".join(
        [
            "# Recipes, optimizers and schedules",
            "A recipe has every number of a training. Each field is a flag of `mindres train` and "
            "an argument of `mindres.train`, which replaces the recipe's value.",
            table(("recipe", "what it is"), ((code(n), r.description) for n, r in RECIPES.items())),
            "## Values of each recipe",
            table(("field", "meaning", *map(code, RECIPES)), fields),
            "## Optimizers",
            _index(OPTIMIZERS, "optimizer"),
            "## Schedules of the learning rate",
            _index(SCHEDULES, "schedule"),
            "## Metrics",
            "`--select` takes one of them; all stand in `history.csv` and in `eval --json`.",
            _index(METRICS, "metric"),
        ]
    )


def _value(value) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{item:.3g}" for item in value) or "none"
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _index(rows, name: str) -> str:
    return table((name, "what it is"), ((code(key), row.description) for key, row in rows.items()))


def networks() -> str:
    """Networks with their sizes, and who publishes weights."""
    head = ("network", "parameters", "multiply-adds", "input", "published weights (top-1)")
    rows = (
        (
            code(name),
            f"{row.parameters:,}",
            f"{row.multiply_adds:,}",
            "x".join(map(str, row.input_shape)),
            ", ".join(f"{who} {source.top1:.2%}" for who, source in row.weights.items()) or "none",
        )
        for name, row in ((name, network(name)) for name in list_models())
    )
    stated = ((code(name), row.accuracy) for name, row in PUBLISHERS.items())
    return "\n\n".join(
        [
            "# Networks",
            "Parameters and multiply-adds are those of a network as its function builds it by "
            "default. The accuracies are the publishers' own, on ImageNet or CIFAR-10; they were "
            "not measured here.",
            table(head, rows),
            "## Publishers",
            table(("publisher", "where the accuracies are stated"), stated),
        ]
    )


def datasets() -> str:
    """Data sets, automatic augmentation and pictures."""
    return "\n\n".join(
        [
            "# Data sets",
            "What `--dataset` takes, and what `mindres.data` has.",
            table(("name", "class", "what it is"), map(_dataset, DATASETS.items())),
            "## Automatic augmentation",
            table(("`--auto_augment`", "what it does"), map(_function, AUTO_AUGMENT.items())),
            "## Pictures",
            "What `mindres plot` draws; each is a function of `mindres.pictures`, too.",
            table(("picture", "shows"), ((code(n), row.shows) for n, row in PICTURES.items())),
        ]
    )


def _dataset(row):
    name, address = row
    module, _, cls = address.partition(":")
    return code(name), f"[`{cls}`](api.md#{module}.{cls})", _first_line(module, cls)


def _function(row):
    name, address = row
    return code(name), _first_line(*address.split(":"))


def _first_line(module: str, name: str) -> str:
    there = getattr(importlib.import_module(module), name)
    return inspect.cleandoc(there.__doc__ or "").split("\n\n")[0]


def api() -> str:
    """The public names, each from the docstring where it is defined."""
    parts = ["# Python", "Import mindres before mindspore. What follows comes from the docstrings."]
    networks = set(list_models())
    sections = {
        "mindres": {n: home for n, home in mindres._HOMES.items() if n not in networks},
        "mindres.data": data._HOMES,
        "mindres.callbacks": callbacks._HOMES,
        "mindres.weights": weights._HOMES,
    }
    for package, homes in sections.items():
        parts.append(f"## {package}")
        if package == "mindres":
            parts.append(
                "There is a function for each of the [networks](networks.md), such as "
                "`mindres.resnet50(num_classes=1000, pretrained=False)`."
            )
        parts += [f"::: {home}.{name}" for name, home in homes.items()]
    return "\n\n".join(parts)


PAGES: dict[str, Callable[[], str]] = {
    "commands": commands,
    "recipes": recipes,
    "networks": networks,
    "datasets": datasets,
    "api": api,
}
