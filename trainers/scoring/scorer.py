"""Scorers with names: how words are aligned, what is compared, and what is done to the texts first.

What a name means is said by `search_spaces.scorers`; the alignments are:

====================  ============================================================================================
levenshtein-1         Levenshtein's distance; references are plain words
sclite-1              sclite's alignment; references may hold ``{ a / b }`` and ``@``
sclite_optional-1     sclite's alignment with its option -D: besides, words in parentheses may be missing
====================  ============================================================================================
"""

from collections.abc import Iterable
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from search_spaces.scorers import ALIGNMENTS, CHARACTERS, parse_scorer
from trainers.artifacts import Score
from trainers.scoring.alignment import Step, align, align_network, count
from trainers.scoring.network import network
from trainers.scoring.normalise import UNCHANGED, Normaliser, chained
from trainers.scoring.wer import score_words

_LEVENSHTEIN, _, _OPTIONAL = ALIGNMENTS


@dataclass(frozen=True, slots=True)
class Scorer:
    """Counts the errors of hypotheses.

    Attributes:
        alignment: How words are aligned.
        characters: Whether characters are compared, white space left out, instead of words: the counts are then those
            of the character error rate.
        normaliser: What is done to the texts first.
    """

    alignment: str = _LEVENSHTEIN
    characters: bool = False
    normaliser: Normaliser = UNCHANGED

    @property
    def name(self) -> str:
        """What a record says."""
        parts = self.alignment, CHARACTERS if self.characters else "", self.normaliser.name
        return "/".join(filter(None, parts))

    @property
    def knows_wordings(self) -> bool:
        """Whether it takes ``{ a / b }`` in references for wordings, and not for words."""
        return self.alignment != _LEVENSHTEIN and not self.characters

    @property
    def rate(self) -> str:
        """What the rate of its errors is called."""
        return "CER" if self.characters else "WER"

    @property
    def units(self) -> str:
        """What it counts."""
        return "characters" if self.characters else "words"

    def score(self, reference: str, hypothesis: str) -> Score:
        """The errors of one utterance.

        Args:
            reference: What was said.
            hypothesis: What was recognised.

        Raises:
            ScoringError: The reference's notation of several wordings is wrong.
        """
        if self.alignment != _LEVENSHTEIN:
            return count(self.align(reference, hypothesis))
        return score_words(*self._compared(reference, hypothesis))

    def errors(self, reference: str, hypothesis: str) -> int:
        """How many errors one utterance has, counted faster than by kind; see `score` for arguments and errors."""
        if self.alignment != _LEVENSHTEIN:
            return self.score(reference, hypothesis).errors
        return Levenshtein.distance(*self._compared(reference, hypothesis))

    def score_set(self, references: Iterable[str], hypotheses: Iterable[str]) -> Score:
        """Pooled errors of a set: the sum of its utterances' counts.

        Raises:
            ScoringError: The notation of a reference is wrong.
            ValueError: There are more references than hypotheses or the other way round.
        """
        pairs = zip(references, hypotheses, strict=True)
        return sum((self.score(reference, hypothesis) for reference, hypothesis in pairs), Score())

    def align(self, reference: str, hypothesis: str) -> list[Step]:
        """The alignment by sclite's rules, whatever the scorer counts by; see `score` for arguments and errors."""
        said, heard = self.normaliser.reference(reference), self._units(self.normaliser.hypothesis(hypothesis))
        if not self.knows_wordings:
            return align(self._units(said), heard)
        return align_network(network(said, optional=self.alignment == _OPTIONAL), heard)

    def _compared(self, reference: str, hypothesis: str) -> tuple[list[str], list[str]]:
        return self._units(self.normaliser.reference(reference)), self._units(self.normaliser.hypothesis(hypothesis))

    def _units(self, text: str) -> list[str]:
        words = text.split()
        return list("".join(words)) if self.characters else words


PLAIN = Scorer()
"""Words compared as they are, no case folded."""


def find_scorer(name: str) -> Scorer:
    """The scorer of a name.

    Raises:
        ScoringError: There is none of that name.
    """
    alignment, characters, normalisers = parse_scorer(name)
    return Scorer(alignment, characters, chained(normalisers))
