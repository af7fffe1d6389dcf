"""Weight files: who publishes them, where they lie, their formats, and what is noted in them.

A new publisher is a row in `publishers.py`, a new format a file in `formats/`, a new note a field
in `metadata.py`. How each publisher names the parameters of a network stands in the network's file
in `mindres/models`; `naming.py` applies it.
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
