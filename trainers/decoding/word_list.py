"""The words of an ARPA file: a decoder needs them in a list, and neither pyctcdecode nor KenLM always gives it."""

import zlib
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from search_spaces.errors import LanguageModelError
from trainers.decoding.arpa import RESERVED
from trainers.decoding.texts import open_packed


def read_words(path: Path) -> tuple[str, ...]:
    """The words of an ARPA file in its order, without ``<unk>``, ``<s>`` and ``</s>``.

    The back-off column may be missing; the file may be compressed by gzip.

    Raises:
        LanguageModelError: It cannot be read, is no ARPA file, or has unigrams alone, which KenLM does not load.
    """
    try:
        with path.open("rb") as file, TextIOWrapper(open_packed(file), encoding="utf-8", newline="\n") as lines:
            return tuple(_words(path, lines))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise LanguageModelError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _words(path: Path, lines: TextIO) -> Iterator[str]:
    header = next((line for line in lines if line.strip()), "")
    if header.strip() != "\\data\\":
        raise LanguageModelError(f"{path} is no ARPA file: it begins with {header.strip()[:40]!r}, not with \\data\\")
    order = 0
    for line in lines:
        if line.startswith("\\"):
            break
        order += line.startswith("ngram ")
    if order < 2:
        raise LanguageModelError(f"{path} is of order {order}: KenLM loads language models of orders 2 to 6")
    for line in lines:
        if line.startswith("\\"):
            return
        fields = line.split("\t")
        if len(fields) < 2:
            continue
        word = fields[1].split(" ")[0].strip("\r\n")
        if word not in RESERVED:
            yield word
