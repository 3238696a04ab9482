r"""The smallest difference that a set can show between two systems.

A difference of d points with standard error SE is called one at level a with probability P if

.. math:: d = (z_{1 - a/2} + z_P) \, SE

so that with the usual 5 % and 80 % it must be 2.8 standard errors (found in 78.7 % of 1,000 simulated sets:
``python benchmarks/significance.py``). Where both systems are there, the standard error comes from their errors by
utterance; where a set is still to be chosen, from a count of errors.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from search_spaces.errors import ScoringError
from trainers.artifacts import Score


def detectable_difference(error: float, level: float = 0.05, power: float = 0.8) -> float:
    """The difference that is found with a given probability, in the unit of its standard error.

    Args:
        error: Standard error of the difference.
        level: Probability of calling two equal systems different.
        power: Probability of finding the difference.
    """
    normal = NormalDist()
    return (normal.inv_cdf(1 - level / 2) + normal.inv_cdf(power)) * error


def difference_error(first: ArrayLike, second: ArrayLike, words: ArrayLike) -> float:
    """Standard error of the difference of two pooled rates, points of percent.

    A pooled rate is a ratio of two sums that are both drawn with the utterances: with D the difference of the rates, it
    is the spread of the residuals e_i - e'_i - D w_i that counts.

    Args:
        first: Errors of each utterance, (utterances,).
        second: Those of the other system, (utterances,).
        words: Reference words of each utterance, (utterances,).

    Raises:
        ScoringError: The references hold no word, or there is only one utterance.
    """
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    lengths = np.asarray(words, dtype=np.float64)
    count, total = len(lengths), lengths.sum()
    if count < 2 or total <= 0:
        raise ScoringError("a difference has no standard error without two utterances and a word in their references")
    residuals = differences - differences.sum() / total * lengths
    return float(100 * math.sqrt(count / (count - 1) * (residuals**2).sum()) / total)


def difference_error_of_counts(score: Score, correlation: float = 0.0) -> float:
    """Standard error of a difference from the errors of one system, before there is another; points of percent.

    As if every word were wrong or not for itself, as often in the other system. Errors come in bursts, which makes the
    true one larger; systems fail at the same words, which makes it smaller.

    Args:
        score: Errors of a system on the set.
        correlation: Of the two systems' errors at a word; 0 is cautious.

    Raises:
        ScoringError: The references hold no word.
    """
    rate = min(score.wer / 100, 1.0)
    return 100 * math.sqrt(2 * rate * (1 - rate) * (1 - correlation) / score.words)
