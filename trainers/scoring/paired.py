"""Whether one system beats another on the same utterances by more than chance.

The gain is the difference of their pooled rates, and its standard error that of `trainers.scoring.power`: errors that
both make, as in a hard utterance, cancel.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from trainers.artifacts import Score
from trainers.scoring.power import difference_error
from trainers.scoring.wer import score_pair


@dataclass(frozen=True, slots=True)
class Gain:
    """How much better one system is than another.

    Attributes:
        points: Percent WER that it is lower; negative where it is worse.
        error: Standard error of that; infinite for a single utterance.
    """

    points: float
    error: float


def paired_gain(references: Iterable[str], before: Iterable[str], after: Iterable[str]) -> Gain:
    """The gain of one system over another.

    Args:
        references: What was said, an utterance each.
        before: What the one system recognised.
        after: What the other recognised, whose gain it is.

    Raises:
        ValueError: The three are not of the same length.
        ScoringError: There is no reference word.
    """
    said = list(references)
    ours, theirs = ([score_pair(*pair) for pair in zip(said, texts, strict=True)] for texts in (before, after))
    points = sum(ours, Score()).wer - sum(theirs, Score()).wer
    if len(said) < 2:
        return Gain(points, math.inf)
    first, second = ([score.errors for score in scores] for scores in (ours, theirs))
    return Gain(points, difference_error(first, second, [score.words for score in ours]))
