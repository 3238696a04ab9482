"""Corpus files of RWTH-PHOENIX-Weather 2014: ``id|folder|signer|annotation``, one row an utterance.

The columns may stand in any order, ``speaker`` may stand for ``signer``, other columns are left alone. There is no
quoting. Features are ``.npy`` or ``.npz`` files (Koller, Forster & Ney 2015 ship images: extract features first):

1. A folder column that ends in ``.npy`` or ``.npz`` names the file, relative to the CSV's folder. No other is tried.
2. Otherwise ``ID.npy`` or ``ID.npz`` must lie in exactly one of: the folder that the column names, relative to the
   CSV's folder, if there is one; ``features/SPLIT/``; ``features/``; both beside the CSV. SPLIT is the CSV's name up to
   its first dot: ``train`` for ``train.corpus.csv``. Two files for one id are a mistake: which is meant is a guess.

An ``.npz`` holds the frames as ``features``, and may hold the glosses as ``gloss``, which must be the annotation's.
"""

import os
from pathlib import Path

import numpy as np

from search_spaces.errors import DataError, Mistake
from trainers.artifacts import Utterance
from trainers.data.lines import checked, first_line, read_lines, repeated, unusable
from trainers.data.matrices import open_arrays

FORMAT = "a PHOENIX corpus file (.csv, or a first line with the columns id|folder|signer|annotation)"

_COLUMNS = ("id", "folder", "annotation")
_SIGNERS = ("signer", "speaker")
_SUFFIXES = (".npy", ".npz")


def recognises(path: Path) -> bool:
    """Whether a file is named as a CSV, or has the columns and is not named as JSON."""
    if path.is_dir() or path.suffix in (".jsonl", ".json"):
        return False
    return path.suffix == ".csv" or {"id", "annotation"} <= set(first_line(path).split("|"))


def read(path: Path) -> tuple[Utterance, ...]:
    """Read a corpus file.

    Raises:
        DataError: With every row that is no utterance and why.
    """
    header, *lines = read_lines(path, "utf-8-sig")
    columns = [column.strip() for column in header.split("|")]
    _check_columns(path, columns)
    mistakes: list[Mistake] = []
    utterances: list[Utterance] = []
    ids: list[tuple[str, int]] = []
    for number, line in enumerate(lines, 2):
        if not line.strip():
            continue
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != len(columns):
            mistakes.append(Mistake(number, "", f"has {len(fields)} fields; the header has {len(columns)}: {header}"))
            continue
        row = dict(zip(columns, fields, strict=True))
        found = _utterance(path, number, row)
        ids += [(row["id"], number)] if row["id"] else []
        mistakes += [found] if isinstance(found, Mistake) else []
        utterances += [found] if isinstance(found, Utterance) else []
    return checked(path, utterances, [*mistakes, *repeated(ids, "id")])


def _check_columns(path: Path, columns: list[str]) -> None:
    """Refuse a header whose rows could not be understood."""
    mistakes = [
        Mistake(1, name, f"this column is missing; the header is {'|'.join(columns)!r}")
        for name in _COLUMNS
        if name not in columns
    ]
    if len([name for name in _SIGNERS if name in columns]) != 1:
        mistakes.append(Mistake(1, "signer", f"needs one column signer or speaker; has {'|'.join(columns)!r}"))
    twice = dict.fromkeys(name for name in columns if columns.count(name) > 1)
    mistakes += [Mistake(1, name, "this column is there twice") for name in twice]
    if mistakes:
        raise DataError(path, mistakes)


def _utterance(path: Path, number: int, row: dict[str, str]) -> Utterance | Mistake:
    if not row["id"]:
        return Mistake(number, "id", "is empty")
    text = " ".join(row["annotation"].split())
    if not text:
        return Mistake(number, "annotation", "is empty; an utterance needs glosses to be trained on or scored against")
    source = _features(path, row["id"], row["folder"])
    if isinstance(source, str):
        return Mistake(number, "folder", source)
    if wrong := unusable(source) or _wrong_glosses(source, text):
        return Mistake(number, "annotation" if wrong.startswith("differs") else "folder", wrong)
    signer = row.get("signer") or row.get("speaker") or None
    return Utterance(row["id"], text, source, "features", signer, line=number)


def _features(path: Path, name: str, folder: str) -> Path | str:
    """The feature file of an id, or what is wrong."""
    if folder.endswith(_SUFFIXES):
        return path.parent / folder
    split = path.name.split(".")[0]
    folders = [path.parent / "features" / split, path.parent / "features"]
    if folder and (path.parent / folder).is_dir():
        folders.insert(0, path.parent / folder)
    # one folder under two names is one place
    places = {os.path.normpath(place / f"{name}{suffix}"): None for place in folders for suffix in _SUFFIXES}
    found = [place for place in places if os.path.isfile(place)]
    if len(found) > 1:
        return f"has more than one feature file; keep one of {', '.join(found)}"
    return Path(found[0]) if found else f"has no feature file; looked for {', '.join(places)}"


def _wrong_glosses(source: Path, text: str) -> str:
    """How the glosses that an .npz file may hold differ from the annotation; empty if they do not."""
    if source.suffix != ".npz":
        return ""
    try:
        with open_arrays(source) as arrays:
            if "gloss" not in arrays.files:
                return ""
            stored = arrays["gloss"]
    except ValueError as error:
        return f"{source} {error}"
    if stored.dtype.kind != "U" or stored.ndim > 1:
        return f"{source} needs gloss as a list of strings; has {stored.dtype} {stored.shape}"
    glosses = [word for gloss in np.atleast_1d(stored) for word in str(gloss).split()]
    return "" if glosses == text.split() else f"differs from the glosses in {source}: {' '.join(glosses)}"
