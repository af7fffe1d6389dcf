"""Keeps the checkpoints with the best validation metric."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from mindres import files
from mindres.errors import UserError
from mindres.weights import formats
from mindres.weights.metadata import Metadata

LEAST = -float("inf")


class BestCheckpoints:
    """The checkpoints of a run's best epochs.

    The best one is `target`, unless an earlier run left a better one there. Until this run is
    better, its best goes to the first free name of `best-2.ckpt`, `best-3.ckpt` and so on. Runs can
    be compared if they have the same metric, architecture and data set; otherwise the old file
    stays, too. The other checkpoints are called `best-epoch-N.ckpt`.

    Args:
        target: the path of the best checkpoint.
        keep: the number of checkpoints to keep.
        overwrite: replace an earlier run's `target`, whatever it holds.
        compared: the architecture, data set and metric of this run.

    Raises:
        UserError: `target` is not a file, or its folder cannot be written to.
    """

    # The state of a run that keeps nothing.
    NOTHING: ClassVar[dict] = {"kept": [], "best_path": None}

    def __init__(self, target: Path, keep: int, overwrite: bool, compared: Metadata):
        files.make_folder(target.parent)
        if target.exists() and not target.is_file():
            raise UserError(f"{target} is not a file: move it away, or name another folder")
        self.target = target
        self.keep = keep
        self.run: str | None = None
        self.compared = compared
        self.best = LEAST
        self.best_epoch = 0
        self.path: Path | None = None
        # Metric and path of each checkpoint beside the best one.
        self.others: list[tuple[float, str]] = []
        self.bar = LEAST if overwrite else self._earlier_best()

    def _earlier_best(self) -> float:
        """The metric that this run must reach to replace an earlier run's best checkpoint."""
        if not self.target.exists():
            return LEAST
        try:
            _, theirs = formats.read_checkpoint(self.target)
        except UserError:
            return float("inf")
        if theirs.run and theirs.run == self.run:
            return LEAST
        mine = self.compared
        comparable = (
            theirs.metric is not None
            and theirs.metric_name == mine.metric_name
            and theirs.architecture == mine.architecture
            and theirs.dataset == mine.dataset
        )
        return theirs.metric if comparable else float("inf")

    def consider(self, metric: float, epoch: int, save: Callable[[Path], None]) -> None:
        """Let `save` write the weights of this epoch if they are among the best."""
        if metric > self.best:
            self._take_over(metric, epoch, save)
        elif self.keep > 1:
            path = self.target.with_name(f"best-epoch-{epoch}.ckpt")
            if len(self.others) < self.keep - 1 or metric > min(self.others)[0]:
                save(path)
                self._note(metric, path)

    def _take_over(self, metric, epoch, save) -> None:
        before = self.path
        beats = metric >= self.bar
        path = self.target if beats else before or self._free_name()
        if before is not None:
            self._demote(before)
        save(path)
        if before is not None and before != path:
            before.unlink(missing_ok=True)  # this run's own previous best
        self.path = path
        self.best = metric
        self.best_epoch = epoch

    def _demote(self, path: Path) -> None:
        """Keep the previous best checkpoint under another name."""
        if self.keep > 1:
            demoted = path.with_name(f"best-epoch-{self.best_epoch}.ckpt")
            demoted.unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):  # somebody removed `path`
                os.link(path, demoted)  # not renamed, so that `path` exists at all times
                self._note(self.best, demoted)

    def _note(self, metric: float, path: Path) -> None:
        self.others = sorted([*self.others, (metric, str(path))], reverse=True)
        for _, surplus in self.others[self.keep - 1 :]:
            Path(surplus).unlink(missing_ok=True)
        del self.others[self.keep - 1 :]

    def _free_name(self) -> Path:
        number = 2
        while (path := self.target.with_stem(f"{self.target.stem}-{number}")).exists():
            number += 1
        return path

    def state(self) -> dict:
        """What `restore` needs to go on keeping the best."""
        return {
            "kept": [(metric, Path(path).name) for metric, path in self.others],
            "best_path": self.path and self.path.name,
        }

    def restore(self, best: float, best_epoch: int, state: dict) -> None:
        """Continue from the `state` of another run, by names, since the folder may have moved."""
        self.best = best
        self.best_epoch = best_epoch
        self.others = [(metric, str(self._beside(path))) for metric, path in state["kept"]]
        self.path = self._beside(state["best_path"]) if state["best_path"] else None
        if self.path in (None, self.target):
            self.bar = self._earlier_best()

    def _beside(self, path: str) -> Path:
        return self.target.with_name(Path(path).name)

    def summary(self, metric_name: str, images: str) -> list[str]:
        """Lines for the user on where this run's best weights are; none if there are no weights.

        images: the images that the metric was measured on, in words, or "".
        """
        if self.path is None:
            return []
        measured = f"{metric_name} on {images}" if images else metric_name
        lines = [f"Best {measured}: {self.best:.4f}, saved in {self.path}"]
        if self.path != self.target:
            why = f"{self.bar:.4f}" if self.bar < float("inf") else "of another network or dataset"
            lines.append(
                f"{self.target} ({why}) is an earlier run's and was kept; `overwrite` replaces it"
            )
        return lines
