"""The story of a run on one page: a single HTML file that needs no network and works from disk."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from mindres import files
from mindres.callbacks.epoch_line import duration
from mindres.errors import UserError
from mindres.evaluation.evaluator import evaluate
from mindres.evaluation.grad_cam import grad_cam
from mindres.evaluation.trained_data import open_data, visit
from mindres.models.checkpoints import load_model
from mindres.models.summary import summarize
from mindres.pictures import drawing
from mindres.pictures.heat_map import overlay
from mindres.report import html
from mindres.runs.config import read_config
from mindres.runs.folder import RunFolder
from mindres.runs.history import read_history

IMAGES_IN_GRIDS = 24
IMAGES_WITH_GRADCAM = 8
# Behind the cells of the confusion matrix: of each cell and in all, which bounds the size of the page.
IMAGES_OF_A_CELL, IMAGES_OF_ALL_CELLS = 12, 800
MOST_CLASSES_IN_MATRIX = 30
CONFUSIONS = 12


def write_report(
    run_dir, out=None, ckpt=None, dataset=None, dataset_path=None, split="test"
) -> Path:
    """Evaluate the best checkpoint of a run and write its page.

    Args:
        run_dir: folder with any of `best.ckpt`, `history.csv` and `config.json`; the page says which are missing.
        out: the file; None for `report.html` in `run_dir`.
        ckpt: another checkpoint than `best.ckpt`.
        dataset, dataset_path: as for `open_data`; None for what the checkpoint and `config.json` say.
        split: the images that are evaluated.

    Returns the path of the page.

    Raises:
        UserError: the folder has nothing to report, or what it has is damaged, or the dataset is not there.
    """
    run_dir = Path(run_dir)
    if not run_dir.is_dir():
        raise UserError(f"there is no run in {run_dir}: name the --ckpt_dir of a training")
    run = RunFolder(run_dir)
    config, lacking = read_config(run.config)
    missing = []
    if lacking:
        missing.append(
            f"config.json {lacking}, so command, arguments and environment are unknown; "
            "mindres.train writes it."
        )
    history = run.history
    curves = read_history(history) if history.is_file() else None
    if curves is None:
        missing.append(
            "history.csv is not in the folder, so there are no learning curves; mindres.train writes it."
        )
    checkpoint = Path(ckpt) if ckpt else run.best
    sections, tiles, cells = [], {}, {}
    if ckpt or checkpoint.is_file():
        net, metadata = load_model(checkpoint)
        if config.get("run") and metadata.run and config["run"] != metadata.run:
            missing.append(
                f"{checkpoint.name} was kept from an earlier run, because this one did not beat it; the "
                "command and the curves are this run's."
            )
        fraction, path = config.get("validation_fraction"), config.get("dataset_path")
        held_out = (
            {"validation_fraction": fraction}
            if split == "val" and isinstance(fraction, float)
            else {}
        )
        path = dataset_path or (path if isinstance(path, str) else "./datasets")
        data = open_data(metadata, dataset, path, split, **held_out)
        title = f"{net.architecture['arch']} on {metadata.dataset or data.name.lower()}"
        about = (
            f"{checkpoint.name} of epoch {metadata.epoch}"
            if metadata.epoch is not None
            else checkpoint.name
        )
        tiles, sections, cells = network_sections(net, data, split, bool(metadata.tta))
    elif curves is None and not config:
        raise UserError(
            f"{run_dir} holds no best.ckpt, no history.csv and no config.json: name the --ckpt_dir of a "
            "training"
        )
    else:
        title, about = run_dir.resolve().name, "no checkpoint"
        missing.append("best.ckpt is not in the folder, so nothing could be evaluated.")
    head = [("run", "Command", html.run_table(config))] if config else []
    if curves:
        head.append(("curves", "Learning curves", html.curves(curves)))
        tiles["Training time"] = duration(
            sum(s for s in curves.get("seconds", []) if np.isfinite(s))
        )
    about += f", written {time.strftime('%Y-%m-%d %H:%M')} in {run_dir.resolve()}"
    whole = html.frame(title, about, missing, tiles, head + sections, cells)
    out = Path(out) if out else run.report
    with files.replacing(out) as part:
        part.write_text(whole, encoding="utf-8", errors="backslashreplace")
    return out


def network_sections(net, data, split, tta=False):
    """What the network says of `data`: tiles of figures, sections of the page, and the images behind the matrix."""
    result = evaluate(net, data, tta=tta)
    summary = summarize(net, (len(data.mean), *data.resize))
    matrix, mistakes = result.confusion_matrix, result.mistakes()
    some = np.sort(np.random.default_rng(0).permutation(result.num_images)[:IMAGES_IN_GRIDS])
    worst = mistakes[:IMAGES_IN_GRIDS]
    shown, confusions = cells_of_interest(matrix)
    behind = positions_behind(
        result, [(t, p) for t in shown for p in shown if matrix[t, p]] + confusions
    )

    explained, uris = worst[:IMAGES_WITH_GRADCAM], {}
    inputs = {}
    for position, image in visit(data, np.concatenate([some, worst, *behind.values()])):
        uris[position] = html.data_uri(drawing.denormalize(image[None], data.mean, data.std)[0])
        if position in explained:
            inputs[position] = image

    def answers(positions):
        return html.answers(
            [
                (
                    uris[i],
                    result.classes[result.predicted[i]],
                    result.classes[result.labels[i]],
                    result.probabilities[i].max(),
                )
                for i in positions
            ]
        )

    sections = [("classes", "Classes", html.scores(result.per_class()))]
    few = (
        ""
        if len(shown) == len(matrix)
        else (f"<p>The {len(shown)} classes of {len(matrix)} that are confused most.</p>")
    )
    listed = (
        "<h3>Commonest confusions</h3>" + html.pairs(matrix, result.classes, confusions)
        if confusions
        else ""
    )
    sections.append(
        ("confusion", "Confusion matrix", few + html.matrix(matrix, result.classes, shown) + listed)
    )
    sections.append(
        (
            "predictions",
            "Predictions",
            f"<p class=about>{len(some)} images of the {split} split, drawn at "
            f"random.</p>{answers(some)}",
        )
    )
    if len(worst):
        sections.append(("mistakes", "Most confident mistakes", answers(worst)))
        sections.append(
            (
                "gradcam",
                "Grad-CAM of the worst mistakes",
                html.gradcams(explanations(net, data, result, explained, inputs)),
            )
        )
    sections.append(
        (
            "network",
            "Network",
            f"<p class=about>{html.escape(summary.arch)} at "
            f"{html.times(summary.input_shape)}</p>{html.layers(summary)}",
        )
    )
    tiles = {
        "Accuracy": f"{result.accuracy:.2%}",
        "Top-5 accuracy": f"{result.top5:.2%}",
        "Loss": f"{result.loss:.4f}",
        f"Images ({split})": f"{result.num_images:,}",
        "Mistakes": f"{len(mistakes):,}",
        "Parameters": html.large(summary.parameters),
        "Multiply-adds": html.large(summary.multiply_adds),
    }
    cells = {
        f"{true},{guess}": cell(result, true, guess, positions, uris)
        for (true, guess), positions in behind.items()
    }
    return tiles, sections, cells


def cells_of_interest(matrix):
    """The classes that the matrix shows, and the commonest confusions as (true, predicted) pairs."""
    wrong = matrix - np.diag(matrix.diagonal())
    shown = np.arange(len(matrix))
    if len(matrix) > MOST_CLASSES_IN_MATRIX:
        shown = np.sort(
            np.argsort(-(wrong.sum(0) + wrong.sum(1)), kind="stable")[:MOST_CLASSES_IN_MATRIX]
        )
    commonest = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS]
    listed = [tuple(map(int, np.unravel_index(i, wrong.shape))) for i in commonest if wrong.flat[i]]
    return shown.tolist(), listed


def positions_behind(result, cells):
    """For each (true, predicted) cell the positions of the images to show, the most telling first.

    These are the most confident mistakes, and the least certain of the right answers.
    """
    cells = list(dict.fromkeys(cells))
    counts = np.array([result.confusion_matrix[cell] for cell in cells])
    most = IMAGES_OF_A_CELL
    while most > 1 and np.minimum(counts, most).sum() > IMAGES_OF_ALL_CELLS:
        most -= 1
    confidence, behind = result.probabilities.max(axis=1), {}
    for true, guess in cells:
        positions = np.flatnonzero((result.labels == true) & (result.predicted == guess))
        order = np.argsort(confidence[positions] * (1 if true == guess else -1), kind="stable")
        behind[true, guess] = positions[order][:most]
    return behind


def cell(result, true, guess, positions, uris):
    """What the page's script shows for a cell of the matrix."""
    count, names = (
        int(result.confusion_matrix[true, guess]),
        (result.classes[true], result.classes[guess]),
    )
    title = f"{names[0]}, recognised" if true == guess else f"{names[0]}, taken for {names[1]}"
    order = "the least certain first" if true == guess else "the most confident first"
    return {
        "title": title,
        "about": f"{len(positions)} of {count:,} images, {order}",
        "images": [
            {
                "src": uris[i],
                "alt": f"Image {i}: {names[0]}",
                "caption": f"{result.probabilities[i].max():.0%}",
            }
            for i in positions
        ],
    }


def explanations(net, data, result, positions, inputs):
    """The rows of `page.gradcams` for the mistakes at these positions."""
    images = np.stack([inputs[i] for i in positions])
    shown = drawing.denormalize(images, data.mean, data.std)
    heats = [
        grad_cam(net, images, classes[positions]).heat
        for classes in (result.predicted, result.labels)
    ]
    return [
        (
            html.data_uri(shown[k]),
            *(html.data_uri(overlay(enlarged(shown[k]), heat[k])) for heat in heats),
            result.classes[result.predicted[i]],
            result.classes[result.labels[i]],
            result.probabilities[i].max(),
        )
        for k, i in enumerate(positions)
    ]


def enlarged(image):
    """A small image in larger pixels, so that the heat map over it is smooth."""
    return np.kron(image, np.ones((html.LARGEST_IMAGE // max(image.shape) or 1,) * 2 + (1,)))
