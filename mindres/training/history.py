"""The history of a run, which `mindres.train` returns."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from pathlib import Path

from mindres.runs.history import EpochRecord


@dataclass
class History:
    """The records of the epochs; a notebook shows them as a table.

    best: the best validation metric.
    best_ckpt_path: the checkpoint that has it.
    images: the images that it was measured on, in words, or "".
    """

    epochs: list[EpochRecord] = field(default_factory=list)
    best: float | None = None
    best_ckpt_path: Path | None = None
    images: str = ""

    def __str__(self) -> str:
        lines = ["  ".join(f"{cell:>17}" for cell in row) for row in self._rows()]
        return "\n".join([*lines, self._summary()])

    def _repr_html_(self) -> str:
        head, *body = self._rows()
        lines = ["<tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in head) + "</tr>"]
        lines += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in body]
        return f"<table>{''.join(lines)}</table><p>{html.escape(self._summary())}</p>"

    def _rows(self) -> list[list[str]]:
        """The cells of the table: a row of names, then a row for each epoch."""
        lines = [record.columns() for record in self.epochs]
        names = [name for name in (lines[0] if lines else ["epoch"])]
        return [names, *([_cell(line[name]) for name in names] for line in lines)]

    def _summary(self) -> str:
        if self.best is None or not self.epochs:
            return "no epoch was validated"
        measured = f" on {self.images}" if self.images else ""
        where = f", saved in {self.best_ckpt_path}" if self.best_ckpt_path else ""
        return f"best {self.best:.4f}{measured}{where}"


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.4g}"
