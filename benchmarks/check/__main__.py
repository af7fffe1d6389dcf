"""How many planted and known errors of real images `mindres check` finds.

    python -m benchmarks.check --cifar10 DIR --mnist DIR --weights FILE    in ten minutes
    python -m benchmarks.check --cifar10 DIR --mnist DIR --weights FILE --parts copies gain

CIFAR-10's DIR is a folder of class folders with the splits train and test, MNIST's has the
published files, and FILE is the published ResNet-56. Parts that are not measured keep their
sections of the page.
"""

from __future__ import annotations

import argparse
import re
from datetime import date
from pathlib import Path

from benchmarks.check import copies, gain, known_errors, labels

OUT = Path(__file__).resolve().parents[1] / "results" / "check.md"
HEAD = """# What `mindres check` finds

`python -m benchmarks.check --cifar10 DIR --mnist DIR --weights FILE`, on two cores. CIFAR-10's images are those after a
pass through JPEG, on which the published ResNet-56, whose features these are, has an accuracy of 83%.
"""
PARTS = {
    "Labels": labels.section,
    "Known errors": known_errors.section,
    "Copies": copies.section,
    "Gain": gain.section,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("cifar10", "mnist", "weights"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", default=[*PARTS], choices=PARTS, metavar="PART")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    page = args.out.read_text() if args.out.exists() else ""
    sections = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", page, re.M | re.S))
    for name in args.parts:
        sections[name] = f"\n{PARTS[name](args)}\n\nMeasured {date.today()}.\n"
        texts = [f"## {each}\n\n{sections[each].strip()}\n" for each in PARTS if each in sections]
        args.out.write_text("\n".join([HEAD, *texts]))


if __name__ == "__main__":
    main()
