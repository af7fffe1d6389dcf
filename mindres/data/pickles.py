"""Reads pickles of arrays without running code from them, in bounded memory and time."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
from numpy.core.multiarray import _reconstruct  # type: ignore[attr-defined]
from numpy.core.numeric import _frombuffer  # type: ignore[attr-defined]

from mindres.errors import UserError


def _empty_array(kind, shape, dtype):
    return np.empty(0, np.uint8)  # its values come later, with its state


def _as_latin1(text, encoding):
    if encoding != "latin1":
        raise UserError(f"it asks for the encoding {encoding!r}, which no data set needs")
    return text.encode("latin1")


REFUSED = pickle.EMPTY_SET + pickle.ADDITEMS + pickle.FROZENSET  # sets hash their elements


# Hashing nested tuples that share elements could take years.


class _Fields(dict):
    """A dict that accepts only strings as keys."""

    def __setitem__(self, key, value):
        if not isinstance(key, (str, bytes)):
            raise UserError("it has a field whose name is not a string")
        super().__setitem__(key, value)


class _ArraysOnly(pickle._Unpickler):
    """Admits NumPy arrays, strings, numbers, lists and dicts, and nothing that could run code.

    It is based on Python's unpickler in Python, because the one in C allocates as many memo entries
    as the highest index in the file.
    """

    admitted = {
        ("numpy", "ndarray"): None,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _as_latin1,
        **{
            (f"numpy.{core}.{module}", function.__name__): value
            for core in ("core", "_core")
            for module, function, value in (
                ("multiarray", _reconstruct, _empty_array),
                ("numeric", _frombuffer, _frombuffer),
            )
        },
    }

    def find_class(self, module, name):
        if (module, name) in self.admitted:
            return self.admitted[module, name]
        raise UserError(f"it asks for {module}.{name}, which no data set needs")

    def load_empty_dictionary(self):
        self.append(_Fields())

    def load_dict(self):
        items, fields = self.pop_mark(), _Fields()
        for key, value in zip(items[::2], items[1::2]):
            fields[key] = value
        self.append(fields)

    def load_bytearray(self):
        # Python's version allocates the stated size before it reads.
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))

    def load_build(self):
        if not isinstance(self.stack[-2], (np.ndarray, np.dtype)):
            raise UserError("it gives a state to an object that has none")
        super().load_build()

    dispatch = {  # type: ignore[assignment]
        code: function
        for code, function in pickle._Unpickler.dispatch.items()
        if code not in REFUSED
    } | {
        pickle.EMPTY_DICT[0]: load_empty_dictionary,
        pickle.DICT[0]: load_dict,
        pickle.BUILD[0]: load_build,
        pickle.BYTEARRAY8[0]: load_bytearray,
    }


def read_pickle(path: Path):
    """The contents of a pickle of arrays; raises `UserError` if it is damaged or has more."""
    try:
        with open(path, "rb") as file:
            return _ArraysOnly(file, encoding="latin1").load()
    except UserError as error:
        raise UserError(f"{path} is refused: {error}") from None
    except Exception as error:  # a damaged pickle can fail in any constructor that it calls
        raise UserError(
            f"{path} is damaged or not a pickle ({type(error).__name__}): download the data set "
            "again"
        ) from None
