"""`mindres models`: lists the networks, their size and their published weights."""

from __future__ import annotations

from mindres.cli.flags import add_json_flag, print_json
from mindres.errors import UserError


def add_flags(parser) -> None:
    parser.add_argument(
        "pattern", nargs="?", default="*", help="shell-style pattern of names (default: all)"
    )
    add_json_flag(parser)


def run(args) -> None:
    from mindres.models.registry import list_models

    names = list_models(args.pattern)
    if not names:
        raise UserError(f"no network matches {args.pattern!r}: mindres models lists all")
    if args.json:
        print_json([_document(name) for name in names])
    else:
        print(_table(names))


def _document(name) -> dict:
    from mindres.models.registry import FACTS, SOURCES
    from mindres.weights.publishers import PUBLISHERS

    facts = FACTS[name]
    weights = {
        publisher: {**vars(source), "top1_source": PUBLISHERS[publisher].accuracy}
        for publisher, source in SOURCES.get(name, {}).items()
    }
    return {
        "name": name,
        "parameters": facts.parameters,
        "multiply_adds": facts.multiply_adds,
        "input_shape": facts.input_shape,
        "weights": weights,
    }


def _table(names) -> str:
    from mindres.models.registry import FACTS, SOURCES
    from mindres.models.summary import in_units

    lines = [f"{'name':<14}{'parameters':>12}  {'multiply-adds':>13}  {'input':>10}  weights"]
    for name in names:
        facts = FACTS[name]
        size = "x".join(map(str, facts.input_shape))
        weights = ", ".join(SOURCES.get(name, {})) or "-"
        lines.append(
            f"{name:<14}{facts.parameters:>12,}  {in_units(facts.multiply_adds):>13}  "
            f"{size:>10}  {weights}"
        )
    return "\n".join(lines)
