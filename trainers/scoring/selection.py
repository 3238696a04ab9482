r"""How much too good the best of several trials looks on the set that chose it: the winner's curse.

Configuration i has a true rate m_i on dev's population, spread over the trials with standard deviation t, and shows
y_i = m_i + e_i, where e_i is noise of standard deviation s that is its own: with another dev set it would be another.
Of a trial that shows y, the share s²/(s² + t²) of its distance from the mean is noise, and the best of K is expected
E[max_K] sqrt(s² + t²) below the mean, with E[max_K] the expected largest of K standard normal draws. So the rate it
shows is too low by

.. math:: E[\max_K] \; s^2 / \sqrt{s^2 + t^2}

which is nothing without noise (s = 0), E[max_K] s without differences (t = 0), and 0.8 points at K = 50, s = t = 0.5.

- s comes from the errors by utterance (`measurement_noise`). A dev set that is easier for all trials alike favours
  none: what counts is how the trials' distances from their mean change with the utterances. The corrected rate is that
  of the checkpoint. For the rate of the configuration, trained anew, s² takes in the variance over seeds.
- s² + t² is the variance of the rates shown, so that t need not be known.

In 1,000 simulated studies of 50 trials the best showed 0.77 points less than its true rate, and 0.03 more once
corrected (``python benchmarks/significance.py``). The derivation takes true rates as normal and trials as drawn
independently. Trials that diverged belong left out: they make t look large, and compete with nobody.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from search_spaces.errors import ScoringError


def expected_maximum(count: int) -> float:
    """The expected largest of so many independent standard normal draws."""
    grid = np.linspace(-12, 12, 24_001)
    below = ndtr(grid) ** count
    # E[X] of any X: the integral of P(X > x) over x > 0, less that of P(X < x) over x < 0
    return float(np.trapz((grid > 0) - below, grid) + 0.5 * (grid[1] - grid[0]))


def measurement_noise(errors: ArrayLike, words: ArrayLike) -> float:
    """Standard deviation s of the noise in each trial's rate, points of percent.

    Args:
        errors: Errors of each trial in each utterance, (trials, utterances).
        words: Reference words of each utterance, (utterances,).

    Raises:
        ScoringError: There are fewer than two trials or utterances, or the references hold no word.
    """
    counts, lengths = np.asarray(errors, dtype=np.float64), np.asarray(words, dtype=np.float64)
    (trials, utterances), total = counts.shape, lengths.sum()
    if min(trials, utterances) < 2 or total <= 0:
        raise ScoringError("noise is told from two trials, two utterances and a word in their references at least")
    own = counts - counts.mean(axis=0)
    residuals = own - np.outer(own.sum(axis=1) / total, lengths)
    variance = utterances / (utterances - 1) * (residuals**2).sum() / (trials - 1)
    return float(100 * math.sqrt(variance) / total)


def optimism(rates: Sequence[float], noise: float) -> float:
    """How much the lowest of the rates is too low, points of percent: to be added to it.

    Args:
        rates: Percent error of each trial on the set that chooses.
        noise: s, the standard deviation of each rate's own noise.
    """
    if len(rates) < 2 or not noise:
        return 0.0
    # a variance below that of the noise alone is chance: there is no spread of true rates to be seen
    spread = max(float(np.var(rates, ddof=1)), noise**2)
    return expected_maximum(len(rates)) * noise**2 / math.sqrt(spread)
