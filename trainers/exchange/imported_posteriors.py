"""Posteriors of another program as this one keeps them: a folder with one part a split, and what they are as JSON."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_spaces.errors import PosteriorsError
from trainers.artifacts import Posteriors
from trainers.data.labels import Alphabet
from trainers.emission import load_posteriors
from trainers.spec import IMPORTED_POSTERIORS
from trainers.store import Store, digest, digest_files, write_text

DESCRIPTION = "imported_posteriors.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class ImportedPosteriors:
    """What another program said of some splits.

    Attributes:
        folder: Where they lie.
        alphabet: The labels, the blank first, the others in alphabetical order.
        splits: Names of the splits.
        frame_seconds: How long a frame lasts; None where nobody knows.
        origin: How they came, as plain values.
    """

    folder: Path
    alphabet: Alphabet
    splits: tuple[str, ...]
    frame_seconds: float | None
    origin: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Key of their content, however it came."""
        parts = [self.folder / split / name for split in self.splits for name in ("log_probs.npy", "index.json")]
        about = [self.alphabet.units, self.alphabet.labels, self.splits, self.frame_seconds]
        return digest([_FORMAT, about, digest_files(parts)])

    def split(self, name: str) -> Posteriors:
        """The posteriors of a split, in the order in which they were kept, mapped into memory.

        Raises:
            PosteriorsError: They were not imported.
        """
        if name not in self.splits:
            raise PosteriorsError(
                f"{self.folder} has posteriors of {', '.join(self.splits)} and none of {name}; import them together: "
                f"orchestrator import-posteriors FOLDER --into CAMPAIGN --name NAME, with {name} in FOLDER beside "
                f"{self.splits[0]}"
            )
        return load_posteriors(self.folder / name)


def describe(
    folder: Path,
    alphabet: Alphabet,
    splits: tuple[str, ...],
    frame_seconds: float | None,
    origin: Mapping[str, Any],
) -> None:
    """Write what the posteriors in a folder are; see `ImportedPosteriors`."""
    description = {
        "format": _FORMAT,
        "alphabet": {"units": alphabet.units, "labels": list(alphabet.labels)},
        "splits": list(splits),
        "frame_seconds": frame_seconds,
        "origin": dict(origin),
    }
    write_text(folder / DESCRIPTION, json.dumps(description, indent=2, ensure_ascii=False) + "\n")


def load_imported(folder: Path) -> ImportedPosteriors:
    """Read what imported posteriors are.

    Raises:
        PosteriorsError: The folder holds none that this version can read.
    """
    path = folder / DESCRIPTION
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != _FORMAT:
            raise PosteriorsError(f"{path} has format {found['format']}; this version reads format {_FORMAT}")
        alphabet = Alphabet(found["alphabet"]["units"], tuple(found["alphabet"]["labels"]))
        return ImportedPosteriors(folder, alphabet, tuple(found["splits"]), found["frame_seconds"], found["origin"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PosteriorsError(
            f"{path} cannot be read as imported posteriors: {error}; orchestrator import-posteriors makes them"
        ) from error


def keep_imported(store: Store, imported: ImportedPosteriors) -> tuple[str, Path]:
    """A copy in the store, whatever becomes of their folder: the key of their content, and where it lies."""
    key = imported.digest

    def make(folder: Path) -> None:
        shutil.copy2(imported.folder / DESCRIPTION, folder)
        for split in imported.splits:
            shutil.copytree(imported.folder / split, folder / split)

    return key, store.entry(IMPORTED_POSTERIORS, key, make)
