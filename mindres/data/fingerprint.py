"""Digests of data sets, by which cached results are found again."""

from __future__ import annotations

import hashlib

from mindres.data.labelled_images import LabelledImages


def files_and_options(data) -> str:
    """A digest of the files, their labels, the split and the transforms of `data`."""
    plain_types = (str, int, float, bool, tuple, type(None))
    options = {name: value for name, value in vars(data).items() if isinstance(value, plain_types)}
    operations = [(type(op).__name__, str(vars(op))) for op in data.transform or []]
    facts = repr((data.name, _files(data), sorted(options.items()), operations))
    return hashlib.sha256(facts.encode()).hexdigest()


def _files(data):
    images = getattr(data, "images", None)
    if isinstance(images, LabelledImages):
        return images.digest(), hashlib.sha256(images.labels.tobytes()).hexdigest()
    return [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in data.files()]
