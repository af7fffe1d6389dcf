"""The sections of a report, in their order."""

from __future__ import annotations

from mindres.evaluation.confidence import calibration_bins, calibration_error
from mindres.evaluation.interval import interval_text
from mindres.evaluation.metrics import METRICS
from mindres.report import charts, confusion, html, image_grids
from mindres.report.findings import Findings
from mindres.report.html import Section
from mindres.weights.metadata import Metadata


def of_run(config, history) -> list[Section]:
    """The sections on the run itself: its command and its learning curves."""
    sections = []
    if config:
        sections.append(Section("run", "Command", html.run_table(config)))
    if history:
        sections.append(Section("curves", "Learning curves", charts.curves(history)))
    return sections


def of_network(found: Findings) -> list[Section]:
    """The sections on the network and its predictions."""
    makers = (classes, confidence, matrix, predictions, mistakes, lookalikes, gradcams, layers)
    return [section for make in makers if (section := make(found))]


def tiles(found: Findings) -> dict[str, str]:
    """The figures at the top of the page."""
    result = found.result
    metrics = {row.title: f"{row.value(result.confusion_matrix):.2%}" for row in METRICS.values()}
    return {
        **metrics,
        "Accuracy, 95% interval": interval_text(result.interval),
        "Top-5 accuracy": f"{result.top5:.2%}",
        "Loss": f"{result.loss:.4f}",
        f"Images ({found.data.split})": f"{result.num_images:,}",
        "Mistakes": f"{len(result.mistakes()):,}",
        "Parameters": html.large(found.summary.parameters),
        "Multiply-adds": html.large(found.summary.multiply_adds),
    }


def cells(found: Findings) -> dict[str, dict]:
    """The data of the confusion matrix's cells for the page's script."""
    return {
        f"{true},{predicted}": confusion.cell(found.result, true, predicted, positions, found.uris)
        for (true, predicted), positions in found.behind.items()
    }


def classes(found) -> Section:
    return Section("classes", "Classes", html.scores(found.result.per_class(), found.trained))


def confidence(found) -> Section:
    result = found.result
    text = (
        f"How often answers are right, by their probability: honest ones lie on the diagonal. They "
        f"miss it by {result.calibration_error:.1%} on average"
    )
    right = result.predicted == result.labels
    lines = {"": calibration_bins(result.probabilities.max(axis=1), right)}
    if result.temperature != 1:
        plain = result.without_temperature().max(axis=1)
        lines["before"] = calibration_bins(plain, right)
        text += (
            f", and by {calibration_error(plain, right):.1%} (grey) before the logits were divided "
            f"by the temperature {result.temperature:.2f}"
        )
    content = html.about(f"{text}.") + charts.reliability(lines)
    recorded = Metadata.of(getattr(found.net, "metadata", None)).confidence or {}
    rows = [
        f"<tr><th scope=row>{precision:.1%}</th><td>{least:.1%}</td><td>{1 - share:.1%}</td></tr>"
        for precision, least, share in recorded.get("thresholds", [])
    ]
    if rows:
        heads = ("right of the answers given", "least probability", "images without an answer")
        cells = "".join(f"<th scope=col>{name}</th>" for name in heads)
        content += html.about(
            "With --precision mindres predict gives answers of which so many are right, as the "
            "images that chose the weights promise:"
        ) + html.table("thresholds", f"<thead><tr>{cells}</tr></thead>", rows)
    return Section("confidence", "Confidence", content)


def matrix(found) -> Section:
    counts = found.result.confusion_matrix
    names = found.result.classes
    content = ""
    if len(found.classes) < len(counts):
        content += f"<p>The {len(found.classes)} classes of {len(counts)} confused most.</p>"
    content += confusion.matrix(counts, names, found.classes)
    if found.confusions:
        content += "<h3>Most common confusions</h3>"
        content += confusion.pairs(counts, names, found.confusions)
    return Section("confusion", "Confusion matrix", content)


def predictions(found) -> Section:
    about = html.about(f"{len(found.some)} of the {found.data.split} images, drawn at random.")
    grid = image_grids.answers(map(found.answer, found.some))
    return Section("predictions", "Predictions", about + grid)


def mistakes(found) -> Section | None:
    if not len(found.worst):
        return None
    content = image_grids.answers(map(found.answer, found.worst))
    if found.result.files:
        content += image_grids.files_of(map(found.answer, found.result.mistakes()))
    return Section("mistakes", "Most confident mistakes", content)


def lookalikes(found) -> Section | None:
    if not found.lookalikes:
        return None
    about = html.about(
        "Left the image, then the training images whose features are most like its own, of some of "
        "the training images: a wrong label, or a class that looks like another."
    )
    rows = [(found.answer(position), near) for position, near in found.lookalikes.items()]
    content = about + image_grids.lookalikes(rows)
    return Section("lookalikes", "Training images like the worst mistakes", content)


def gradcams(found) -> Section | None:
    if not found.gradcams:
        return None
    about = html.about(
        "On the left the image, in the middle the heat map for the prediction, on the right the "
        f"heat map for the true class, at the stage {found.stage}; red is the largest value of an "
        "image."
    )
    rows = [(found.answer(position), *heats) for position, heats in found.gradcams.items()]
    return Section("gradcam", "Grad-CAM of the worst mistakes", about + image_grids.gradcams(rows))


def layers(found) -> Section:
    summary = found.summary
    about = f"<p class=about>{html.escape(summary.arch)} at {html.times(summary.input_shape)}</p>"
    return Section("network", "Network", about + html.layers(summary))
