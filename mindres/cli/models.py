"""`mindres models`: lists the networks, their sizes and their published weights."""

from __future__ import annotations

from mindres.cli.flags import add_json_flag, print_json
from mindres.errors import UserError


def add_flags(parser) -> None:
    parser.add_argument(
        "pattern", nargs="?", default="*", help="shell-style pattern for names (default: all)"
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
    from mindres.models.registry import network
    from mindres.weights.publishers import PUBLISHERS

    row = network(name)
    weights = {
        publisher: {**vars(source), "top1_source": PUBLISHERS[publisher].accuracy}
        for publisher, source in row.weights.items()
    }
    return {
        "name": name,
        "parameters": row.parameters,
        "multiply_adds": row.multiply_adds,
        "input_shape": row.input_shape,
        "weights": weights,
    }


def _table(names) -> str:
    from mindres.models.registry import network
    from mindres.models.summary import in_units

    lines = [f"{'name':<16}{'parameters':>12}  {'multiply-adds':>13}  {'input':>10}  weights"]
    for name in names:
        row = network(name)
        size = "x".join(map(str, row.input_shape))
        weights = ", ".join(row.weights) or "-"
        lines.append(
            f"{name:<16}{row.parameters:>12,}  {in_units(row.multiply_adds):>13}  "
            f"{size:>10}  {weights}"
        )
    return "\n".join(lines)
