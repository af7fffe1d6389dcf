"""A function for each picture, returning a Matplotlib figure."""

from mindres.lazy import lazy_names

_HOMES = dict.fromkeys(
    [
        "augmentation",
        "confusion",
        "curves",
        "dataset",
        "features",
        "filters",
        "gradcam",
        "mistakes",
        "predictions",
        "samples",
        "samples_from_files",
        "Samples",
        "labels_of",
    ],
    "mindres.pictures.by_name",
)
__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
