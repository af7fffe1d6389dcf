"""What the pictures show: colours, words, numbers and curves, read back from the figures."""

import io
import warnings

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from PIL import Image

from mindres.errors import UserError
from mindres.pictures import drawing
from mindres.pictures.augmentation_grid import augmentation_grid
from mindres.pictures.confusion_matrix import confusion_matrix
from mindres.pictures.dataset_grid import dataset_grid
from mindres.pictures.feature_maps import feature_grid
from mindres.pictures.first_filters import filter_grid
from mindres.pictures.grad_cam import gradcam_grid
from mindres.pictures.heat_map import enlarge, overlay
from mindres.pictures.learning_curves import learning_curves
from mindres.pictures.prediction_grid import RIGHT, prediction_grid

torch = pytest.importorskip("torch")
IMAGES = np.random.default_rng(0).random((5, 8, 8, 3))


def drawn(figure):
    """The axes that show an image."""
    return [axis for axis in figure.axes if axis.images]


def pixels(axis):
    return np.asarray(axis.images[0].get_array())


def test_predictions_are_blue_where_right_and_red_where_wrong():
    figure = prediction_grid(IMAGES, list("abcab"), list("abxay"), [0.9, 0.8, 0.705, 0.6, 0.5])
    axes = drawn(figure)
    assert [axis.get_title() for axis in axes] == [
        "a 90%",
        "b 80%",
        "c 70%\nis x",
        "a 60%",
        "b 50%\nis y",
    ]
    assert [axis.title.get_color() for axis in axes] == ["blue", "blue", "red", "blue", "red"]
    for axis, image in zip(axes, IMAGES):
        np.testing.assert_array_equal(pixels(axis), image)


def test_predictions_without_truth_are_black():
    titles = [axis.title for axis in drawn(prediction_grid(IMAGES, list("abcde")))]
    assert [(t.get_text(), t.get_color()) for t in titles] == [(name, "black") for name in "abcde"]


def test_dataset_grid_names_the_classes_and_shows_the_colours_before_normalisation():
    original = np.random.default_rng(1).random((3, 6, 6, 3))
    mean, std = (0.49, 0.48, 0.44), (0.2, 0.21, 0.22)
    fed = ((original - mean) / std).transpose(0, 3, 1, 2).astype(np.float32)
    axes = drawn(
        dataset_grid(drawing.denormalize(fed, mean, std), [2, 0, 1], ["cat", "dog", "owl"])
    )
    assert [axis.get_title() for axis in axes] == ["owl", "cat", "dog"]
    for axis, image in zip(axes, original):
        np.testing.assert_allclose(pixels(axis), image, atol=1e-6)


def test_grey_images_are_shown_in_grey():
    original = np.random.default_rng(1).random((2, 6, 6))
    fed = ((original - 0.13) / 0.31)[:, None].astype(np.float32)
    for axis, image in zip(
        drawn(dataset_grid(drawing.denormalize(fed, (0.13,), (0.31,)), [0, 0], ["one"])),
        original,
    ):
        for channel in range(3):
            np.testing.assert_allclose(pixels(axis)[..., channel], image, atol=1e-6)


def test_images_of_uint8_and_of_one_channel_are_the_same_as_of_floats():
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    expected = np.repeat(grey[..., None] / 255, 3, axis=2)
    for image in (grey, grey[..., None], np.repeat(grey[..., None], 3, axis=2), grey / 255):
        np.testing.assert_array_equal(drawing.as_rgb(image), expected)


def test_grid_keeps_the_rows_full_and_the_rest_empty():
    figure = drawing.image_grid(IMAGES, columns=3)
    assert (len(figure.axes), len(drawn(figure))) == (6, 5)


def test_names_are_no_mathematics_and_no_longer_than_their_image():
    figure = prediction_grid(IMAGES[:2], ["$x$ & <b>", "n" * 40])
    titles = [axis.title for axis in drawn(figure)]
    assert [t.get_text() for t in titles] == ["$x$ & <b>", "n" * 17 + "…"]
    assert not any(t.get_parse_math() for t in titles)


def test_augmentation_has_a_column_for_each_kind_and_a_row_for_each_image():
    figure = augmentation_grid({"original": IMAGES[:2], "flipped": IMAGES[:2, :, ::-1]})
    axes = np.array(figure.axes).reshape(2, 2)
    assert [axis.get_title() for axis in axes.ravel()] == ["original", "flipped", "", ""]
    np.testing.assert_array_equal(pixels(axes[1, 1]), IMAGES[1, :, ::-1])


MATRIX = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]])


def test_confusion_matrix_has_counts_recall_precision_and_accuracy():
    axis = confusion_matrix(MATRIX, ["cat", "$dog", "owl"]).axes[0]
    texts = {
        (round(t.get_position()[0]), round(t.get_position()[1])): t.get_text() for t in axis.texts
    }
    assert {(c, r): texts[c, r] for r in range(3) for c in range(3)} == {
        (c, r): str(MATRIX[r, c]) for r in range(3) for c in range(3)
    }
    assert [texts[3, r] for r in range(3)] == ["80%", "75%", "-"]
    assert [texts[c, 3] for c in range(3)] == ["89%", "60%", "-"]
    assert texts[3, 3] == "79%"
    assert [t.get_text() for t in axis.get_yticklabels()] == ["cat", "$dog", "owl", "precision"]
    assert [t.get_text() for t in axis.get_xticklabels()] == ["cat", "$dog", "owl", "recall"]
    np.testing.assert_allclose(pixels(axis), [[0.8, 0.2, 0], [0.25, 0.75, 0], [0, 0, 0]])


