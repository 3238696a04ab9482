"""Best-path decoding: the likeliest label of every frame, repeats merged, blanks dropped (Graves et al. 2006)."""

import numpy as np
from numpy.typing import NDArray

from trainers.artifacts import Hypothesis, Posteriors
from trainers.data.labels import WORD_START, Alphabet


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


def word_spans(path: NDArray[np.int64], alphabet: Alphabet, blank: int = 0) -> tuple[tuple[int, int], ...]:
    """First frame of every word on a path, and the frame behind its last; blanks at a word's ends are not in it.

    Args:
        path: The label of every frame, (frames,).
        alphabet: Names of the labels.
        blank: Column of the blank.
    """
    spans: list[tuple[int, int]] = []
    inside, before = False, blank
    for frame, label in enumerate(path.tolist()):
        name = alphabet.labels[label]
        if name == " ":
            inside = False
        elif label != blank and (label == before or (inside and not name.startswith(WORD_START))):
            spans[-1] = spans[-1][0], frame + 1
        elif label != blank:
            spans.append((frame, frame + 1))
            inside = True
        before = label
    return tuple(spans)


def greedy_set(posteriors: Posteriors, alphabet: Alphabet) -> list[Hypothesis]:
    """The best path of every utterance of a set."""
    return [
        Hypothesis(name, greedy_text(frames, alphabet), spans=word_spans(frames.argmax(axis=1), alphabet))
        for name, frames in zip(posteriors.ids, posteriors, strict=True)
    ]
