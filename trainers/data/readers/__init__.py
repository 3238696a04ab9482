"""The formats a set may be given in, one file each; a file that is put here is found.

Such a file holds a line ``FORMAT`` for messages, ``recognises(path)``, which looks no further than a name and a first
line and is true for one reader alone, and ``read(path)``, which raises a `DataError` with every mistake of the set.
"""

import importlib
import sys
from functools import cache
from pathlib import Path
from typing import Protocol, cast

from search_spaces.errors import DataError, Mistake
from trainers.artifacts import Utterance
from trainers.by_name import names_in


class Reader(Protocol):
    """What a file of this package holds."""

    FORMAT: str

    def recognises(self, path: Path) -> bool:
        """Whether a file or folder that exists is meant to be of this format, its mistakes aside."""

    def read(self, path: Path) -> tuple[Utterance, ...]:
        """The utterances, in the order of the file.

        Raises:
            DataError: With every mistake, each with its line.
        """


@cache
def readers() -> tuple[Reader, ...]:
    """All readers, in the order of their names.

    Raises:
        TypeError: A file here is no reader.
    """
    found = []
    for name in names_in(sys.modules[__name__]):
        module = importlib.import_module(f"{__name__}.{name}")
        missing = [part for part in ("FORMAT", "recognises", "read") if not hasattr(module, part)]
        if missing:
            raise TypeError(f"{module.__file__} must hold {', '.join(missing)}")
        found.append(cast(Reader, module))
    return tuple(found)


def find_reader(path: Path) -> Reader:
    """The reader of a set.

    Raises:
        DataError: There is no such file or folder, or it is of no format that can be read.
    """
    if not path.exists():
        raise DataError(path, [Mistake(0, "", "cannot be read: No such file or directory")])
    for reader in readers():
        if reader.recognises(path):
            return reader
    formats = "; ".join(reader.FORMAT for reader in readers())
    raise DataError(path, [Mistake(0, "", f"is of no format that can be read: {formats}")])
