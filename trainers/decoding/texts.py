"""The texts that language models are made of and tried on: a sentence a line, UTF-8, plain or compressed by gzip."""

import gzip
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import IO, cast

from search_spaces.errors import LanguageModelError
from search_spaces.sealing import refuse_sealed
from trainers.decoding.arpa import RESERVED

STDIN = Path("-")

_WORD = re.compile(r"[^\0\t\n\r ]+")  # lmplz's separators; str.split would also split at a no-break space


def split_words(sentence: str) -> list[str]:
    """The words of a sentence, as lmplz finds them."""
    return _WORD.findall(sentence)


def read_sentences(paths: Iterable[Path]) -> Iterator[str]:
    """The lines of texts one after another; ``-`` is standard input.

    Raises:
        LanguageModelError: A text cannot be read, or a line is not UTF-8 or holds a word that language models reserve.
    """
    for path in paths:
        for number, line in enumerate(read_lines(path), 1):
            if "<" in line:
                refuse_reserved(split_words(line), f"{_name(path)}, line {number}")
            yield line


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a text without their ends; ``-`` is standard input.

    Only newlines end a line, and what follows the last one is a line unless it is empty. A mark of byte order at the
    start is no part of the first word.

    Raises:
        LanguageModelError: The text cannot be read, or a line is not UTF-8.
        SealedError: It is the test set of a campaign.
    """
    try:
        if path == STDIN:
            yield from _lines(_name(path), cast(BufferedReader, sys.stdin.buffer))
        else:
            refuse_sealed(path)
            with path.open("rb") as file:
                yield from _lines(_name(path), file)
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise LanguageModelError(f"{_name(path)} cannot be read: {why}") from error


def _name(path: Path) -> str:
    return "standard input" if path == STDIN else str(path)


def open_packed(file: BufferedReader) -> IO[bytes]:
    """A file, unpacked if its first bytes are gzip's."""
    return cast(IO[bytes], gzip.GzipFile(fileobj=file)) if file.peek(2)[:2] == b"\x1f\x8b" else file


def _lines(name: str, file: BufferedReader) -> Iterator[str]:
    for number, line in enumerate(open_packed(file), 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8").removesuffix("\n")
        except UnicodeDecodeError as error:
            raise LanguageModelError(
                f"{name}, line {number} is not UTF-8: {error.reason} at byte {error.start + 1} of the line; "
                "convert the text, or name the right file"
            ) from error


def refuse_reserved(words: Iterable[str], place: str) -> None:
    """Refuse words that a language model has of its own.

    Raises:
        LanguageModelError: One is there.
    """
    found = RESERVED.intersection(words)
    if found:
        raise LanguageModelError(
            f"{place} has {' '.join(sorted(found))}, which language models reserve: remove it; the ends of sentences "
            "are marked without being written in the text"
        )
