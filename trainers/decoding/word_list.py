"""The words that a language model knows: a decoder needs them in a list, which no library gives in all cases."""

from collections.abc import Iterator
from pathlib import Path

from search_spaces.axes.decoding import ORDERS
from search_spaces.errors import LanguageModelError
from trainers.decoding.arpa import RESERVED
from trainers.decoding.texts import read_lines, split_words


def read_word_list(path: Path) -> tuple[str, ...]:
    """The first word of every line of a file, each once, without those that language models have of their own.

    Raises:
        LanguageModelError: The file cannot be read, or has no words.
    """
    fields = (split_words(line) for line in read_lines(path))
    words = tuple(dict.fromkeys(line[0] for line in fields if line and line[0] not in RESERVED))
    if not words:
        raise LanguageModelError(f"{path} has no words; give a list with one word a line")
    return words


def words_of_arpa(path: Path) -> tuple[str, ...]:
    """The words of an ARPA file in its order, without ``<unk>``, ``<s>`` and ``</s>``.

    The back-off column may be missing; the file may be packed by gzip.

    Raises:
        LanguageModelError: It cannot be read, is no ARPA file, has no words, or has unigrams alone, which KenLM does
            not load.
    """
    lines = read_lines(path)
    words = tuple(_words(path, lines))
    if not words:
        raise LanguageModelError(f"{path} has no words")
    return words


def _words(path: Path, lines: Iterator[str]) -> Iterator[str]:
    header = next((line.strip() for line in lines if line.strip()), "")
    if header.startswith("mmap lm"):
        raise LanguageModelError(
            f"{path} is no ARPA file but one in KenLM's binary form; name it with binary: FILE and words: FILE, every "
            "word it knows, one a line"
        )
    if header != "\\data\\":
        raise LanguageModelError(f"{path} is no ARPA file: it begins with {header[:40]!r}, not with \\data\\")
    order = 0
    for line in lines:
        if line.startswith("\\"):
            break
        order += line.startswith("ngram ")
    if order not in ORDERS:
        raise LanguageModelError(
            f"{path} is of order {order}: KenLM loads language models of orders {ORDERS[0]} to {ORDERS[-1]}"
        )
    for line in lines:
        if line.startswith("\\"):
            return
        _, mark, rest = line.partition("\t")
        word = split_words(rest)[:1]
        if mark and word and word[0] not in RESERVED:
            yield word[0]
