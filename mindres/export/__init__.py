"""Exports networks to files for other programs.

A new format is a row of `FORMATS` and a file in this folder with three functions, or five if it has
end-to-end files.

`require()` raises `UserError` unless the packages that the format needs are installed.
`write(network, path, shape, metadata)` writes a network for images of `shape` (channels, height,
width) in batches of any size. `load(path)` returns the file's function from images (N, C, H, W) to
logits, by which `exporter` verifies the file.

`write_end_to_end(core, path, metadata)` writes a file that takes whole images; `core` is the
network as an ONNX model, or, with `from_onnx=False`, as a Cell. `load_end_to_end(path)` returns the
file with `name`, `bytes`, `answer(image)` and `answer_all(images)`, as `runtime.EndToEndFile` has.
"""

from pathlib import Path
from typing import NamedTuple

from mindres.errors import UserError, unknown
from mindres.lazy import lazy_names


class Format(NamedTuple):
    """A row: the module of a format, the extension of its files, and what reads them.

    beside: the extensions of further files that belong to one.
    from_onnx: whether end-to-end files are made from ONNX models, and can thus be int8.
    """

    module: str
    ending: str
    read_by: str
    beside: tuple[str, ...] = ()
    from_onnx: bool = True


FORMATS = {
    "onnx": Format("mindres.export.onnx", ".onnx", "ONNX Runtime and many others"),
    "openvino": Format(
        "mindres.export.openvino", ".xml", "OpenVINO, which is fastest on Intel", (".bin",)
    ),
    "mindir": Format("mindres.export.mindir", ".mindir", "MindSpore", from_onnx=False),
}


def format_of(path, format=None) -> str:
    """The format to write to `path`: `format`, or the one of the extension if it is None.

    Raises:
        UserError: there is no such format, or `path` has the extension of another one.
    """
    if format is not None and format not in FORMATS:
        raise unknown("format", format, FORMATS)
    ending = Path(path).suffix
    by_ending = {row.ending: name for name, row in FORMATS.items()}.get(ending)
    found = format or by_ending
    if found is None:
        endings = " or ".join(row.ending for row in FORMATS.values())
        raise UserError(
            f"cannot tell the format of {path}: end its name in {endings}, or give `format`"
        )
    if by_ending not in (None, found):
        raise UserError(
            f"{path} has the extension of the format {by_ending}, not {found}: end its name in "
            f"{FORMATS[found].ending}"
        )
    if FORMATS[found].beside and by_ending is None:
        raise UserError(f"{path} must end in {FORMATS[found].ending}: a second file goes by it")
    return found


_HOMES = {"export_model": "mindres.export.exporter"}
__all__ = ["FORMATS", "Format", "export_model", "format_of"]
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
