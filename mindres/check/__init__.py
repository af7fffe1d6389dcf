"""`mindres check`: finds wrong labels, copies and bad images in a data set.

`checked_images` opens the images of all splits, `measures` measures each of them once, and
`quality`, `duplicates`, `labels` and `outliers` find problems by these measures and by features of
a network. `checking` combines them into a `result`, which `page` shows. A new kind of finding is a
row of `KINDS` and a function that `checking` calls.
"""

from mindres.lazy import lazy_names

# Every kind of finding: its heading on the page, and what it means.
KINDS = {
    "broken": ("Broken files", "cannot be read as an image"),
    "blank": ("Blank images", "have almost a single colour"),
    "dark": ("Dark images", "are almost black"),
    "blurred": ("Blurred images", "have far less detail than the others"),
    "leak": ("Copies between splits", "are both in training and held out of it"),
    "duplicate": ("Duplicates", "are copies of another image of the same split"),
    "label": ("Probably wrong labels", "look like another class to a model that never saw them"),
    "outlier": ("Outliers", "are unlike every other image"),
}

_HOMES = {"check_data": "mindres.check.checking", "CheckResult": "mindres.check.result"}
__all__ = sorted({*_HOMES, "KINDS"})
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
