r"""Whether one system beats another on the same utterances by more than chance.

.. math::

    gain = 100 \frac{\sum_i d_i}{W}, \qquad
    SE = \frac{100}{W} \sqrt{\frac{n}{n - 1} \sum_i (d_i - \bar d)^2}, \qquad d_i = e_i - e'_i

with e and e' the word errors of the two systems in utterance i of n, and W the reference words of all: the standard
error of a sum of n paired differences that are drawn independently, in percent WER (Gillick & Cox 1989, with utterances
as segments). Errors that both make, as in a hard utterance, cancel.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

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
        ZeroDivisionError: There is no reference word.
    """
    scores = [
        (score_pair(said, one), score_pair(said, other))
        for said, one, other in zip(references, before, after, strict=True)
    ]
    words = sum(one.words for one, _ in scores)
    differences = [one.errors - other.errors for one, other in scores]
    count, total = len(differences), sum(differences)
    if count < 2:
        return Gain(100 * total / words, math.inf)
    spread = sum((difference - total / count) ** 2 for difference in differences)
    return Gain(100 * total / words, 100 * math.sqrt(count / (count - 1) * spread) / words)
