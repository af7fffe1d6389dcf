"""Formats of weight files.

A new format is a row, and a file with `recognizes(start)`, `read(path)` and, if it can be written,
`write(arrays, metadata, path)`. `read_checkpoint` uses the first format in this order that
recognises the first bytes of a file.
"""

from mindres.lazy import lazy_names

# The name of each format's file here, and the extension of weight files in that format; None if it
# is only read.
FORMATS = {"safetensors": ".safetensors", "pytorch": None, "mindspore": ".ckpt"}

_HOMES = {
    "read_checkpoint": "mindres.weights.formats.checkpoint",
    "write_checkpoint": "mindres.weights.formats.checkpoint",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
