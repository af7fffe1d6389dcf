"""The pictures of datasets, networks and runs, and the command that draws them."""

import inspect
import re

import numpy as np
import pytest
from a_run import HISTORY, metadata, network, write_run
from PIL import Image
from test_plots import drawn, pixels

import mindres
from mindres import pictures
from mindres.cli.program import run_command
from mindres.data import as_trained
from mindres.data.digits import Digits
from mindres.data.folder import ImageFolder
from mindres.errors import UserError
from mindres.pictures import drawing
from mindres.runs import history


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"), network(), Digits(split="test"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos of two classes, each with a gradient from left to right, of different sizes."""
    root = tmp_path_factory.mktemp("photos")
    for name, color in (("red", 0), ("green", 1)):
        for i in range(4):
            image = np.zeros((30 + i, 50, 3), np.uint8)
            image[..., color] = np.linspace(40, 250, 50)
            path = root / "train" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    (root / "test").symlink_to(root / "train")
    return root


def test_samples_are_drawn_from_the_whole_split_and_follow_the_seed():
    data = Digits(split="test")
    mindres.set_seed(5)
    first = pictures.samples(data, 40)
    mindres.set_seed(5)
    np.testing.assert_array_equal(pictures.samples(data, 40).inputs, first.inputs)
    in_order = next(data.run().create_tuple_iterator(output_numpy=True, num_epochs=1))
    assert (first.labels[:32] != in_order[1]).any()
    assert len(first.inputs) == 40 and first.names == [str(label) for label in first.labels]
    # What is shown is what is fed, on the scale of the file.
    files = (first.inputs * data.std[0] + data.mean[0]).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(first.shown, files.clip(0, 1), atol=1e-5)


def test_a_split_smaller_than_the_picture_is_shown_whole(folder):
    data = ImageFolder(folder / "train", "val", resize=16)
    count = len(pictures.labels_of(data))
    assert len(pictures.samples(data, 24).inputs) == count < 24
    rest = ImageFolder(folder / "train", "train", resize=16)
    assert len(drawn(pictures.dataset(rest))) == len(data.files()) - count


def test_dataset_shows_the_colours_of_the_files(folder):
    mindres.set_seed(0)
    axes = drawn(pictures.dataset(ImageFolder(folder, "test", resize=24), 8))
    assert sorted(axis.get_title() for axis in axes) == ["green"] * 4 + ["red"] * 4
    for axis in axes:
        color = {"red": 0, "green": 1}[axis.get_title()]
        assert pixels(axis)[..., color].max() > 0.7
        assert np.delete(pixels(axis), color, axis=2).max() < 0.02


def test_augmentation_shows_the_original_each_step_and_what_is_fed(folder):
    mindres.set_seed(0)
    data = ImageFolder(folder, "train", resize=24)
    figure = pictures.augmentation(data, count=3, times=2)
    axes = np.array(figure.axes).reshape(3, 5)
    assert [axis.get_title() for axis in axes[0]] == [
        "original",
        "cropped, resized",
        "flipped",
        "as fed, epoch 1",
        "as fed, epoch 2",
    ]
    originals = [np.asarray(Image.open(path)) / 255 for path, _ in data.images[:3]]
    for row, original in zip(axes, originals):
        np.testing.assert_allclose(pixels(row[0]), original)
        np.testing.assert_allclose(pixels(row[2]), original[:, ::-1])
        assert pixels(row[1]).shape == pixels(row[3]).shape == (24, 24, 3)
    assert any(np.abs(pixels(row[3]) - pixels(row[4])).max() > 0.05 for row in axes), (
        "each epoch is another"
    )
    assert data.batch_size == 32 and data.shuffle, "the dataset is as before"


def test_digits_are_never_flipped():
    axes = pictures.augmentation(Digits(split="train"), count=2, times=1).axes[:3]
    assert [axis.get_title() for axis in axes] == ["original", "cropped", "as fed, epoch 1"]
    assert pixels(axes[0]).shape == (8, 8, 3)


def test_predictions_and_gradcam_say_what_the_network_says():
    net, data = network(), Digits(split="test")
    some = pictures.samples(data, 6)
    answer = mindres.predict(net, some.inputs)
    axes = drawn(pictures.predictions(net, some))
    cams = drawn(pictures.gradcam(net, some))
    for i, k in enumerate(answer.classes):
        right = k == some.labels[i]
        title = f"{k} {answer.probabilities[i].max():.0%}" + (
            "" if right else f"\nis {some.labels[i]}"
        )
        for axis in (axes[i], cams[2 * i]):
            assert (axis.get_title(), axis.title.get_color()) == (title, "blue" if right else "red")
        np.testing.assert_allclose(pixels(cams[2 * i]), some.shown[i])
        assert np.abs(pixels(cams[2 * i + 1]) - some.shown[i]).max() > 0.1


