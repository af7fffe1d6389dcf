"""Finds what is wrong with the images of a data set: `mindres check`.

`checked_images` lists the images with their splits, `measures` looks at each of them once, and
`quality`, `duplicates`, `labels` and `outliers` find what is wrong by these measures and by
features of a network. `checking` puts it together, `result` is what was found, and `page` shows it.
A new kind of finding is a row of `KINDS` and a function that `checking` calls.
"""

from mindres.lazy import lazy_names

# Every kind of finding: its heading on the page, and what it means.
KINDS = {
    "broken": ("Broken files", "cannot be read as an image"),
    "blank": ("Blank images", "have nearly one colour all over"),
    "dark": ("Dark images", "are nearly black all over"),
    "blurred": ("Blurred images", "have far less detail than the others"),
    "leak": ("Copies between splits", "are held out of training and are in it, too"),
    "duplicate": ("Duplicates", "are copies of another image of the same split"),
    "label": ("Probably wrong labels", "look like another class to a model that never saw them"),
    "outlier": ("Unlike the others", "are far from every other image"),
}

_HOMES = {"check_data": "mindres.check.checking", "CheckResult": "mindres.check.result"}
__all__ = sorted({*_HOMES, "KINDS"})
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
