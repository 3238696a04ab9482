"""The compiled search of `trainers/decoding/native/`, and the types of its functions.

It is a shared library beside this file, built by setup.py where a C compiler is. It is called through ctypes: no
reference to a Python object enters it, and every array is checked for type, shape and contiguity before it does.
"""

import ctypes
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.ctypeslib import ndpointer

_FOLDER = Path(__file__).parent
_ADDRESS, _COUNT, _NUMBER = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
_INT32, _INT64, _FLOAT64 = (ndpointer(kind, 1, flags="C_CONTIGUOUS") for kind in (np.int32, np.int64, np.float64))

_FUNCTIONS = {
    "ctc_model_read": (_ADDRESS, [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int]),
    "ctc_model_free": (None, [_ADDRESS]),
    "ctc_model_word": (ctypes.c_int32, [_ADDRESS, ctypes.c_char_p, _COUNT]),
    "ctc_model_start": (ctypes.c_int32, [_ADDRESS]),
    "ctc_model_score": (
        ctypes.c_float,
        [_ADDRESS, ctypes.c_int32, ctypes.c_int32, ctypes.POINTER(ctypes.c_int32)],
    ),
    "ctc_search_new": (
        _ADDRESS,
        [_ADDRESS, _INT32, _INT64, _INT32, ctypes.c_int32, _INT32, _INT64, _COUNT, _NUMBER, _NUMBER, _NUMBER, _NUMBER],
    ),
    "ctc_search_free": (None, [_ADDRESS]),
    "ctc_search_words": (_COUNT, [_ADDRESS]),
    "ctc_search_run": (
        ctypes.c_int,
        [
            *(_ADDRESS, _COUNT, _INT64, _INT64, _INT32, _FLOAT64),
            *(_COUNT, _FLOAT64, _FLOAT64, _FLOAT64, _INT32),
            *(_FLOAT64, _FLOAT64, _INT64),
        ],
    ),
    "ctc_search_texts": (_ADDRESS, [_ADDRESS]),
}


class NotCovered(Exception):
    """The compiled search cannot do what is asked; the message says why."""


@cache
def library() -> ctypes.CDLL:
    """The library.

    Raises:
        NotCovered: It was not built, or not from the sources that are here.
    """
    loaded = open_library(_FOLDER, "_search", "the kernel")
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded


def open_library(folder: Path, name: str, title: str) -> ctypes.CDLL:
    """Load what was built of the C sources in a folder ``native``.

    Args:
        folder: Where the library lies, beside that folder.
        name: Its file's name without what Python adds.
        title: What it is called in messages.

    Raises:
        NotCovered: It was not built, or not from the sources that are here.
    """
    path = next(filter(Path.exists, (folder / f"{name}{suffix}" for suffix in EXTENSION_SUFFIXES)), None)
    if path is None:
        raise NotCovered(f"{title} is not built; where a C compiler is, installing again builds it")
    try:
        loaded = ctypes.CDLL(str(path))
        built_from = ctypes.c_uint32.in_dll(loaded, "ctc_sources").value
    except (OSError, ValueError) as error:
        raise NotCovered(f"{title} cannot be loaded: {error}") from error
    if built_from != checksum(folder / "native"):
        raise NotCovered(f"{title} was built from other sources; installing again builds it")
    return loaded


def checksum(folder: Path) -> int:
    """Checksum of the C sources in a folder; setup.py compiles the same into the library."""
    return crc32(b"".join(path.read_bytes() for path in sorted(folder.glob("*.[ch]"))))
