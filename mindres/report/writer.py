"""Writes the HTML report of a training run."""

from __future__ import annotations

import contextlib
import html as escaping
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mindres import files
from mindres.callbacks.epoch_line import duration
from mindres.errors import UserError
from mindres.models.checkpoints import load_model
from mindres.report import html, sections
from mindres.report.findings import examine
from mindres.runs import images
from mindres.runs.config import read_config
from mindres.runs.folder import RunFolder
from mindres.runs.history import read_history


@dataclass
class Report(os.PathLike):
    """A report that was written to `path`; a notebook shows it."""

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def _repr_html_(self) -> str:
        page = escaping.escape(self.path.read_text(encoding="utf-8"))
        return f'<iframe srcdoc="{page}" style="width: 100%; height: 40rem; border: 0"></iframe>'


def write_report(
    run_dir,
    out=None,
    ckpt=None,
    dataset=None,
    dataset_path=None,
    split="test",
    *,
    skip_broken=False,
) -> Report:
    """Evaluate the best checkpoint of a run and write the run's HTML report.

    Args:
        run_dir: folder with any of `best.ckpt`, `history.csv` and `config.json`; the page says
            which are missing.
        out: the file; None for `report.html` in `run_dir`.
        ckpt: a checkpoint to use instead of `best.ckpt`.
        dataset, dataset_path: as for `open_images`; None for those of the checkpoint and
            `config.json`.
        split: the split to evaluate.
        skip_broken: leave broken image files out, even if the run did not.

    Returns:
        The report, which is a path-like object.

    Raises:
        UserError: the folder has nothing to report, its files are damaged, or the data set is
            missing.
    """
    run = RunFolder(run_dir)
    if not run.path.is_dir():
        raise UserError(f"there is no run in {run_dir}: name the `ckpt_dir` of a training run")
    contents = _contents(run, Path(ckpt) if ckpt else run.best)
    page = _Page(contents.missing)
    if contents.checkpoint:
        options = {"skip_broken": True} if skip_broken else {}
        _add_network(page, contents, dataset, dataset_path, split, **options)
    else:
        page.title = run.path.resolve().name
        page.about = "no checkpoint"
    page.sections = sections.of_run(contents.config, contents.history) + page.sections
    if contents.history:
        seconds = [s for s in contents.history.get("seconds", []) if np.isfinite(s)]
        page.tiles["Training time"] = duration(sum(seconds))
    written = time.strftime("%Y-%m-%d %H:%M")
    page.about += f", written {written} in {run.path.resolve()}"
    out = Path(out) if out else run.report
    with files.atomic_write(out) as part:
        part.write_text(page.text(), encoding="utf-8", errors="backslashreplace")
    return Report(out)


@dataclass
class _Page:
    """The parts of the page."""

    missing: list[str]
    title: str = ""
    about: str = ""
    tiles: dict = field(default_factory=dict)
    sections: list = field(default_factory=list)
    cells: dict = field(default_factory=dict)

    def text(self) -> str:
        return html.frame(
            self.title, self.about, self.missing, self.tiles, self.sections, self.cells
        )


@dataclass
class _Contents:
    """The contents of a run's folder; `missing` has sentences on what is None or {}."""

    config: dict
    history: dict | None
    checkpoint: Path | None
    missing: list[str]


def _contents(run, checkpoint) -> _Contents:
    missing = []
    config, lacking = read_config(run.config)
    if lacking:
        missing.append(
            f"config.json {lacking}, so command, arguments and environment are unknown; "
            "mindres.train writes it."
        )
    history = read_history(run.history) if run.history.is_file() else None
    if history is None:
        missing.append(
            "history.csv is not in the folder, so there are no learning curves; mindres.train "
            "writes it."
        )
    if checkpoint == run.best and not checkpoint.is_file():
        if history is None and not config:
            raise UserError(
                f"{run} holds no best.ckpt, no history.csv and no config.json: name the `ckpt_dir` "
                "of a training run"
            )
        missing.append("best.ckpt is not in the folder, so nothing could be evaluated.")
        checkpoint = None
    return _Contents(config, history, checkpoint, missing)


def _add_network(page, contents, dataset, dataset_path, split, **options) -> None:
    """Evaluate the checkpoint, and add the results to the page."""
    checkpoint = contents.checkpoint
    config = contents.config
    net, metadata = load_model(checkpoint)
    if config.get("run") and metadata.run and config["run"] != metadata.run:
        page.missing.append(
            f"{checkpoint.name} was kept from an earlier run, because this one did not beat it; "
            "the command and the curves are this run's."
        )
    data = images.open_images(checkpoint, metadata, dataset, dataset_path, split, **options)
    data = data.plain()
    described = images.described(data, images.use_of(data, checkpoint, metadata))
    train = None
    if data.split != "train":
        with contextlib.suppress(UserError):  # the page is as good without
            place = (dataset, dataset_path, "train")
            train = images.open_images(checkpoint, metadata, *place, **options).plain()
    found = examine(net, data, bool(metadata.tta), train)
    found.trained = images.trained_on(checkpoint, metadata, found.result.classes)
    page.title = f"{net.architecture['arch']} on {metadata.dataset or data.name.lower()}"
    page.about = checkpoint.name
    if metadata.epoch is not None:
        page.about += f" of epoch {metadata.epoch}"
    page.about += f", evaluated on the {described}"
    selected = images.selected_by(checkpoint, metadata)
    page.about += f"; {selected}" if selected else ""
    page.tiles = sections.tiles(found)
    page.sections = sections.of_network(found)
    page.cells = sections.cells(found)
