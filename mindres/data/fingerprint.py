"""Digests of data sets, by which cached results are found again."""

from __future__ import annotations

import hashlib


def files_and_options(data) -> str:
    """A digest of the files, the split and the transforms of `data`."""
    stats = [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in data.files()]
    plain_types = (str, int, float, bool, tuple, type(None))
    options = {name: value for name, value in vars(data).items() if isinstance(value, plain_types)}
    operations = [(type(op).__name__, str(vars(op))) for op in data.transform or []]
    facts = repr((data.name, stats, sorted(options.items()), operations))
    return hashlib.sha256(facts.encode()).hexdigest()
