"""The findings of `mindres check`, and check.csv."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mindres import files
from mindres.check import KINDS
from mindres.check.checked_images import CheckedImages

COLUMNS = ("path", "kind", "score", "suggestion", "label", "split")


@dataclass
class Finding:
    """A problem of an image.

    path: the file, or in a built-in data set the split and the number.
    kind: one of `KINDS`.
    score: from 0 to 1; 1 is surest.
    suggestion: the class for a wrong label, the other image of a copy, or the reason.
    label, split: the image's label and split; "" for a broken one.
    positions: the positions of the image and, for a copy, of the other image.
    """

    path: str
    kind: str
    score: float
    suggestion: str
    label: str = ""
    split: str = ""
    positions: tuple[int, ...] = ()


@dataclass
class CheckResult:
    """The findings of all kinds, the surest of each kind first, and facts on the data set.

    notes: sentences on the methods and on what was left out.
    images: the images that were checked.
    """

    images: CheckedImages
    findings: list[Finding]
    facts: dict
    notes: list[str] = field(default_factory=list)

    def of_kind(self, kind: str) -> list[Finding]:
        return [each for each in self.findings if each.kind == kind]

    def counts(self) -> dict[str, int]:
        """The number of findings of each kind, in the order of `KINDS`."""
        counted = Counter(each.kind for each in self.findings)
        return {kind: counted[kind] for kind in KINDS}

    def write_csv(self, path: Path) -> None:
        """Write a table with a line per finding and the columns `COLUMNS`."""
        text = io.StringIO()
        rows = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
        rows.writeheader()
        rows.writerows({**asdict(each), "score": f"{each.score:.4f}"} for each in self.findings)
        with files.atomic_write(path) as part:
            part.write_text(text.getvalue(), encoding="utf-8", errors="surrogateescape")

    def to_json(self) -> dict:
        rows = [{name: getattr(each, name) for name in COLUMNS} for each in self.findings]
        return {
            "images": len(self.images),
            **self.facts,
            "counts": self.counts(),
            "notes": self.notes,
            "findings": rows,
        }

    def __str__(self) -> str:
        splits = ", ".join(f"{count:,} {name}" for name, count in self.facts["splits"].items())
        lines = [f"{len(self.images):,} images ({splits}) of {len(self.images.classes)} classes"]
        lines += [
            f"{count:6,}  {kind:9}  {KINDS[kind][1]}" for kind, count in self.counts().items()
        ]
        return "\n".join([*lines, *self.notes])
