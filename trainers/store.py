"""A folder of artifacts, each under a key that says what it was made from.

An entry is made in a folder beside its place and then renamed, so that it is either whole or absent. While it is
made, a lock file keeps every other process from making the same; a process that dies leaves its unfinished folder,
in which the next one may go on.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from search_spaces.errors import StoreError

_REMOVED = ".removed"
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def digest(value: Any) -> str:
    """A key of 20 hexadecimal digits for plain values; equal values have equal keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def digest_files(paths: Iterable[Path]) -> str:
    """A key for the content of files, their order included."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:20]


@cache
def code_digest() -> str:
    """A key for the source of this package: artifacts of other code are not taken for those of this code."""
    root = Path(__file__).parent
    return digest_files(sorted(path for path in root.rglob("*") if path.suffix in (".py", ".c", ".h")))


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is either the old one or the new one, whenever the process or the machine dies.

    Raises:
        StoreError: The file cannot be written; the old one, if any, is untouched.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise StoreError(f"cannot write {path}: {reason(error)}") from error


def reason(error: OSError) -> str:
    """The operating system's reason, and what helps where that is known."""
    text = error.strerror or str(error)
    if error.errno == errno.ENOSPC:
        return f"{text}; free some space and run the same command again: what was finished is kept"
    return text


class Store:
    """The artifacts of all campaigns under one folder, by kind and key.

    Args:
        root: The folder; made when it is missing.

    Raises:
        StoreError: The folder cannot be made or written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make the folder {root}: {reason(error)}") from error
        if not os.access(root, os.W_OK):
            raise StoreError(f"cannot write to {root}; set ORCHESTRATOR_HOME to a folder of yours")

    def path(self, kind: str, key: str) -> Path:
        """Where an entry is, or would be."""
        return self.root / kind / key

    def has(self, kind: str, key: str) -> bool:
        """Whether an entry is there, whole."""
        return self.path(kind, key).is_dir()

    def unfinished(self, kind: str, key: str) -> Path:
        """Where an entry is being made; holds what an interrupted process left."""
        return self.root / kind / f".{key}.unfinished"

    def entry(self, kind: str, key: str, make: Callable[[Path], None], *, keep: bool = False) -> Path:
        """The folder of an entry, made now if it is not there.

        Args:
            kind: Kind of artifact: ``features``, ``checkpoints``, ``posteriors`` ...
            key: What the entry is made from, as a digest.
            make: Fills an empty folder (or, with ``keep``, the one that an interrupted attempt left).
            keep: Go on in what an interrupted attempt left, instead of starting afresh.

        Raises:
            StoreError: The entry cannot be written.
        """
        place = self.path(kind, key)
        if place.is_dir():
            return place
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self._lock(kind, key)):
                if not place.is_dir():
                    folder = self.unfinished(kind, key)
                    if not keep:
                        shutil.rmtree(folder, ignore_errors=True)
                    folder.mkdir(exist_ok=True)
                    make(folder)
                    folder.rename(place)
        except OSError as error:
            if error.errno not in _UNWRITABLE:
                raise
            raise StoreError(f"cannot write {place}: {reason(error)}") from error
        return place

    def keys(self, kind: str) -> list[str]:
        """Keys of all entries of a kind."""
        folder = self.root / kind
        return sorted(path.name for path in folder.iterdir() if path.name[0] != ".") if folder.is_dir() else []

    def size(self, kind: str, key: str) -> int:
        """Bytes of an entry's files; 0 where there is none."""
        return sum(path.stat().st_size for path in self.path(kind, key).rglob("*") if path.is_file())

    def remove(self, kind: str, key: str) -> None:
        """Delete an entry: it is renamed away first, so that it is whole or gone; one that is being made anew stays.

        Raises:
            StoreError: It cannot be deleted.
        """
        place, away = self.path(kind, key), self.root / kind / f".{key}{_REMOVED}"
        try:
            with contextlib.suppress(Timeout), FileLock(self._lock(kind, key), blocking=False):
                shutil.rmtree(away, ignore_errors=True)
                if place.is_dir():
                    place.rename(away)
                shutil.rmtree(away, ignore_errors=True)
        except OSError as error:
            raise StoreError(f"cannot delete {place}: {reason(error)}") from error

    def sweep(self, kind: str) -> None:
        """Delete what `remove` left when it was killed."""
        for folder in (self.root / kind).glob(f".*{_REMOVED}"):
            shutil.rmtree(folder, ignore_errors=True)

    def discard(self, kind: str, key: str) -> None:
        """Drop what an attempt left that nobody goes on with; where another process does, it stays."""
        folder = self.unfinished(kind, key)
        if folder.is_dir():
            # an entry that two trials share, such as a generation, may be in the other's hands by now
            with contextlib.suppress(Timeout), FileLock(self._lock(kind, key), blocking=False):
                shutil.rmtree(folder, ignore_errors=True)

    def _lock(self, kind: str, key: str) -> Path:
        return self.root / kind / f".{key}.lock"
