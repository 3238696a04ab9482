"""The alphabet: what one CTC label stands for, and how text becomes labels and labels become text.

===============  =============================================================================================
``char``         every character, the space between words included
``marked_char``  every character, the first of a word ``▁A``, those inside ``B``; no space label
``word``         every word (or gloss), named ``▁WORD``
``mixed``        a whole word ``▁WORD`` if it is one letter or occurs 8 times in train; other words as in
                 ``marked_char``
===============  =============================================================================================

The mark ``▁`` at the start of a word is sentencepiece's, so that a decoder knows where words begin.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from search_spaces.axes.features import Units

BLANK = 0
WORD_START = "▁"
_FREQUENT = 8


@dataclass(frozen=True)
class Alphabet:
    """The CTC labels.

    Attributes:
        units: ``char``, ``marked_char``, ``word`` or ``mixed``.
        labels: Names in column order; the blank is the first and its name is empty.
    """

    units: Units
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {label: index for index, label in enumerate(self.labels)}

    @classmethod
    def of(cls, units: Units, transcripts: Iterable[str]) -> "Alphabet":
        """The alphabet that the transcripts of a training set ask for."""
        texts = list(transcripts)
        if units == "char":
            return cls(units, ("", *sorted({character for text in texts for character in text})))
        counts = Counter(word for text in texts for word in text.split())
        if units == "word":
            return cls(units, ("", *(WORD_START + word for word in sorted(counts))))
        frequent = {word for word, count in counts.items() if len(word) == 1 or count >= _FREQUENT}
        whole = frequent if units == "mixed" else set()
        parts = {part for word in counts if word not in whole for part in _spelled(word)}
        return cls(units, ("", *sorted({WORD_START + word for word in whole} | parts)))

    def encode(self, text: str) -> list[int] | None:
        """Labels of a transcript; None when a part of it has no label."""
        names: list[str] = []
        for word in text.split(" "):
            if self.units == "char":
                names += [" ", *word] if names else word
            elif WORD_START + word in self._index:
                names.append(WORD_START + word)
            elif self.units in ("marked_char", "mixed"):
                names += _spelled(word)
            else:
                return None
        if any(name not in self._index for name in names):
            return None
        return [self._index[name] for name in names]

    def missing(self, text: str) -> list[str]:
        """The words of a transcript that cannot be written in this alphabet."""
        return [word for word in text.split() if self.encode(word) is None]

    def text(self, labels: Iterable[int]) -> str:
        """The words that a sequence of labels spells, blanks left out, separated by single spaces."""
        joined = "".join(self.labels[label] for label in labels)
        return " ".join(joined.replace(WORD_START, " ").split())


def _spelled(word: str) -> list[str]:
    return [WORD_START + word[0], *word[1:]]


def frames_needed(labels: Sequence[int]) -> int:
    """Fewest frames that CTC can align with these labels: one each, and a blank between two that are equal."""
    return len(labels) + sum(left == right for left, right in pairwise(labels))
