"""Images beside their Grad-CAM heat maps."""

from __future__ import annotations

from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from mindres.evaluation.grad_cam import grad_cam
from mindres.evaluation.predictor import predict
from mindres.pictures.drawing import as_rgb, image_grid, text
from mindres.pictures.heat_map import COLORS, overlay
from mindres.pictures.prediction_grid import captions
from mindres.pictures.sample_images import Samples

NARROWEST = 5  # inches for the title
SCALE = 1.1  # inches for the title and the scale


def gradcam(net, some: Samples, stage=None):
    """The images, each beside its Grad-CAM for the class that `net` predicts.

    The title names the stage of the maps, and a bar shows the scale.
    """
    answer = predict(net, some.inputs)
    found = grad_cam(net, some.inputs, answer.classes, stage)
    predicted = [some.classes[k] for k in answer.classes]
    titles, colors = captions(predicted, some.names, answer.probabilities.max(axis=1))
    return gradcam_grid(some.shown, found.heat, titles, colors, about=about(found))


def about(found) -> str:
    """The title of a picture: the stage and the size of its maps."""
    height, width = found.heat.shape[1:]
    return f"Grad-CAM at {found.stage} ({height}x{width} cells)\nfor the class in the title"


def gradcam_grid(images, heat, titles=(), colors="black", columns=4, about=""):
    """Each image beside itself with its heat map, (N, h, w) in [0, 1], on top.

    With the title `about` there is also a bar with the scale.
    """
    pairs = [
        picture
        for image, one in zip(images, heat)
        for picture in (as_rgb(image), overlay(image, one))
    ]
    doubled = [part for title in titles for part in (title, "")]
    if not isinstance(colors, str):
        colors = [color for color in colors for _ in range(2)]
    figure = image_grid(pairs, doubled, colors, 2 * columns)
    if about:
        width, height = figure.get_size_inches()
        figure.set_size_inches(max(width, NARROWEST), height + SCALE)
        figure.suptitle(about, **text(9))
        scale = ScalarMappable(Normalize(0, 1), COLORS)
        figure.colorbar(
            scale,
            ax=figure.axes,
            location="bottom",
            aspect=40,
            shrink=0.5,
        ).set_label("share of the image's largest value", fontsize=9)
    return figure
