"""Matrices in files: stored features in an .npy or .npz file, and whatever lies inside a Kaldi archive."""

import hashlib
import importlib.util
import struct
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from trainers.artifacts import Utterance

_BINARY = (b"\0BFM ", b"\0BDM ", b"\0BCM ", b"\0BCM2 ", b"\0BCM3 ")
_BROKEN = (OSError, ValueError, RuntimeError, AssertionError, MemoryError, OverflowError, struct.error)


def read_matrix(utterance: Utterance) -> NDArray[np.float32]:
    """The stored features of an utterance, (frames, dimensions), float32.

    Raises:
        ValueError: They cannot be used; the text says why.
    """
    array = _array(utterance.source) if utterance.offset is None else read_ark(utterance.source, utterance.offset)
    if array.ndim != 2 or not len(array) or array.dtype.kind not in "fiu":
        raise ValueError(f"needs numbers of shape (frames, dimensions); has {array.dtype} {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("holds NaN or infinity")
    return array.astype(np.float32)


def open_arrays(path: Path) -> np.lib.npyio.NpzFile:
    """An .npz file, open.

    Raises:
        ValueError: It is none.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"cannot be read as .npz: {error}") from error
    if not isinstance(loaded, np.lib.npyio.NpzFile):
        raise ValueError("is no .npz file")
    return loaded


def _array(path: Path) -> NDArray[np.generic]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            return np.asarray(loaded)
        with loaded:
            return np.asarray(loaded["features"])
    except KeyError as error:
        raise ValueError("has no array named 'features'") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"cannot be read as .npy or .npz: {error}") from error


def can_read_arks() -> bool:
    """Whether kaldiio is installed."""
    return importlib.util.find_spec("kaldiio") is not None


def read_ark(path: Path, offset: int) -> NDArray[np.generic]:
    """The matrix that starts at a byte of an archive; binary, compressed or text.

    Raises:
        ValueError: None starts there, or it is broken.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return _next_matrix(file)
    except _BROKEN as error:
        raise ValueError(f"cannot be read as a Kaldi matrix: {error or 'the archive is broken'}") from error


def index_ark(path: Path) -> Iterator[tuple[str, int]]:
    """The names in an archive, each with the byte at which its matrix starts; every matrix is read to find the next.

    Raises:
        ValueError: The archive is broken.
    """
    from kaldiio.matio import read_token

    try:
        with path.open("rb") as file:
            while (name := read_token(file)) is not None:
                if not name.strip():
                    continue
                yield name.strip(), file.tell()
                _next_matrix(file)
    except _BROKEN as error:
        raise ValueError(f"cannot be read as a Kaldi archive: {error or 'it is broken'}") from error


def append_ark(file: BinaryIO, name: str, matrix: NDArray[np.float32]) -> None:
    """Write a matrix behind what an archive holds already; a name may hold no space."""
    from kaldiio import save_ark

    save_ark(file, {name: matrix})


def _next_matrix(file: BinaryIO) -> NDArray[np.generic]:
    from kaldiio.matio import read_kaldi

    offset = file.tell()
    start = file.read(6)
    # kaldiio also unpickles what is marked as a pickle, and a pickle can run code
    if not (start.startswith(_BINARY) or start.lstrip().startswith(b"[")):
        raise ValueError(f"no matrix starts there but {start!r}")
    file.seek(offset)
    return np.asarray(read_kaldi(file))


def digest_matrices(utterances: Iterable[Utterance]) -> str:
    """A key for the content of matrices inside archives, wherever in which archive they lie.

    What cannot be read counts with its error: whoever packs the set reports it.
    """
    total = hashlib.sha256()
    for utterance in utterances:
        try:
            matrix = read_matrix(utterance)
            total.update(repr(matrix.shape).encode() + hashlib.sha256(matrix.tobytes()).digest())
        except ValueError as error:
            total.update(repr(error).encode())
    return total.hexdigest()[:20]
