"""The matrices of many utterances in one place, as other programs leave them. Nothing in a file is run.

=================  =====================================================================================================
``X.npz``          one array for all utterances, ``log_probs``, ``logits``, ``probs`` or ``posteriors``, (frames of all,
                   labels), and ``lengths``; optional ``ids``, ``labels``, ``references``
``X.npz``          one array an utterance, (frames, labels), named by its id; optional ``labels``
``X/``             one file ``ID.npy`` an utterance; a slash in an id is a folder
``X.ark``          Kaldi's archive, binary, compressed or text
``X.scp``          Kaldi's list of ``ID ARK:OFFSET``
=================  =====================================================================================================
"""

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search_spaces.errors import DataError, Mistake
from trainers.data.matrices import can_read_arks, index_ark, read_ark
from trainers.data.scp import read_scp
from trainers.exchange.log_probabilities import Kind

SUFFIXES = (".npz", ".scp", ".ark")
_KINDS: Mapping[str, Kind | None] = {
    "log_probs": "log-probs",
    "logits": "logits",
    "probs": "probs",
    "posteriors": None,
}
_BROKEN = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    RuntimeError,
    MemoryError,
    OverflowError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)

Matrix = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class MatrixSet:
    """Matrices of many utterances, each read when it is asked for.

    Attributes:
        place: Where they lie.
        ids: Of the utterances; empty where the file does not name them.
        count: How many utterances there are.
        read: The matrix of an utterance by its number, (frames, labels), finite; raises ValueError with what is wrong.
        kind: What the values are by the name of their array; None where that does not say.
        labels: Names of the columns; None where the file does not name them.
        references: Transcripts; None where there are none.
    """

    place: Path
    ids: tuple[str, ...]
    count: int
    read: Callable[[int], Matrix]
    kind: Kind | None = None
    labels: tuple[str, ...] | None = None
    references: tuple[str, ...] | None = None


def open_matrices(place: Path) -> MatrixSet:
    """Look into a file or folder.

    Raises:
        DataError: It is of none of the formats, or broken.
    """
    try:
        if place.is_dir():
            return _folder(place)
        if not place.is_file():
            raise ValueError("no such file or folder")
        if place.suffix == ".npz":
            return _npz(place)
        if place.suffix in (".ark", ".scp"):
            return _kaldi(place)
        raise ValueError(f"is none of {', '.join(SUFFIXES)} and no folder of .npy files")
    except _BROKEN as error:
        said = str(error) or type(error).__name__
        raise DataError(place, [Mistake(0, "", said)]) from error


def _folder(place: Path) -> MatrixSet:
    files = {path.relative_to(place).with_suffix("").as_posix(): path for path in sorted(place.rglob("*.npy"))}
    if not files:
        raise ValueError("holds no .npy file; one an utterance is wanted, named ID.npy")
    paths = list(files.values())

    def read(index: int) -> Matrix:
        try:
            with paths[index].open("rb") as file:
                loaded = np.load(file, allow_pickle=False)
        except _BROKEN as error:
            raise ValueError(f"cannot be read as .npy: {error}") from error
        if not isinstance(loaded, np.ndarray):
            raise ValueError("is no .npy file")
        return _checked(loaded)

    return MatrixSet(place, tuple(files), len(files), read)


def _kaldi(place: Path) -> MatrixSet:
    if not can_read_arks():
        raise ValueError("reading Kaldi's archives needs the package kaldiio: pip install kaldiio")
    if place.suffix == ".ark":
        entries = [(name, place, offset) for name, offset in index_ark(place)]
    else:
        entries = [(name, ark, offset) for name, (ark, offset) in read_scp(place).items()]
    names = tuple(name for name, _, _ in entries)
    _refuse_repeated(names)
    return MatrixSet(place, names, len(names), lambda index: _checked(read_ark(*entries[index][1:])))


def _npz(place: Path) -> MatrixSet:
    with place.open("rb") as file:  # numpy leaves it open where it is no archive
        loaded = np.load(file, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise ValueError("is no .npz file")
        arrays = {name: np.asarray(loaded[name]) for name in loaded.files}
    labels = _names(arrays.pop("labels", None), "labels")
    if "lengths" not in arrays:
        ids, matrices = tuple(arrays), list(arrays.values())
        blocks = set(arrays) & set(_KINDS)
        if blocks:
            raise ValueError(f"has {min(blocks)} and no 'lengths': the frames of each utterance, in their order")
        if not ids:
            raise ValueError("holds no array")
        return MatrixSet(place, ids, len(ids), lambda index: _checked(matrices[index]), labels=labels)
    blocks = set(arrays) & set(_KINDS)
    if len(blocks) != 1:
        has = ", ".join(arrays)
        raise ValueError(f"has 'lengths' and needs exactly one of {', '.join(_KINDS)} beside; has {has}")
    (name,) = blocks
    block, lengths = arrays[name], arrays["lengths"]
    ids = _names(arrays.get("ids"), "ids") or ()
    references = _names(arrays.get("references"), "references")
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or not len(lengths) or (lengths < 0).any():
        raise ValueError(f"'lengths' needs a whole number for every utterance; has {lengths.dtype} {lengths.shape}")
    if block.ndim != 2 or int(lengths.sum()) != len(block):
        raise ValueError(f"'{name}' has shape {block.shape} and the lengths add up to {int(lengths.sum())} frames")
    for key, names in (("ids", ids), ("references", references or ())):
        if names and len(names) != len(lengths):
            raise ValueError(f"has {len(names)} {key} and {len(lengths)} lengths")
    _refuse_repeated(ids)
    offsets = np.concatenate([[0], np.cumsum(lengths.astype(np.int64))])
    return MatrixSet(
        place,
        ids,
        len(lengths),
        lambda index: _checked(block[offsets[index] : offsets[index + 1]]),
        _KINDS[name],
        labels,
        references,
    )


def _names(array: Matrix | None, key: str) -> tuple[str, ...] | None:
    if array is None:
        return None
    if array.ndim != 1 or array.dtype.kind != "U":
        raise ValueError(f"'{key}' needs a list of texts, np.array([...]) of str; has {array.dtype} {array.shape}")
    return tuple(array.tolist())


def _refuse_repeated(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"has two matrices of utterance {name}")
        seen.add(name)


def _checked(matrix: Matrix) -> Matrix:
    """A matrix that can hold what a network gave.

    Raises:
        ValueError: It cannot.
    """
    if matrix.dtype.kind not in "fiu" or matrix.ndim != 2:
        hint = "; write array[0]" if matrix.ndim == 3 and len(matrix) == 1 else ""
        raise ValueError(f"needs numbers of shape (frames, labels); has {matrix.dtype} {matrix.shape}{hint}")
    if not matrix.size:
        raise ValueError(f"has no frames: its shape is {matrix.shape}" if not len(matrix) else "has no labels")
    wrong = np.argwhere(~np.isfinite(matrix))
    if len(wrong):
        frame, column = wrong[0].tolist()
        value = matrix[frame, column]
        hint = ", the logarithm of nothing: write probabilities, where a zero may stand" if np.isneginf(value) else ""
        raise ValueError(f"has {value} in frame {frame}, column {column}{hint}")
    return matrix
