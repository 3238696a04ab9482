"""The frozen values that flow through a trial, each made once and never changed.

Counts are kept, not rates: counts of utterances add up to the counts of a set, rates do not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search_spaces.errors import ScoringError


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance of a set.

    Attributes:
        id: Unique within its manifest.
        text: The reference transcript, words separated by single spaces.
        source: The audio or feature file, or the Kaldi archive.
        kind: ``audio`` or ``features``.
        speaker: Speaker or signer; None when the manifest does not say.
        duration: Seconds; None when the manifest does not say.
        line: Line of the manifest, one-based, for messages.
        offset: Byte of the archive at which the utterance's matrix starts; None for a file of its own.
    """

    id: str
    text: str
    source: Path
    kind: str
    speaker: str | None = None
    duration: float | None = None
    line: int = 0
    offset: int | None = None

    @property
    def place(self) -> str:
        """Where its recording or features lie, for messages."""
        return str(self.source) if self.offset is None else f"{self.source}:{self.offset} ({self.id})"


@dataclass(frozen=True, slots=True)
class Posteriors:
    """What a CTC network says of every frame of a set of utterances.

    Attributes:
        ids: Utterance ids, in the order of the manifest.
        log_probs: Natural-log, normalised probabilities, (frames of all utterances, labels), float32.
        offsets: Utterance i owns the rows ``offsets[i]`` to ``offsets[i + 1]``; (utterances + 1,), int64.
        labels: Label names in column order; the blank's name is the empty string.
        blank: Column of the blank.
    """

    ids: tuple[str, ...]
    log_probs: NDArray[np.float32]
    offsets: NDArray[np.int64]
    labels: tuple[str, ...]
    blank: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        """The frames of one utterance, (frames, labels)."""
        return self.log_probs[self.offsets[index] : self.offsets[index + 1]]

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return (self[index] for index in range(len(self)))

    def take(self, utterances: Sequence[int]) -> "Posteriors":
        """Some of the utterances, at least one, in the order in which they are named."""
        frames = [self[index] for index in utterances]
        offsets = np.concatenate([[0], np.cumsum([len(matrix) for matrix in frames])]).astype(np.int64)
        ids = tuple(self.ids[index] for index in utterances)
        return Posteriors(ids, np.concatenate(frames), offsets, self.labels, self.blank)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a decoder says was spoken in one utterance.

    Attributes:
        id: The utterance's id.
        text: Words separated by single spaces; empty when nothing was recognised.
        acoustic: Natural log of the CTC score; None when the decoder does not give it.
        language: Language model score in nats, weights included; None without a language model.
        spans: First frame of every word and the frame behind its last, in frames of the posteriors; empty when the
            decoder does not give them.
    """

    id: str
    text: str
    acoustic: float | None = None
    language: float | None = None
    spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """Word errors of one utterance or of a set: counts, which add up.

    Attributes:
        substitutions: Reference words recognised as another word.
        deletions: Reference words missing from the hypothesis.
        insertions: Hypothesis words that no reference word stands for.
        words: Reference words.
    """

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    words: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.words + other.words,
        )

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def wer(self) -> float:
        """Word error rate in percent.

        Raises:
            ScoringError: There is no reference word.
        """
        if not self.words:
            raise ScoringError(
                "the references hold no word: there is nothing that a word error rate could be a share of"
            )
        return 100.0 * self.errors / self.words
