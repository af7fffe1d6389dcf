"""Pictures of data sets, networks and training runs: functions that return a Matplotlib figure.

A new picture is a row of `PICTURES` and a file with a function of the row's name. `mindres plot`
calls the function with the row's `inputs`, and with those of its `options` that are given as flags.
"""

from typing import NamedTuple

from mindres.lazy import lazy_names


class Picture(NamedTuple):
    """A row: the module of the function, what it shows, and its arguments.

    inputs: the positional arguments, as properties of `mindres.cli.plot.Inputs`.
    options: the optional arguments that have a flag of the same name.
    """

    module: str
    shows: str
    inputs: tuple[str, ...]
    options: tuple[str, ...] = ()


PICTURES = {
    "dataset": Picture(
        "mindres.pictures.dataset_grid",
        "images of a data set with their classes",
        ("images",),
        ("count",),
    ),
    "augmentation": Picture(
        "mindres.pictures.augmentation_grid",
        "training images after each step of augmentation",
        ("augmented_images",),
        ("count",),
    ),
    "predictions": Picture(
        "mindres.pictures.prediction_grid",
        "images with predicted and true classes",
        ("net", "samples"),
    ),
    "mistakes": Picture(
        "mindres.pictures.worst_mistakes",
        "the most confident mistakes",
        ("evaluation", "evaluated_images"),
        ("count",),
    ),
    "confusion": Picture(
        "mindres.pictures.confusion_matrix", "the confusion matrix", ("evaluation",)
    ),
    "reliability": Picture(
        "mindres.pictures.reliability_diagram",
        "how often predictions are correct, by their probability",
        ("evaluation",),
    ),
    "corruptions": Picture(
        "mindres.pictures.corruption_curves",
        "the accuracy on noisy, blurred and other corrupted images",
        ("robustness",),
    ),
    "curves": Picture(
        "mindres.pictures.learning_curves", "the learning curves of runs", ("run_dirs",)
    ),
    "filters": Picture(
        "mindres.pictures.first_filters", "the kernels of the first convolution", ("net",)
    ),
    "features": Picture(
        "mindres.pictures.feature_maps",
        "the feature maps of a stage for one image",
        ("net", "samples"),
        ("stage",),
    ),
    "lr_finder": Picture(
        "mindres.pictures.range_test", "a learning-rate range test", ("range_test",)
    ),
    "gradcam": Picture(
        "mindres.pictures.grad_cam",
        "images beside their Grad-CAM heat maps",
        ("net", "samples"),
        ("stage",),
    ),
}
_HOMES = {
    **{name: row.module for name, row in PICTURES.items()},
    "differing": "mindres.pictures.differing_answers",  # drawn by mindres compare
    **dict.fromkeys(
        ["Samples", "labels_of", "samples", "samples_from_files"], "mindres.pictures.sample_images"
    ),
}
__all__ = ["PICTURES", "Picture", *sorted(_HOMES)]
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
