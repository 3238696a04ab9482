"""Which members of a pool count, and how much: chosen by the word errors of dev.

Weights are points, one value a member, in the order of the pool. What counts errors takes many points at once, since
some rules weigh thousands in the time of one.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Errors = Callable[[Floats], NDArray[np.int64]]
"""Word errors of points, (points, members) to (points,)."""

_PATIENCE = 2  # picks without a gain
_FACTORS = (0.0, 0.5, 0.75, 1.5, 2.0)
_ROUNDS = 4


def ranked(alone: Sequence[int]) -> list[int]:
    """Members by their errors alone, the best first; of equals the earlier."""
    return sorted(range(len(alone)), key=lambda index: (alone[index], index))


def best(order: Sequence[int], most: int) -> Floats:
    """The best members alone, with equal weights.

    Args:
        order: Members, the best first.
        most: How many.
    """
    weights = np.zeros(len(order))
    weights[list(order[:most])] = 1.0
    return weights


def given(order: Sequence[int], weights: Sequence[float]) -> Floats:
    """Weights by rank; members behind the last of them are left out."""
    found = np.zeros(len(order))
    for index, weight in zip(order, weights, strict=False):
        found[index] = weight
    return found


def forward(errors: Errors, order: Sequence[int], most: int) -> Floats:
    """Greedy forward selection with replacement (Caruana et al. 2004).

    Begins with the best member and picks the member with which the ensemble has the fewest errors, again and again. Of
    all ensembles on the way the best one counts, of equals the smallest.

    Args:
        errors: Counts them.
        order: Members, the best first.
        most: Different members at most.

    Returns:
        How often each was picked, (members,).
    """
    counts = best(order, 1)
    found, fewest, idle = counts, int(errors(counts[None])[0]), 0
    while idle < _PATIENCE and counts.sum() < 3 * most:
        full = np.count_nonzero(counts) >= most
        open_ = [index for index in order if counts[index] or not full]
        points = counts + np.eye(len(order))[open_]
        numbers = errors(points)
        counts = points[int(numbers.argmin())]
        idle += 1
        if numbers.min() < fewest:
            found, fewest, idle = counts, int(numbers.min()), 0
    return found


def tuned(errors: Errors, weights: Floats) -> Floats:
    """Weights moved one after the other as long as the errors get fewer.

    Args:
        errors: Counts them.
        weights: Where to begin, (members,).
    """
    fewest = int(errors(weights[None])[0])
    for _ in range(_ROUNDS):
        before = fewest
        for index in np.flatnonzero(weights):
            points = np.tile(weights, (len(_FACTORS), 1))
            points[:, index] *= _FACTORS
            points = points[points.sum(axis=1) > 0]
            numbers = errors(points)
            if numbers.min() < fewest:
                weights, fewest = points[int(numbers.argmin())], int(numbers.min())
        if fewest == before:
            break
    return weights
