"""Whether one system beats another on the same utterances by more than chance.

The gain is the difference of their pooled rates, and its standard error that of `trainers.scoring.power`: errors that
both make, as in a hard utterance, cancel.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from search_spaces.errors import ScoringError
from trainers.scoring.power import difference_error
from trainers.scoring.scorer import PLAIN, Scorer


@dataclass(frozen=True, slots=True)
class Gain:
    """How much better one system is than another.

    Attributes:
        points: Percent WER that it is lower; negative where it is worse.
        error: Standard error of that; infinite for a single utterance.
    """

    points: float
    error: float


def paired_gain(references: Iterable[str], before: Iterable[str], after: Iterable[str], scorer: Scorer = PLAIN) -> Gain:
    """The gain of one system over another.

    Args:
        references: What was said, an utterance each.
        before: What the one system recognised.
        after: What the other recognised, whose gain it is.
        scorer: Counts the errors.

    Raises:
        ValueError: The three are not of the same length.
        ScoringError: There is no reference word.
    """
    said = list(references)
    ours, theirs = ([scorer.score(*pair) for pair in zip(said, texts, strict=True)] for texts in (before, after))
    first, second = ([score.errors for score in scores] for scores in (ours, theirs))
    return gain_of_counts(first, second, [score.words for score in ours])


def gain_of_counts(before: ArrayLike, after: ArrayLike, words: ArrayLike) -> Gain:
    """The gain of one system over another, from what each got wrong.

    Args:
        before: Errors of the one system in each utterance, (utterances,).
        after: Errors of the other, whose gain it is, (utterances,).
        words: Reference words of each utterance, (utterances,).

    Raises:
        ScoringError: There is no reference word.
    """
    total = np.sum(words)
    if not total:
        raise ScoringError("the references hold no word: there is nothing that a gain could be a share of")
    points = float(100 * (np.sum(before) - np.sum(after)) / total)
    return Gain(points, difference_error(before, after, words) if np.size(words) > 1 else math.inf)