def test_mistakes_show_the_worst_first():
    net, data = network(), Digits(split="test")
    result = mindres.evaluate(net, data)
    worst = result.mistakes()[:5]
    axes = drawn(pictures.mistakes(result, data, 5))
    assert [axis.get_title() for axis in axes] == [
        f"{result.predicted[i]} {result.probabilities[i].max():.0%}\nis {result.labels[i]}"
        for i in worst
    ]
    assert {axis.title.get_color() for axis in axes} == {"red"}
    images = drawing.denormalize(
        np.concatenate(
            [x for x, _ in data.run().create_tuple_iterator(output_numpy=True, num_epochs=1)]
        ),
        data.mean,
        data.std,
    )
    for axis, i in zip(axes, worst):
        np.testing.assert_allclose(pixels(axis), images[i])
    result.predicted[:] = result.labels
    assert "no mistakes on 360 images" in [
        t.get_text() for t in pictures.mistakes(result, data).texts
    ]


@pytest.mark.parametrize(
    "what, images",
    [
        ("predictions", 3),
        ("gradcam", 6),
        ("mistakes", 3),
        ("features", 6),
        ("filters", 6),
        ("confusion", 1),
    ],
)
def test_plot_draws_what_a_network_says(run, tmp_path, capsys, monkeypatch, what, images):
    saved = []
    monkeypatch.setattr(drawing, "save", lambda figure, out: saved.append((figure, out)))
    out = str(tmp_path / "a.png")
    run_command(["plot", what, "--ckpt", str(run / "best.ckpt"), "--count", "3", "--out", out])
    assert capsys.readouterr().out == f"{out}\n"
    [(figure, path)] = saved
    assert (
        path == out
        and len([axis for axis in drawn(figure) if axis.get_label() != "<colorbar>"]) == images
    )


def test_plot_draws_datasets_and_curves(run, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_command(
        ["plot", "dataset", "--dataset", "folder", "--dataset_path", str(folder), "--count", "4"]
    )
    run_command(["plot", "augmentation", "--out", "a.svg"])
    run_command(["plot", "curves", str(run), "--out", "c.svg"])
    assert capsys.readouterr().out.split() == ["dataset.png", "a.svg", "c.svg"]
    assert Image.open("dataset.png").format == "PNG"
    assert "as fed, epoch 3" in (tmp_path / "a.svg").read_text()


def test_plot_draws_a_users_images(run, folder, tmp_path, capsys, monkeypatch):
    (tmp_path / "mine").mkdir()
    for name in ("a.png", "b.jpg"):
        Image.new("RGB", (40, 30), "blue").save(tmp_path / "mine" / name)
    (tmp_path / "mine" / "c.png").write_text("no image")
    saved = []
    monkeypatch.setattr(drawing, "save", lambda figure, out: saved.append(figure))
    run_command(
        [
            "plot",
            "predictions",
            "--ckpt",
            str(run / "best.ckpt"),
            "--images",
            str(tmp_path / "mine"),
        ]
    )
    titles = [axis.title for axis in drawn(saved[0])]
    assert len(titles) == 2 and {t.get_color() for t in titles} == {"black"}
    assert "c.png cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["curves"], "needs the folder of a training"),
        (["filters"], "needs a network"),
        (["filters", "x"], "takes no x"),
        (["dataset", "--out", "a.txt"], "must end in"),
        (["augmentation", "--split", "test"], "only training images"),
        (["curves", "nowhere"], "No such file"),
    ],
)
def test_plot_says_what_it_lacks(arguments, complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=complaint):
        run_command(["plot", *arguments])
    assert not list(tmp_path.iterdir())


def test_grad_cam_and_feature_maps_name_stage_class_and_scale():
    net, some = network(), pictures.samples(Digits(split="test"), 2)
    figure = pictures.gradcam(net, some, "conv2")
    assert figure.get_suptitle() == "Grad-CAM at conv2 (10x10 cells)\nfor the class in the title"
    [scale] = [axis for axis in figure.axes if axis.get_label() == "<colorbar>"]
    assert scale.get_xlabel() == "share of the image's largest value"
    assert scale.get_xlim() == (0, 1)
    first, second = pictures.features(net, some, "conv1").get_suptitle().split("\n")
    assert first == f"conv1 for an image of {some.names[0]}: 6 of 6 maps of 28x28"
    assert second == "dark is a map's smallest value, bright its largest"
    some.labels = None
    title = pictures.features(net, some, "conv2", count=4).get_suptitle()
    assert title.startswith("conv2: 4 of 16 maps of 10x10\n")


