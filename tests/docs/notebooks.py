"""Runs the notebooks of docs/notebooks, small: `make test-docs`.

As a program it runs them as they are and keeps their outputs: `python tests/docs/notebooks.py`,
or those whose names follow it.
"""

import re
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

sys.path.insert(0, str(Path(__file__).parents[1]))

from programs import ROOT, clean_environment

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
# What replaces the values of the cell that is tagged `parameters`.
SMALL = {"EPOCHS = 5": "EPOCHS = 1", "MINUTES = 2": "MINUTES = 10", "PIECES = 60": "PIECES = 16"}
# A cell that makes networks small, and plans short however slow the machine is.
FIRST_CELL = """import mindres
import pytest
from mindres.training import plan
from small_networks import shorten_resnets

shorten_resnets(pytest.MonkeyPatch())
plan.MOST_EPOCHS, plan.SHARE_OF_TEST = 2, 0.01"""


def execute(notebook, folder, timeout=300, **environment):
    """Run all cells in `folder`, each within `timeout` seconds."""
    client = NotebookClient(
        notebook,
        timeout=timeout,
        resources={"metadata": {"path": str(folder)}},
        kernel_name="python3",
    )
    client.execute(env=clean_environment(MPLBACKEND="", **environment))


def settled(outputs):
    """The outputs of a cell that has ended: text in one piece, without progress bars."""
    text = "".join(output.text for output in outputs if output.output_type == "stream")
    text = re.sub(r"[^\n]*\r", "", text)
    others = [output for output in outputs if output.output_type != "stream"]
    return [*([nbformat.v4.new_output("stream", text=text)] if text else []), *others]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_from_the_first_cell_to_the_last(path, tmp_path, own_cache):
    notebook = nbformat.read(path, 4)
    (cell,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", ())]
    for value, other in SMALL.items():
        cell.source = cell.source.replace(value, other)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(FIRST_CELL))
    path = f"{ROOT}:{ROOT / 'tests'}"
    execute(notebook, tmp_path, MINDRES_CACHE=str(own_cache), PYTHONPATH=path)
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_kept(path):
    cells = [c for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert [o for o in outputs if o.output_type == "error" or "\r" in o.get("text", "")] == []
    shown = [kind for o in outputs for kind in o.get("data", {})]
    assert "image/png" in shown and "text/html" in shown


def test_every_small_value_is_in_a_notebook():
    text = "".join(path.read_text(encoding="utf-8") for path in NOTEBOOKS)
    assert [value for value in SMALL if value not in text] == []


if __name__ == "__main__":
    for path in NOTEBOOKS:
        if sys.argv[1:] and path.stem not in sys.argv[1:]:
            continue
        notebook = nbformat.read(path, 4)
        with tempfile.TemporaryDirectory() as folder:
            execute(notebook, folder, timeout=None)
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
            if "outputs" in cell:
                cell.outputs = settled(cell.outputs)
        nbformat.write(notebook, path)
        print(path)