def test_confusion_matrix_of_many_classes_has_no_numbers_and_every_few_names():
    axis = confusion_matrix(np.eye(100, dtype=int), [f"class {i}" for i in range(100)]).axes[0]
    assert not axis.texts
    assert [t.get_text() for t in axis.get_yticklabels()][:2] == ["class 0", "class 4"]


HISTORY = {
    "epoch": [1, 2, 3],
    "loss": [2.0, 1.0, 0.5],
    "accuracy": [0.3, float("nan"), 0.6],
    "lr": [0.1, 0.05, 0.01],
}


def test_learning_curves_draw_loss_accuracy_and_rate_of_each_run():
    other = {**HISTORY, "loss": [3.0, 2.0, 1.5]}
    figure = learning_curves({"first": HISTORY, "_second $": other})
    assert [axis.get_title() for axis in figure.axes] == [
        "training loss",
        "validation accuracy",
        "learning rate",
    ]
    curves = [[line.get_xydata().tolist() for line in axis.lines] for axis in figure.axes]
    assert curves[0] == [[[1, 2], [2, 1], [3, 0.5]], [[1, 3], [2, 2], [3, 1.5]]]
    assert curves[1][0] == [[1, 0.3], [3, 0.6]], "an epoch without an evaluation is stepped over"
    assert curves[2][0] == [[1, 0.1], [2, 0.05], [3, 0.01]]
    assert [t.get_text().strip("\u200b") for t in figure.legends[0].get_texts()] == [
        "first",
        "_second $",
    ]
    colors = [line.get_color() for line in figure.axes[0].lines]
    assert colors[0] != colors[1]


def test_filters_are_stretched_around_grey():
    weights = np.zeros((2, 3, 1, 2))
    weights[0, :, 0, 0] = [0.5, -0.5, 0]
    axes = drawn(filter_grid(weights))
    np.testing.assert_allclose(pixels(axes[0]), [[[1, 0, 0.5], [0.5, 0.5, 0.5]]])
    np.testing.assert_allclose(pixels(axes[1]), np.full((1, 2, 3), 0.5))
    assert pixels(drawn(filter_grid(np.ones((1, 1, 3, 3))))[0]).shape == (3, 3)


def test_feature_maps_show_each_channel():
    maps = np.random.default_rng(0).random((3, 4, 5))
    for axis, expected in zip(drawn(feature_grid(maps)), maps):
        np.testing.assert_array_equal(pixels(axis), expected)


def test_heat_is_enlarged_as_pytorch_enlarges():
    heat = np.random.default_rng(0).random((4, 7))
    expected = torch.nn.functional.interpolate(
        torch.tensor(heat)[None, None], (32, 30), mode="bilinear", align_corners=False
    )[0, 0].numpy()
    np.testing.assert_allclose(enlarge(heat, (32, 30)), expected, atol=1e-12)
    np.testing.assert_allclose(enlarge(np.ones((1, 1)), (5, 6)), np.ones((5, 6)))


def test_overlay_leaves_cold_places_as_they_are_and_reddens_hot_ones():
    shown = overlay(np.full((8, 8, 3), 0.5), np.array([[0.0, 1.0], [0.0, 1.0]]))
    np.testing.assert_allclose(shown[:, 0], 0.5)
    red, green, blue = shown[0, -1]
    assert red > green + 0.2 and red > blue + 0.2


def test_gradcam_shows_each_image_beside_its_heat():
    heat = np.random.default_rng(0).random((5, 2, 2))
    axes = drawn(gradcam_grid(IMAGES, heat, list("abcde"), ["red"] * 5, columns=2))
    assert len(axes) == 10
    assert [(a.get_title(), a.title.get_color()) for a in axes[:2]] == [("a", "red"), ("", "red")]
    np.testing.assert_array_equal(pixels(axes[2]), IMAGES[1])
    np.testing.assert_array_equal(pixels(axes[3]), overlay(IMAGES[1], heat[1]))


def test_a_title_and_a_scale_leave_the_images_their_size():
    heat = np.random.default_rng(0).random((2, 2, 2))
    sizes = []
    for about in ("", "Grad-CAM at layer3"):
        figure = gradcam_grid(IMAGES[:2], heat, list("ab"), about=about)
        if about:
            drawing.entitle(figure, "2 test images")
            assert figure.get_suptitle() == "Grad-CAM at layer3\n2 test images"
        figure.draw_without_rendering()
        sizes.append([axis.get_window_extent().height for axis in drawn(figure)[:4]])
    assert min(sizes[1]) > 0.9 * max(sizes[0])


def test_figures_are_saved_by_their_ending_and_shown_by_notebooks(tmp_path):
    figure = drawing.image_grid(IMAGES[:1], ["<script>alert(1)</script>"], "red")
    drawing.save(figure, tmp_path / "a.png")
    drawing.save(figure, tmp_path / "a.SVG")
    svg = (tmp_path / "a.SVG").read_text()
    assert svg.startswith("<?xml") and "<script" not in svg
    shown = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))
    assert (shown == (255, 0, 0)).all(axis=2).sum() > 50, "the red title"
    assert Image.open(io.BytesIO(figure._repr_png_())).format == "PNG"
    with pytest.raises(UserError, match="must end in"):
        drawing.save(figure, tmp_path / "a.txt")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.SVG", "a.png"]


def test_a_note_is_drawn_where_there_is_nothing_to_draw():
    assert [t.get_text() for t in drawing.note("no mistakes").texts] == ["no mistakes"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawing.image_grid([])
    assert to_rgba(RIGHT) == (0, 0, 1, 1)
