"""Scorers with names: how words are aligned, what is compared, and what is done to the texts first.

A name is ``ALIGNMENT[/characters][/NORMALISER+...]``, such as ``levenshtein-1``, ``sclite-1/fold-1`` (sclite as it is
usually called) or ``levenshtein-1/characters/nfc-1``, and stands in the record of a trial.

====================  ============================================================================================
levenshtein-1         Levenshtein's distance; references are plain words
sclite-1              sclite's alignment; references may hold ``{ a / b }`` and ``@``
sclite_optional-1     sclite's alignment with its option -D: besides, words in parentheses may be missing
====================  ============================================================================================
"""

from collections.abc import Iterable
from dataclasses import dataclass

from search_spaces.errors import ScoringError
from trainers.artifacts import Score
from trainers.scoring.alignment import Step, align, align_network, count
from trainers.scoring.network import network
from trainers.scoring.normalise import UNCHANGED, Normaliser, find_normaliser
from trainers.scoring.wer import SCORER, score_words

SCLITE = "sclite-1"
OPTIONAL = "sclite_optional-1"
ALIGNMENTS = (SCORER, SCLITE, OPTIONAL)
CHARACTERS = "characters"


@dataclass(frozen=True, slots=True)
class Scorer:
    """Counts the errors of hypotheses.

    Attributes:
        alignment: One of `ALIGNMENTS`.
        characters: Whether characters are compared, white space left out, instead of words: the counts are then those
            of the character error rate.
        normaliser: What is done to the texts first.
    """

    alignment: str = SCORER
    characters: bool = False
    normaliser: Normaliser = UNCHANGED

    @property
    def name(self) -> str:
        """What a record says."""
        parts = self.alignment, CHARACTERS if self.characters else "", self.normaliser.name
        return "/".join(filter(None, parts))

    def score(self, reference: str, hypothesis: str) -> Score:
        """The errors of one utterance.

        Args:
            reference: What was said.
            hypothesis: What was recognised.

        Raises:
            ScoringError: The reference's notation of several wordings is wrong.
        """
        if self.alignment != SCORER:
            return count(self.align(reference, hypothesis))
        return score_words(
            self._units(self.normaliser.reference(reference)), self._units(self.normaliser.hypothesis(hypothesis))
        )

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
        if self.alignment == SCORER or self.characters:
            return align(self._units(said), heard)
        return align_network(network(said, optional=self.alignment == OPTIONAL), heard)

    def _units(self, text: str) -> list[str]:
        words = text.split()
        return list("".join(words)) if self.characters else words


def find_scorer(name: str) -> Scorer:
    """The scorer of a name.

    Raises:
        ScoringError: There is none of that name.
    """
    alignment, *rest = name.split("/")
    if alignment not in ALIGNMENTS:
        raise ScoringError(f"no scorer is called {alignment!r}; there are {', '.join(ALIGNMENTS)}")
    characters = rest[:1] == [CHARACTERS]
    return Scorer(alignment, characters, find_normaliser("/".join(rest[characters:])))
