"""What a beam search reads in posteriors: the labels that it tries in every frame, in the order in which it tries them.

Values and order are pyctcdecode's, bit for bit: the same numpy calls normalise, and the same expression on sets of
integers orders the labels of a frame, which decides ties.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers.artifacts import Posteriors
from trainers.decoding.frames import collapse, sound_frames

_SMALLEST = 1e-15


@dataclass(frozen=True, slots=True)
class Candidates:
    """The labels that are tried, of all frames of a set behind one another.

    Attributes:
        frames: Utterance i owns the frames ``frames[i]`` to ``frames[i + 1]``; (utterances + 1,), int64.
        starts: Frame f has the candidates ``starts[f]`` to ``starts[f + 1]``, at least one; (frames + 1,), int64.
        labels: Columns of the posteriors; (candidates,), int32.
        log_probs: Normalised, natural log; (candidates,), float64.
        rests: What the frames left out add to every hypothesis; (utterances,), float64.
    """

    frames: NDArray[np.int64]
    starts: NDArray[np.int64]
    labels: NDArray[np.int32]
    log_probs: NDArray[np.float64]
    rests: NDArray[np.float64]


def candidates(posteriors: Posteriors, token_min_logp: float) -> Candidates:
    """The candidates of the frames that decide the search of a set.

    Args:
        posteriors: Natural log, normalised.
        token_min_logp: Labels below it are not tried, but for the best of a frame.

    Raises:
        ValueError: An utterance has no frame, a value is not finite, or a frame does not sum to one.
    """
    frames, counts, labels, values, rests = [0], [], [], [], []
    for name, log_probs in zip(posteriors.ids, posteriors, strict=True):
        kept = collapse(sound_frames(log_probs, log_probs.shape[-1], name), token_min_logp)
        rests.append(kept.rest)
        normalised = _normalise(kept.log_probs)
        tried = normalised >= token_min_logp
        tried[np.arange(len(tried)), normalised.argmax(axis=1)] = True
        rows, columns = tried.nonzero()
        sizes = np.bincount(rows, minlength=len(tried))
        for start, end in _several(sizes):
            columns[start:end] = _ordered(columns[start:end].tolist())
        frames.append(frames[-1] + len(sizes))
        counts.append(sizes)
        labels.append(columns.astype(np.int32))
        values.append(normalised[rows, columns])
    if not counts:
        empty = np.zeros(0)
        return Candidates(np.zeros(1, np.int64), np.zeros(1, np.int64), empty.astype(np.int32), empty, empty)
    starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
    every = np.concatenate(labels), np.concatenate(values), np.array(rests)
    return Candidates(np.array(frames, np.int64), starts, *every)


def _several(sizes: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Where the candidates of each frame with more than one lie."""
    ends = np.cumsum(sizes)
    several = sizes > 1
    return zip((ends - sizes)[several].tolist(), ends[several].tolist(), strict=True)


def _ordered(labels: list[int]) -> list[int]:
    """Two or more labels in the order in which pyctcdecode's set of them is iterated.

    It is ``set(above) | {best}``: the union copies the set, and may make its table larger, whichever label is best.
    """
    return list(set(labels) | {labels[0]})


def _normalise(log_probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """What pyctcdecode makes of log-probabilities, (frames, labels)."""
    shifted = log_probs - np.amax(log_probs, axis=1, keepdims=True)
    shifted -= np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    clipped: NDArray[np.float64] = np.clip(shifted, np.log(_SMALLEST), 0)
    return clipped
