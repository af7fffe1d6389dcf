"""`mindres doctor`: shows what this machine can train on and what is missing."""

from __future__ import annotations

from mindres.cli.flags import add_device_flag, add_json_flag, print_json


def add_flags(parser) -> None:
    add_device_flag(parser, "device to check (default: auto)")
    add_json_flag(parser)


def run(args) -> int:
    from mindres.doctor.report import report
    from mindres.doctor.text import format_report

    found = report(args.device_target)
    if args.json:
        print_json(found)
    else:
        print(format_report(found))
    return 0 if found["training"]["ok"] else 1
