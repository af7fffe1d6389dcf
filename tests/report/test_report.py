"""The page of a run: what is in it, that it is whole, and that nothing in it comes from or goes elsewhere."""

import base64
import io
import json
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from a_run import network, write_run
from PIL import Image
from sklearn.neighbors import NearestNeighbors

import mindres
from mindres.cli.program import run_command
from mindres.data.digits import Digits
from mindres.data.folder import ImageFolder
from mindres.errors import UserError
from mindres.evaluation import evaluator, trained_data
from mindres.evaluation.confidence import calibration_bins
from mindres.evaluation.interval import interval_text
from mindres.evaluation.likeness import image_features
from mindres.evaluation.metrics import METRICS
from mindres.pictures import drawing
from mindres.pictures.learning_curves import learning_curves
from mindres.report import charts, confusion, findings, image_grids, sections, writer
from mindres.report.lookalikes import find_lookalikes

VOID = {"meta", "link", "img", "br", "input", "hr"}
HOSTILE = ["<script>alert(1)<", '"><img src=x onerror=alert(2)>', "cat & dog"]


class Page(HTMLParser):
    """The elements of a page as (tag, attributes, text); fails where they are not closed in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.open = [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])
        if tag not in VOID:
            self.open.append(self.elements[-1])

    def handle_startendtag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])

    def handle_endtag(self, tag):
        assert self.open and self.open.pop()[0] == tag, (tag, self.getpos())

    def handle_data(self, data):
        for element in self.open:
            element[2] += data

    def all(self, tag, **wanted):
        return [
            (attributes, text)
            for name, attributes, text in self.elements
            if name == tag and all(attributes.get(k) == v for k, v in wanted.items())
        ]

    @property
    def cells(self):
        [(_, text)] = self.all("script", id="cells")
        return json.loads(text)


def decoded(uri):
    return np.asarray(
        Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    noted = {"temperature": 2.0, "thresholds": [[0.9, 0.45, 0.75]]}
    folder = tmp_path_factory.mktemp("run")
    return write_run(folder, network(), Digits(split="test"), confidence=noted)


@pytest.fixture(scope="module")
def written(run):
    return Page(writer.write_report(run).path.read_text())


@pytest.fixture(scope="module")
def result(run):
    return evaluator.evaluate(mindres.load_model(run / "best.ckpt")[0], Digits(split="test"))


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory):
    """A run on folders whose names are markup."""
    root = tmp_path_factory.mktemp("hostile")
    rng = np.random.default_rng(0)
    for name in HOSTILE:
        for split in ("train", "test"):
            (root / "data" / split / name).mkdir(parents=True)
            for i in range(4):
                Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(
                    root / "data" / split / name / f"{i}.png"
                )
    net = mindres.reset_head(network(), 3)
    return write_run(root, net, ImageFolder(root / "data", "test", resize=32))


def test_the_page_has_every_part(written, result):
    assert [text for _, text in written.all("h2")] == [
        "Command",
        "Learning curves",
        "Classes",
        "Confidence",
        "Confusion matrix",
        "Predictions",
        "Most confident mistakes",
        "Training images like the worst mistakes",
        "Grad-CAM of the worst mistakes",
        "Network",
    ]
    links = [a["href"].removeprefix("#") for a, _ in written.all("a")]
    assert links == [a["id"] for a, _ in written.all("h2")]
    tiles = dict(zip([t for _, t in written.all("dt")], [t for _, t in written.all("dd")]))
    assert tiles["Accuracy"] == f"{result.accuracy:.2%}"
    assert tiles["Top-5 accuracy"] == f"{result.top5:.2%}"
    assert tiles["Loss"] == f"{result.loss:.4f}"
    assert tiles["Images (test)"] == "360"
    assert tiles["Mistakes"] == f"{(result.predicted != result.labels).sum()}"
    assert tiles["Parameters"] == "62,006", "LeNet-5 with three channels"
    assert tiles["Training time"] == "0:10"
    assert [t for _, t in written.all("pre")] == ["train.py --arch resnet20 --out '<b>'"]
    facts = [t for _, t in written.all("table", **{"class": "facts"})]
    assert "lr0.1" in facts[0] and "deviceCPU" in facts[1]
    assert not written.all("div", **{"class": "missing"})


def test_how_far_answers_can_be_believed(written, result):
    low, high = result.interval
    tiles = dict(zip([t for _, t in written.all("dt")], [t for _, t in written.all("dd")]))
    assert tiles["Accuracy, 95% interval"] == f"{low:.1%} to {high:.1%}"
    [(_, text)] = [each for each in written.all("p") if "honest ones" in each[1]]
    assert f"by {result.calibration_error:.1%} on average" in text and "temperature 2.00" in text
    [(_, promised)] = written.all("table", **{"class": "thresholds"})
    assert promised.endswith("90.0%45.0%25.0%")
    sure = result.probabilities.max(axis=1)
    for kind, confidence in (("", sure), ("before", result.without_temperature().max(axis=1))):
        points = written.all("circle", **{"class": kind})
        bins = [row for row in calibration_bins(confidence, result.predicted == result.labels)]
        expected = [row for row in bins if row[0]]
        assert [text.split(" ")[0] for _, text in points] == [f"{n:,.0f}" for n, _, _ in expected]
        shares = [(10 + 170 - float(a["cy"])) / 170 for a, _ in points]
        np.testing.assert_allclose(shares, [share for _, _, share in expected], atol=1e-3)
    row = next(row for row in result.per_class() if row["recall"])
    assert row["recall_interval"][0] < row["recall"] < row["recall_interval"][1]
    assert interval_text(row["recall_interval"]) in written.all("table", **{"class": "named"})[0][1]


def test_the_tables_have_the_figures(written, result):
    [(_, table)] = written.all("table", **{"class": "named"})
    for row in result.per_class():
        assert (
            f"{row['class']}{row['support']}{row['precision']:.1%}{row['recall']:.1%}{row['f1']:.1%}"
            in table
        )
    buttons = {a["data-cell"]: (a, int(t)) for a, t in written.all("button") if "aria-pressed" in a}
    expected = {f"{t},{p}": n for (t, p), n in np.ndenumerate(result.confusion_matrix) if n}
    assert {cell: count for cell, (_, count) in buttons.items()} == expected
    attributes, count = next(iter(buttons.values()))
    true, guess = attributes["data-cell"].split(",")
    assert attributes["aria-label"] == f"{count} of class {true} predicted as {guess}"
    [(_, layers)] = written.all("table", **{"class": "layers"})
    assert "backbone.conv1Conv2d6\u00d728\u00d728456352,8005\u00d75" in layers


def test_behind_each_cell_are_its_images(written, result):
    data = Digits(split="test")
    images = drawing.denormalize(trained_data.pick(data, range(360)), data.mean, data.std)
    assert set(written.cells) >= {
        a["data-cell"] for a, _ in written.all("button", **{"aria-pressed": "false"})
    }
    for key, cell in written.cells.items():
        true, guess = map(int, key.split(","))
        inside = np.flatnonzero((result.labels == true) & (result.predicted == guess))
        assert len(cell["images"]) == min(len(inside), confusion.IMAGES_OF_A_CELL)
        assert cell["about"].startswith(f"{len(cell['images'])} of {len(inside)} images, ")
        shown = [int(re.match(r"Image (\d+):", image["alt"])[1]) for image in cell["images"]]
        confidence = result.probabilities[shown].max(1)
        assert set(shown) <= set(inside)
        assert (np.diff(confidence) * (1 if true == guess else -1) >= 0).all(), (
            "the most telling first"
        )
        np.testing.assert_allclose(
            decoded(cell["images"][0]["src"]) / 255, images[shown[0]], atol=0.003
        )


def test_predictions_are_right_or_wrong_in_words_too(written, result):
    captions = [text for _, text in written.all("figcaption") if "%" in text]
    for caption in captions:
        assert caption[0] in "\u2713\u2717"
        assert ("is " in caption) == (caption[0] == "\u2717")
    worst = result.mistakes()[0]
    caption = f"\u2717 {result.predicted[worst]} {result.probabilities[worst].max():.0%}is {result.labels[worst]}"
    assert captions.count(caption) >= 2, "among the mistakes and with its Grad-CAM"
    assert len(written.all("div", **{"class": "trio"})) == findings.IMAGES_WITH_GRADCAM


def test_training_images_like_the_mistakes_are_the_nearest(run, written, result):
    net = mindres.load_model(run / "best.ckpt")[0]
    train, test = Digits(split="train").plain(), Digits(split="test")
    worst = result.mistakes()[0]
    inputs = trained_data.pick(test, [worst])
    classes = [int(result.labels[worst]), int(result.predicted[worst])]
    places = np.flatnonzero(np.isin(train.split_labels(), classes))
    all_of_them = image_features(net, trained_data.pick(train, places))
    nearest = NearestNeighbors(n_neighbors=3, metric="cosine").fit(all_of_them)
    expected = places[nearest.kneighbors(image_features(net, inputs))[1][0]]
    [found] = find_lookalikes(net, train, {worst: inputs[0]}, classes, 1).values()
    assert [name for _, name in found] == [train.classes[train.split_labels()[i]] for i in expected]
    shown = drawing.denormalize(trained_data.pick(train, expected), train.mean, train.std)
    for (uri, _), image in zip(found, shown):
        np.testing.assert_allclose(decoded(uri) / 255, image, atol=0.003)
    assert len(written.all("div", **{"class": "trio four"})) == findings.IMAGES_WITH_GRADCAM
    captions = [text for _, text in written.all("figcaption") if "looks like these" in text]
    assert len(captions) == findings.IMAGES_WITH_GRADCAM


def test_the_curves_have_each_epoch(written):
    charts = written.all("svg")[:3]
    assert [a["aria-label"] for a, _ in charts] == [
        "Training loss: 2.3000 in epoch 1, 0.6000 in epoch 3",
        "Validation accuracy: 25.00% in epoch 1, 50.00% in epoch 3",
        "Learning rate: 1.00e-01 in epoch 1, 1.00e-02 in epoch 3",
    ]
    assert [t for _, t in written.all("title")][1:9] == [
        "epoch 1: 2.3000",
        "epoch 2: 1.1000",
        "epoch 3: 0.6000",
        "epoch 1: 25.00%",
        "epoch 3: 50.00%",
        "epoch 1: 1.00e-01",
        "epoch 2: 5.00e-02",
        "epoch 3: 1.00e-02",
    ]


@pytest.mark.parametrize(
    "values",
    [
        [0.5],
        [0.1, 0.1, 0.1],
        [1.0, 1.0],
        [0.0, 0.0],
        [0.999, 1.0],
        [1e-7, 3.0],
        [float("nan")],
        [float("nan"), 2.0, float("inf")],
    ],
)
@pytest.mark.parametrize("form", [".4f", ".2%", ".2e"])
def test_any_curve_stays_inside_its_frame(values, form):
    if form == ".2%":
        values = [min(v, 1.0) for v in values]
    chart = charts.curve(range(1, len(values) + 1), values, "x", form)
    finite = [v for v in values if np.isfinite(v)]
    assert len(re.findall("<circle", chart)) == len(finite)
    for x, y in re.findall(r"cx=([-\d.]+) cy=([-\d.]+)", chart):
        assert 52 <= float(x) <= 352 and 10 <= float(y) <= 180
    if finite:
        heights = [float(y) for y in re.findall(r"y1=([-\d.]+)", chart)]
        assert len(heights) >= 2 and min(heights) >= 10 and max(heights) <= 180
        assert "102%" not in chart


def test_what_comes_from_elsewhere_is_escaped(hostile_run, capsys):
    run_command(
        [
            "report",
            str(hostile_run),
            "--dataset_path",
            str(hostile_run / "data"),
            "--dataset",
            "folder",
        ]
    )
    assert capsys.readouterr().out == f"{hostile_run / 'report.html'}\n"
    text = (hostile_run / "report.html").read_text()
    parsed = Page(text)
    assert len(parsed.all("script")) == 2 and "alert" not in parsed.all("script")[1][1]
    assert not [a for _, a, _ in parsed.elements if any(name.startswith("on") for name in a)]
    heads = [t for a, t in parsed.all("th", scope="row") if "title" in a]
    assert heads == sorted(HOSTILE)
    assert "<script>alert" not in text and "<img src=x" not in text
    for cell in parsed.cells.values():
        assert any(cell["title"].startswith(name) for name in HOSTILE)


def test_misclassified_files_are_named(hostile_run):
    data = hostile_run / "data"
    page = Page(
        writer.write_report(hostile_run, dataset="folder", dataset_path=data).path.read_text()
    )
    net = mindres.load_model(hostile_run / "best.ckpt")[0]
    wrong = evaluator.evaluate(net, ImageFolder(data, "test", resize=32)).misclassified()
    [(_, listed)] = page.all("ol", **{"class": "files"})
    assert wrong and all(row["image"] in listed for row in wrong)
    below = [text for _, text in page.all("span", **{"class": "file"})]
    assert below[12:][: len(wrong)] == [row["image"] for row in wrong], "after all 12 images"


def test_a_notebook_shows_the_report(run):
    report = writer.write_report(run)
    assert os.fspath(report) == str(report) == str(run / "report.html")
    [(frame, _)] = Page(report._repr_html_()).all("iframe")
    assert Page(frame["srcdoc"]).all("h2") == Page(report.path.read_text()).all("h2")


def test_every_metric_and_the_validation_loss_are_drawn():
    history = {"epoch": [1, 2], "loss": [2, 1], "lr": [0.1, 0.1], "val_loss": [3, 2]}
    history |= {name: [0.25, 0.5] for name in METRICS}
    charts_of = Page(charts.curves(history)).all("svg")
    assert [a["aria-label"].partition(":")[0] for a, _ in charts_of] == [
        "Training loss",
        "Validation loss",
        *(f"Validation {row.title[0].lower()}{row.title[1:]}" for row in METRICS.values()),
        "Learning rate",
    ]
    titles = [axis.get_title() for axis in learning_curves({"a": history}).axes]
    assert titles[:3] == ["training loss", "validation loss", "validation accuracy"]
    assert len(titles) == 3 + len(METRICS)


def test_nothing_is_fetched(written, run):
    text = (run / "report.html").read_text()
    assert not re.search(r"https?:|@import|url\(", text)
    for tag, attributes, _ in written.elements:
        assert attributes.get("src", "data:").startswith("data:"), tag
        if tag == "link":
            assert attributes["href"] == "data:,"
    policy = next(a["content"] for a, _ in written.all("meta") if "http-equiv" in a)
    assert "default-src 'none'" in policy
    assert all(a.get("alt") for a, _ in written.all("img"))
    assert len(text) < 1_500_000


def test_it_says_what_is_missing(run, tmp_path):
    (tmp_path / "history.csv").write_text((run / "history.csv").read_text())
    parsed = Page(writer.write_report(tmp_path, tmp_path / "out" / "a.html").path.read_text())
    [(_, text)] = parsed.all("div", **{"class": "missing"})
    assert "best.ckpt is not in the folder" in text and "config.json is not in the folder" in text
    assert [t for _, t in parsed.all("h2")] == ["Learning curves"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "best.ckpt").symlink_to(run / "best.ckpt")
    (other / "config.json").write_text('{"run": "another", "command": ["a", "<b>"]}')
    parsed = Page(writer.write_report(other).path.read_text())
    [(_, text)] = parsed.all("div", **{"class": "missing"})
    assert "history.csv is not in the folder" in text and "kept from an earlier run" in text
    assert parsed.all("pre")[0][1] == '["a", "<b>"]'


@pytest.mark.parametrize(
    "content", ["", "[]", "{", "\xff", "[" * 100_000, '{"a": NaN, "environment": 3}']
)
def test_a_strange_config_is_survived(run, tmp_path, content):
    (tmp_path / "history.csv").write_text((run / "history.csv").read_text())
    (tmp_path / "config.json").write_bytes(content.encode("latin1"))
    parsed = Page(writer.write_report(tmp_path).path.read_text())
    [(_, text)] = parsed.all("div", **{"class": "missing"})
    assert ("config.json" in text) == (not content.startswith('{"a"'))


def test_a_page_replaces_the_last_one_whole_or_not_at_all(run, tmp_path):
    (tmp_path / "history.csv").write_text("nonsense")
    (tmp_path / "report.html").write_text("the last one")
    with pytest.raises(UserError, match=r"history.csv is not the history of a run"):
        writer.write_report(tmp_path)
    assert (tmp_path / "report.html").read_text() == "the last one"
    with pytest.raises(UserError, match="there is no run in"):
        writer.write_report(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no best.ckpt, no history.csv and no config.json"):
        writer.write_report(tmp_path / "empty")
    assert not list((tmp_path / "empty").iterdir())


def many(classes=200, images=5000):
    """An evaluation of many classes, a tenth of it wrong."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, images)
    predicted = np.where(rng.random(images) < 0.1, rng.integers(0, classes, images), labels)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    confusion[3, 5] += 50
    labels, predicted = np.append(labels, [3] * 50), np.append(predicted, [5] * 50)
    probabilities = rng.random((len(labels), classes)).astype(np.float32)
    return evaluator.Evaluation(
        0.9,
        0.9,
        1.0,
        len(labels),
        confusion,
        [f"class {i}" for i in range(classes)],
        labels,
        predicted,
        probabilities,
    )


