"""`mindres.fit`: what `mindres train DATA --time` does, from Python and in a notebook."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Run:
    """A training that `mindres.fit` has done; a notebook shows its curves and its table.

    net: the network with the best weights.
    history: a record of each epoch.
    result: the sentence on the test images.
    folder: where the checkpoints and records are.
    """

    net: Any
    history: Any
    result: str
    folder: Path

    def __str__(self) -> str:
        return f"{self.history}\n{self.result}"

    def _repr_html_(self) -> str:
        picture = base64.b64encode(self._curves()).decode()
        curves = f'<img style="max-width: 100%" src="data:image/png;base64,{picture}">'
        return f"<p><b>{html.escape(self.result)}</b></p>{curves}{self.history._repr_html_()}"

    def _curves(self) -> bytes:
        from mindres.pictures.learning_curves import learning_curves

        lines = [record.columns() for record in self.history.epochs]
        nothing = float("nan")
        columns = {
            name: [nothing if line[name] is None else float(line[name]) for line in lines]
            for name in lines[0]
        }
        buffer = io.BytesIO()
        learning_curves({str(self.folder): columns}).savefig(buffer, format="png", dpi=80)
        return buffer.getvalue()


def fit(data, minutes: float = 20, **options) -> Run:
    """Train a network on `data` for so many minutes, as `mindres train DATA --time` does.

    Args:
        data: a folder of class folders, a table of paths and labels, or the name of a built-in
            data set.
        minutes: from the call to its return.
        options: the other flags of `mindres train` by name, such as arch="resnet18", resize=128,
            ckpt_dir="run" or resume=True.

    Raises:
        UserError: an option is unknown or out of range, or the data cannot be read.
    """
    from mindres.cli.parser import ArgumentParser
    from mindres.cli.train import add_flags, train

    words = [str(data), "--time", f"{minutes * 60:g}s"]
    for name, value in options.items():
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        elif value is not None:
            words += [f"--{name}", str(value)]
    parser = ArgumentParser(prog="mindres train")
    add_flags(parser)
    args = parser.parse_args(words)
    net, history, result = train(args)
    return Run(net, history, result, Path(args.ckpt_dir))
