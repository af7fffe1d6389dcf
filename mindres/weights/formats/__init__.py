"""Formats of weight files.

To add one, write its file with `recognizes(start)`, `read(path)` and, if it can be written,
`write(arrays, metadata, path)`; and add its row. `read_checkpoint` asks the formats in this order
whether they recognise the first bytes of a file.
"""

from mindres.lazy import lazy_names

# The name of each format's file here, and the ending of the weight files that are written in it;
# None for a format that is only read.
FORMATS = {"safetensors": ".safetensors", "pytorch": None, "mindspore": ".ckpt"}

_HOMES = {
    "read_checkpoint": "mindres.weights.formats.checkpoint",
    "write_checkpoint": "mindres.weights.formats.checkpoint",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