def test_of_many_classes_the_most_confused_are_shown():
    result = many()
    shown, confusions = confusion.cells_of_interest(result.confusion_matrix)
    assert (
        len(shown) == confusion.MOST_CLASSES_IN_MATRIX
        and {3, 5} <= set(shown)
        and shown == sorted(shown)
    )
    assert confusions[0] == (3, 5) and len(confusions) == confusion.CONFUSIONS
    wrong = result.confusion_matrix - np.diag(result.confusion_matrix.diagonal())
    assert [wrong[cell] for cell in confusions] == sorted(wrong.ravel())[
        : -confusion.CONFUSIONS - 1 : -1
    ]
    behind = confusion.positions_behind(
        result, [(t, p) for t in shown for p in shown if result.confusion_matrix[t, p]] + confusions
    )
    assert sum(map(len, behind.values())) <= confusion.IMAGES_OF_ALL_CELLS
    assert set(confusions) <= set(behind) and all(len(positions) for positions in behind.values())


def test_a_perfect_network_has_no_mistakes_to_show(monkeypatch, run):
    net, data = mindres.load_model(run / "best.ckpt")[0], Digits(split="test")
    perfect = evaluator.evaluate(net, data)
    perfect.predicted[:] = perfect.labels
    perfect.confusion_matrix[:] = np.diag(np.bincount(perfect.labels))
    monkeypatch.setattr(findings, "evaluate", lambda *_, **options: perfect)
    found = findings.examine(net, data)
    assert sections.tiles(found)["Mistakes"] == "0"
    assert len(sections.cells(found)) == 10
    assert [section.anchor for section in sections.of_network(found)] == [
        "classes",
        "confidence",
        "confusion",
        "predictions",
        "network",
    ]


def test_large_images_are_made_small():
    photo = np.random.default_rng(0).random((300, 224, 3))
    small = decoded(image_grids.data_uri(photo))
    assert small.shape == (image_grids.LARGEST_IMAGE, 84, 3)
    assert image_grids.data_uri(photo).startswith("data:image/jpeg")
    exact = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    np.testing.assert_array_equal(decoded(image_grids.data_uri(exact)), exact)
