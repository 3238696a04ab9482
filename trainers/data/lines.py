"""What the readers of all formats ask of a text file, of ids, and of the files that utterances name."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from search_spaces.errors import DataError, Mistake
from trainers.artifacts import Utterance


def read_lines(path: Path, encoding: str = "utf-8") -> list[str]:
    """The lines of a file, without their ends.

    Raises:
        DataError: The file cannot be read, or is no text.
    """
    try:
        return [line.removesuffix("\r") for line in path.read_text(encoding=encoding).split("\n")]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, [Mistake(0, "", f"cannot be read: {error}")]) from error


def first_line(path: Path) -> str:
    """The first line of a file that is not blank, for telling formats apart; empty if the file is no text."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            return next((line.strip() for line in iter(lambda: file.readline(4096), "") if line.strip()), "")
    except (OSError, UnicodeDecodeError):
        return ""


def repeated(names: Iterable[tuple[str, int]], key: str = "") -> Iterator[Mistake]:
    """A mistake for every name, given with its line, that stood on a line before."""
    first: dict[str, int] = {}
    for name, line in names:
        if first.setdefault(name, line) != line:
            yield Mistake(line, key, f"names {name} again, first on line {first[name]}")


def unusable(source: Path) -> str:
    """Why a file cannot be opened for reading; empty if it can be."""
    if not source.is_file():
        return f"no such file: {source}"
    return "" if os.access(source, os.R_OK) else f"may not be read: {source}"


def checked(path: Path, utterances: Sequence[Utterance], mistakes: Sequence[Mistake]) -> tuple[Utterance, ...]:
    """The utterances of a set without a mistake.

    Raises:
        DataError: There are mistakes, or there is no utterance.
    """
    if mistakes or not utterances:
        raise DataError(path, mistakes or [Mistake(0, "", "holds no utterance")])
    return tuple(utterances)
