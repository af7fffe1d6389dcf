"""Weight files: their publishers, their cache, their formats and their metadata.

A new publisher is a row in `publishers.py`, a new format a file in `formats/`, a new entry of the
metadata a field in `metadata.py`. The parameter names of each publisher are in the family's file in
`mindres/models`; `naming.py` translates them.
"""

from mindres.lazy import lazy_names

_HOMES = {
    "Metadata": "mindres.weights.metadata",
    "PUBLISHERS": "mindres.weights.publishers",
    "read_checkpoint": "mindres.weights.formats.checkpoint",
    "write_checkpoint": "mindres.weights.formats.checkpoint",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