def rings(data, count=2):
    """The picture of the row below."""
    return drawing.note(f"{count} rings of {data.name}")


def test_a_row_is_a_picture(tmp_path, capsys, monkeypatch):
    row = pictures.Picture(__name__, "rings", ("images",), ("count",))
    monkeypatch.setitem(pictures.PICTURES, "rings", row)
    monkeypatch.chdir(tmp_path)
    drawn = []
    monkeypatch.setattr(drawing, "save", lambda figure, out: drawn.append(figure.texts[0]))
    run_command(["plot", "rings", "--count", "5"])
    assert capsys.readouterr().out == "rings.png\n"
    assert drawn[0].get_text() == "5 rings of Digits"
    with pytest.raises(SystemExit):
        run_command(["plot", "--help-all"])
    assert re.search(r"one of dataset, .*\brings\b", " ".join(capsys.readouterr().out.split()))
    with pytest.raises(UserError, match=r"unknown value 'ringz': did you mean rings\?"):
        run_command(["plot", "ringz"])
    with pytest.raises(UserError, match=r"mindres plot rings takes no x"):
        run_command(["plot", "rings", "x"])


def test_every_row_has_its_function():
    for name, row in pictures.PICTURES.items():
        function = getattr(pictures, name)
        assert (function.__module__, function.__doc__ is not None) == (row.module, True)
        parameters = list(inspect.signature(function).parameters)
        assert set(row.options) <= set(parameters[len(row.inputs) :]), name


def test_curves_of_several_runs(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "history.csv").write_text(HISTORY)
    figure = pictures.curves([tmp_path / "one", tmp_path / "two"])
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [
        str(tmp_path / "one"),
        str(tmp_path / "two"),
    ]
    assert figure.axes[1].lines[0].get_xydata().tolist() == [[1, 0.25], [3, 0.5]]
    assert not pictures.curves([tmp_path / "one"]).legends


def test_a_history_may_have_more_columns(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss,accuracy,lr,note\n1,2.0,,0.1,a\n")
    columns = history.read_history(path)
    assert (columns["loss"], columns["lr"], set(columns)) == (
        [2.0],
        [0.1],
        {"epoch", "loss", "accuracy", "lr"},
    )
    assert np.isnan(columns["accuracy"]).all()


@pytest.mark.parametrize(
    "content, complaint",
    [
        (None, "No such file"),
        ("epoch,loss,lr\n1,2,3\n", "no column 'accuracy'"),
        ("epoch,loss,accuracy,lr\n", "no epochs"),
        ("epoch,loss,accuracy,lr\n1,x,3,4\n", "could not convert"),
        ("epoch,loss,accuracy,lr\n1,2\n", "run's history"),
        ("\0\n", "history of a run"),
        (b"\xff\xfe", "can't decode"),
    ],
)
def test_what_is_no_history_is_named(tmp_path, content, complaint):
    path = tmp_path / "history.csv"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=complaint) as error:
        history.read_history(path)
    assert str(path) in str(error.value)


def test_the_examples_are_thin(run, folder, tmp_path, run_example):
    done = run_example(
        "visualize_predictions.py", "--ckpt", run / "best.ckpt", "--out", "p.svg", "--count", "5"
    )
    assert (done.returncode, done.stderr) == (0, "")
    which, found = done.stdout.splitlines()
    assert which == "Images: some of the 360 test images of Digits"
    assert found.startswith("5 predictions, ") and found.endswith(" of them right: p.svg")
    assert (tmp_path / "p.svg").read_text().startswith("<?xml")
    done = run_example(
        "explore_dataset.py", "--dataset", "folder", "--dataset_path", folder, "--resize", "24"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "green        4        4\nred          4        4\n" in done.stdout
    assert "(8, 3, 24, 24) float32" in done.stdout
    assert sorted(p.name for p in (tmp_path / "dataset").iterdir()) == [
        "augmentation.png",
        "images.png",
    ]


def test_metadata_is_what_training_notes():
    data = Digits(split="test")
    recorded = metadata(data)
    assert as_trained.describe(data).items() <= recorded.items()
