"""Frames as a search may read them: checked, and without those that cannot change its result."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_TOLERANCE = 1e-2  # of a frame's total probability, in nats: half precision is within 2e-3
_LEAST = float(np.log(1e-15))  # pyctcdecode lifts what lies below


def sound_frames(log_probs: ArrayLike, labels: int, name: str = "") -> NDArray[np.float64]:
    """Log-probabilities in double precision, refused where a search would fail on them or misread them.

    Args:
        log_probs: (frames, labels), natural log, normalised; an array or a tensor.
        labels: Size of the alphabet.
        name: Id of the utterance, for messages.

    Returns:
        (frames, labels), float64, each row summing to one and no value below log 1e-15.

    Raises:
        ValueError: There is no frame, another number of labels, a value that is not finite, or a frame whose
            probabilities do not sum to one.
    """
    frames: NDArray[np.float64] = np.asarray(log_probs, np.float64)
    who = f"posteriors of {name or 'the utterance'}"
    if frames.ndim != 2 or (len(frames) and frames.shape[1] != labels):
        raise ValueError(f"{who} are of shape {frames.shape}; the alphabet needs (frames, {labels})")
    if not len(frames) or not np.isfinite(frames).all():
        raise ValueError(f"{who} are empty or hold NaN or infinity")
    totals = np.logaddexp.reduce(frames, axis=1, keepdims=True)
    worst = int(np.abs(totals).argmax())
    if abs(totals[worst, 0]) > _TOLERANCE:
        raise ValueError(
            f"{who} are no log-probabilities: those of frame {worst} sum to {np.exp(totals[worst, 0]):.4g}, not to 1"
        )
    sound: NDArray[np.float64] = np.clip(frames - totals, _LEAST, 0.0)
    return sound


@dataclass(frozen=True, slots=True)
class CollapsedFrames:
    """The frames that decide a search.

    Attributes:
        log_probs: (kept frames, labels).
        starts: Frame of the utterance at which each kept one starts, and the number of all frames; (kept + 1,).
        rest: Log-probability of the frames left out: what every hypothesis has to be given back.
    """

    log_probs: NDArray[np.float64]
    starts: NDArray[np.int64]
    rest: float

    def original(self, span: tuple[int, int]) -> tuple[int, int]:
        """A span of kept frames, end excluded, as a span of the utterance's frames."""
        return int(self.starts[span[0]]), int(self.starts[span[1]])


def collapse(log_probs: NDArray[np.float64], token_min_logp: float) -> CollapsedFrames:
    """Leave out every frame whose only candidate is the only candidate of the frame before.

    Such a frame adds the same to all hypotheses and moves none of them, since a repeated label changes no text; so
    the search is the same without it, score by score.

    Args:
        log_probs: (frames, labels), as `sound_frames` gives them.
        token_min_logp: Labels below it are no candidates, but the best one always is.
    """
    best = log_probs.argmax(axis=1)
    above = log_probs >= token_min_logp
    above[np.arange(len(best)), best] = True
    alone = above.sum(axis=1) == 1
    repeated = np.zeros(len(best), bool)
    repeated[1:] = alone[1:] & alone[:-1] & (best[1:] == best[:-1])
    starts = np.append(np.flatnonzero(~repeated), len(best)).astype(np.int64)
    rest = float(log_probs[repeated, best[repeated]].sum())
    return CollapsedFrames(log_probs[~repeated], starts, rest)
