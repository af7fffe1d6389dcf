"""The line that is printed after each epoch, and the progress bar of its steps."""

from __future__ import annotations

import sys
import warnings

from mindres.evaluation.metrics import METRICS
from mindres.runs.history import EpochRecord


def epoch_line(
    record: EpochRecord, epochs: int, metric_name: str, select: str | None, seconds_left: float
) -> str:
    """The line of an epoch, in the format of MindSpore's tutorial.

    metric_name: the name of `record.metric`; `select` is its row in `METRICS`, or None.
    """
    width = len(str(epochs))
    parts = [f"Epoch: [{record.epoch:{width}d} / {epochs}]", f"Train Loss: [{record.loss:.4f}]"]
    if select not in (None, "accuracy") and "accuracy" in record.metrics:
        parts.append(f"{METRICS['accuracy'].title}: {record.metrics['accuracy']:.4f}")
    if record.metric is not None:
        parts.append(f"{metric_name}: {record.metric:.4f}")
    if record.val_loss is not None:
        parts.append(f"Val Loss: [{record.val_loss:.4f}]")
    parts.append(f"lr: {record.lr:.2e}")
    parts.append(f"{record.images_per_second:,.0f} images/s")
    parts.append(f"{duration(seconds_left)} left")
    return ", ".join(parts)


def progress_bar(epoch: int, steps: int, shown: bool):
    """A progress bar over the steps of an epoch, in a terminal or a notebook, if `shown`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a notebook without ipywidgets gets a bar of text
        from tqdm.auto import tqdm
    return tqdm(
        total=steps,
        leave=False,
        unit="step",
        file=sys.stdout,
        desc=f"Epoch {epoch}",
        disable=not (shown and (sys.stdout.isatty() or in_notebook())),
    )


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "IPKernelApp" in shell.config


def duration(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
