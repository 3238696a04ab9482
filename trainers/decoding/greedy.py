"""Best-path decoding: the likeliest label of every frame, repeats merged, blanks dropped (Graves et al. 2006)."""

import numpy as np
from numpy.typing import NDArray

from trainers.data.labels import Alphabet


def best_path(log_probs: NDArray[np.float32], blank: int = 0) -> list[int]:
    """Labels of the best path.

    Args:
        log_probs: (frames, labels).
        blank: Column of the blank.
    """
    best = log_probs.argmax(axis=1)
    first = np.ones(len(best), bool)
    first[1:] = best[1:] != best[:-1]
    kept: list[int] = best[first & (best != blank)].tolist()
    return kept


def greedy_text(log_probs: NDArray[np.float32], alphabet: Alphabet) -> str:
    """The words of the best path."""
    return alphabet.text(best_path(log_probs))
