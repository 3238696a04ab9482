"""What is done to texts before their words are compared: named, versioned, so that a record can say it.

A name holds its version: a rule that changes gets another name, and old records keep their meaning.
"""

import string
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce

from trainers.scoring.phoenix import clean_sentence, clean_words


def _unchanged(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class Normaliser:
    """Changes of references and of hypotheses.

    Attributes:
        name: Names and versions of the changes, in their order, joined by ``+``; empty for none.
        reference: Applied to references.
        hypothesis: Applied to hypotheses.
    """

    name: str = ""
    reference: Callable[[str], str] = _unchanged
    hypothesis: Callable[[str], str] = _unchanged


UNCHANGED = Normaliser()

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_WITHIN_WORDS = "'’-_"
_NOTATION = "{}/@()"  # wordings and optional words, as sclite writes them


def fold(text: str) -> str:
    """ASCII letters in lower case and no others, as sclite does unless it is called with ``-s``."""
    return text.translate(_LOWER)


def compose(text: str) -> str:
    """Characters in Unicode's composed form (NFC): two spellings of an umlaut are one word."""
    return unicodedata.normalize("NFC", text)


def without_punctuation(text: str) -> str:
    """Punctuation (Unicode's category P) left out, words that are nothing else with it.

    An apostrophe, hyphen or underscore between two letters or digits stays, and so do the signs ``{ } / @ ( )`` of
    sclite's notation. White space becomes single spaces.
    """
    kept = [character for index, character in enumerate(text) if _stays(text, index)]
    return " ".join("".join(kept).split())


def _stays(text: str, index: int) -> bool:
    character = text[index]
    if character in _NOTATION or unicodedata.category(character)[0] != "P":
        return True
    around = text[max(index - 1, 0) : index], text[index + 1 : index + 2]
    return character in _WITHIN_WORDS and all(neighbour.isalnum() for neighbour in around)


NORMALISERS = {
    normaliser.name: normaliser
    for normaliser in (
        Normaliser("fold-1", fold, fold),
        Normaliser("nfc-1", compose, compose),
        Normaliser("punctuation-1", without_punctuation, without_punctuation),
        Normaliser("phoenix2014-1", hypothesis=clean_sentence),
        Normaliser("phoenix2014_words-1", hypothesis=clean_words),
    )
}


def chained(names: Iterable[str]) -> Normaliser:
    """Several normalisers, one after the other."""
    return reduce(_then, (NORMALISERS[name] for name in names), UNCHANGED)


def _then(first: Normaliser, second: Normaliser) -> Normaliser:
    return Normaliser(
        "+".join(filter(None, (first.name, second.name))),
        lambda text: second.reference(first.reference(text)),
        lambda text: second.hypothesis(first.hypothesis(text)),
    )
