"""What a network of another program gave for every frame, as normalised natural logarithms."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Kind = Literal["logits", "log-probs", "probs"]
KINDS: tuple[Kind, ...] = get_args(Kind)
TOLERANCE = 0.01
"""How far the probabilities of a frame may be from a sum of one; half precision comes to 0.0004 on AN4."""

_EXACT = 1e-4  # from one, within which logarithms are kept bit for bit
_SMALLEST = float(np.finfo(np.float32).tiny)  # a probability of zero has no logarithm


def sums(matrix: NDArray[np.generic], kind: Kind) -> NDArray[np.float64]:
    """Sum of the probabilities of every frame, if its values were of a kind.

    Args:
        matrix: (frames, labels), finite.
        kind: What the values are taken for.

    Returns:
        (frames,); NaN where values are no probabilities at all. Of logits, which softmax normalises, ones.
    """
    values = matrix.astype(np.float64)
    if kind == "logits":
        return np.ones(len(values))
    if kind == "probs":
        return np.where((values >= 0).all(axis=1), values.sum(axis=1), np.nan)
    with np.errstate(over="ignore"):
        return np.exp(_log_sums(values))


def fits(totals: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which frames sum to one, (frames,)."""
    good: NDArray[np.bool_] = np.abs(totals - 1) <= TOLERANCE
    return good


def as_log_probs(matrix: NDArray[np.generic], kind: Kind) -> NDArray[np.float32]:
    """Natural logarithms that sum to one in every frame; what is that already is kept bit for bit.

    A probability of zero is taken for the smallest normal float32.

    Args:
        matrix: (frames, labels), finite.
        kind: What the values are.
    """
    values = matrix.astype(np.float64)
    if kind == "probs":
        values = np.log(np.maximum(values, _SMALLEST))
    total = _log_sums(values)
    if kind == "log-probs" and (np.abs(total) <= _EXACT).all():
        return matrix.astype(np.float32)
    return (values - total[:, None]).astype(np.float32)


def _log_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the sum of the exponentials of every frame."""
    highest: NDArray[np.float64] = values.max(axis=1)
    highest += np.log(np.exp(values - highest[:, None]).sum(axis=1))
    return highest
