"""How sure a word error rate is, and a difference of two, by resampling utterances.

A resample draws as many utterances as the set has, with replacement, and its rate is pooled: errors over words of those
drawn (Bisani and Ney 2004). Two systems are compared on the same draws, so that what is hard for both cancels. Where
systems were trained with several seeds, seeds are drawn as well, each system's for themselves; where utterances of one
speaker resemble each other, whole speakers are drawn.

Utterances enter as the numbers of times they were drawn, so that a block of resamples is one matrix product: 10,000
utterances 10,000 times take 0.5 to 0.8 s on one core, in 12 MB. In 1,000 simulated sets of 130 utterances, 95 %
intervals hold a rate in 95.2 % and a difference in 95.1 %; two equal systems are called different at 5 % in 4.8 %. With
seeds the interval is cautious where utterances decide (98 to 99 %) and short where few seeds decide (90 to 93 % of
1,000 utterances, seeds that spread by 1.7 points). Of 11 speakers that differ, drawing utterances holds the rate in
78 %, drawing speakers in 88 % (``python benchmarks/significance.py``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from search_spaces.errors import ScoringError

RESAMPLES = 10_000
CELLS = 1 << 19  # of a block: resamples x utterances

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A rate or a difference of rates, and where it may lie.

    Attributes:
        points: What was measured, percent or points of percent.
        low: Lower end of the percentile interval.
        high: Upper end.
    """

    points: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference(Interval):
    """A difference of two rates on the same utterances; below zero where the first system is better.

    Attributes:
        p: Probability of a difference as large or larger, either way, if there were none: the share of resamples that
            lie as far from the difference measured as that does from zero.
    """

    p: float


def bootstrap_rate(
    errors: ArrayLike,
    words: ArrayLike,
    blocks: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The pooled error rate of a system and its interval.

    Args:
        errors: Errors of each utterance, (utterances,) or, of several seeds, (seeds, utterances).
        words: Reference words of each utterance, (utterances,).
        blocks: What each utterance is drawn together with, its speaker for one; None draws utterances.
        level: Share of resamples inside the interval.
        resamples: How many are drawn.
        seed: Of the draws.

    Raises:
        ScoringError: The references hold no word.
        ValueError: The shapes do not fit.
    """
    sample = _Sample([errors], words, blocks)
    (rates,) = sample.draw(resamples, seed)
    return Interval(sample.rates[0], *_ends(rates, level))


def bootstrap_difference(
    first: ArrayLike,
    second: ArrayLike,
    words: ArrayLike,
    blocks: Sequence[str] | None = None,
    *,
    correction: float = 0.0,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """The difference between two systems' error rates on the same utterances.

    Args:
        first: Errors of each utterance, (utterances,) or (seeds, utterances).
        second: Likewise, of the system that the first is compared with; its seeds may be more or fewer.
        words: Reference words of each utterance, (utterances,); (2, utterances) where the two systems were scored with
            other wordings of the references.
        blocks: What each utterance is drawn together with; None draws utterances.
        correction: Points that are known to be missing from the difference, and are added to all of it.
        level: Share of resamples inside the interval.
        resamples: How many are drawn.
        seed: Of the draws.

    Raises:
        ScoringError: The references hold no word.
        ValueError: The shapes do not fit.
    """
    sample = _Sample([first, second], words, blocks)
    one, other = sample.draw(resamples, seed)
    measured = sample.rates[0] - sample.rates[1]
    points = measured + correction
    far = np.abs(one - other - measured) >= abs(points) * (1 - 1e-9)
    low, high = _ends(one - other + correction, level)
    return Difference(points, low, high, p=float((1 + far.sum()) / (1 + len(far))))


def _ends(values: Floats, level: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


class _Sample:
    """Errors of systems on the utterances, or blocks of them, that are drawn."""

    def __init__(self, errors: Sequence[ArrayLike], words: ArrayLike, blocks: Sequence[str] | None) -> None:
        systems = [np.atleast_2d(np.asarray(counts, dtype=np.float64)) for counts in errors]
        self._seeds = [len(system) for system in systems]
        lengths = np.atleast_2d(np.asarray(words, dtype=np.float64))
        lengths = np.broadcast_to(lengths, (len(systems), lengths.shape[1]))
        columns = np.concatenate([*systems, lengths]).T
        if (lengths.sum(axis=1) <= 0).any():
            raise ScoringError("the references hold no word: there is no error rate to resample")
        if blocks is not None:
            _, inverse = np.unique(np.asarray(blocks), return_inverse=True)
            if len(inverse) != len(columns):
                raise ValueError(f"{len(inverse)} blocks of {len(columns)} utterances")
            sums = np.zeros((inverse.max() + 1, columns.shape[1]))
            np.add.at(sums, inverse, columns)
            columns = sums
        self._columns = columns
        means = [np.full((1, seeds), 1 / seeds) for seeds in self._seeds]
        self.rates = [float(rates[0]) for rates in self._pool(columns.sum(axis=0, keepdims=True), means)]

    def draw(self, resamples: int, seed: int) -> list[Floats]:
        """The rates of each system in every resample that holds a word for all of them."""
        rng = np.random.default_rng(seed)
        sums = _resampled_sums(self._columns, resamples, rng)
        weights = [_seed_weights(seeds, resamples, rng) for seeds in self._seeds]
        kept = (sums[:, -len(self._seeds) :] > 0).all(axis=1)
        return self._pool(sums[kept], [shares[kept] for shares in weights])

    def _pool(self, sums: Floats, weights: Sequence[Floats]) -> list[Floats]:
        ends = np.cumsum(self._seeds)
        rates: list[Floats] = [
            100 * (sums[:, end - shares.shape[1] : end] * shares).sum(axis=1) / words
            for end, shares, words in zip(ends, weights, sums[:, ends[-1] :].T, strict=True)
        ]
        return rates


def _resampled_sums(columns: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Sums of the columns over rows drawn with replacement, (resamples, columns)."""
    rows = len(columns)
    sums = np.empty((resamples, columns.shape[1]))
    block = max(1, CELLS // rows)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        drawn = rng.integers(0, rows, (size, rows))
        drawn += rows * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * rows).reshape(size, rows)
        sums[start : start + size] = times @ columns
    return sums


def _seed_weights(seeds: int, resamples: int, rng: np.random.Generator) -> Floats:
    """Weights of the seeds' rates in each resample, (resamples, seeds).

    Draws of few seeds vary too little, by 1 - 1/seeds in variance, so that their distance from equal weights is
    stretched by as much (Rao and Wu 1988).
    """
    if seeds == 1:
        return np.ones((resamples, 1))
    times = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    weights: Floats = 1 / seeds + np.sqrt(seeds / (seeds - 1)) * (times - 1) / seeds
    return weights
