"""How features change over time, beside the features themselves."""

import numpy as np
from numpy.typing import NDArray

_WINDOW = 2  # frames on each side that a slope is fitted to


def with_deltas(frames: NDArray[np.float32], order: int) -> NDArray[np.float32]:
    """Frames and their deltas side by side, as Kaldi's add-deltas and HTK's regression define them.

    d_t = sum_k k (x_{t+k} - x_{t-k}) / (2 sum_k k^2), k = 1, 2; those of the second order are the same of the first.
    The first and the last frame are repeated beyond the ends, as in Kaldi; HTK repeats the first deltas too (Young et
    al., The HTK Book, "Delta, Acceleration and Third Differential Coefficients").

    Args:
        frames: (frames, dimensions), float32.
        order: 0 adds nothing, 1 the deltas, 2 their deltas too.

    Returns:
        (frames, (1 + order) * dimensions), float32: all dimensions, then their deltas, then the deltas of those.
    """
    count = len(frames)
    reach = _WINDOW * order
    level = np.pad(frames, ((reach, reach), (0, 0)), mode="edge")
    parts = [frames]
    for beyond in range(order - 1, -1, -1):
        level = _slopes(level)
        start = _WINDOW * beyond
        parts.append(level[start : start + count])
    return np.concatenate(parts, axis=1)


def _slopes(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Slope of every frame that has all its neighbours, (frames - 2 * window, dimensions)."""
    count = len(frames) - 2 * _WINDOW
    total = np.zeros((count, frames.shape[1]), np.float32)
    for k in range(1, _WINDOW + 1):
        ahead, behind = _WINDOW + k, _WINDOW - k
        total += k * (frames[ahead : ahead + count] - frames[behind : behind + count])
    return total / np.float32(2 * sum(k * k for k in range(1, _WINDOW + 1)))
