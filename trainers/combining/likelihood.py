r"""Exact CTC log-likelihoods of many label sequences at once: the forward algorithm over a tree of their prefixes.

Hypotheses of an utterance share most of their beginnings, and the forward variables of a beginning do not depend on
what follows it (Graves et al. 2006, section 4.1). So each node of the tree has two of them, for paths that end in its
label and for paths that end in a blank behind it:

.. math::

    b_t(n) &= p_t(\text{blank})\,\bigl(b_{t-1}(n) + l_{t-1}(n)\bigr) \\
    l_t(n) &= p_t(n)\,\bigl(l_{t-1}(n) + b_{t-1}(m) + [n \ne m]\,l_{t-1}(m)\bigr)

with :math:`m` the node before :math:`n`, and nodes compared by their labels. The trees of several utterances stand side
by side in one array, the longest utterance first, so that those which have ended can be left alone.

Probabilities are added, not their logarithms: that needs neither exponentials nor scaling. What underflows in a node
at a frame is below 2^-1022, and all that can follow a path has a probability of at most one, so a likelihood far above
that is exact. One that is not is computed again with logarithms.

The sums are made in C where ``native/forward.c`` is built, and elsewhere by NumPy, equal to the last bit.
"""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, pairwise
from pathlib import Path
from typing import cast

import numpy as np
from numpy.ctypeslib import ndpointer
from numpy.typing import NDArray

from trainers.data.labels import BLANK, frames_needed
from trainers.decoding.library import NotCovered, open_library

_CELLS = 2**20  # of a batch's emissions at most: 8 MiB
_EXACT = -600.0  # nats: 10^9 underflows of 2^-1022 are less than 1e-38 of such a likelihood


@dataclass(frozen=True, slots=True)
class _Semiring:
    """How alternatives are added and steps are multiplied, and what a log-probability is there."""

    of_log: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    plus: np.ufunc
    times: np.ufunc
    zero: float
    one: float


_PROBABILITIES = _Semiring(np.exp, np.add, np.multiply, 0.0, 1.0)
_LOGARITHMS = _Semiring(np.asarray, np.logaddexp, np.add, -np.inf, 0.0)


@dataclass(frozen=True, slots=True)
class _Forest:
    """For each of several utterances the tree of the prefixes of its label sequences.

    Attributes:
        starts: The first node of each tree, the empty prefix, and the number of all nodes; (utterances + 1,).
        parents: The node before each, (nodes,); that of an empty prefix is itself.
        labels: The last label of each, (nodes,); that of an empty prefix means nothing.
        alike: Whether a node's label is that of the node before, (nodes,).
        ends: For each utterance the node of each of its sequences, (sequences,).
    """

    starts: NDArray[np.int64]
    parents: NDArray[np.int64]
    labels: NDArray[np.int64]
    alike: NDArray[np.bool_]
    ends: list[NDArray[np.int64]]

    @classmethod
    def of(cls, targets: Sequence[Sequence[Sequence[int]]]) -> "_Forest":
        """Plant the trees: of each sequence, in alphabetical order, what the one before does not share is new."""
        orders = [_alphabetical(lists) for lists in targets]
        rows: list[Sequence[int]] = []
        for lists, order in zip(targets, orders, strict=True):
            rows += [(), *(lists[index] for index in order)]
        firsts = np.cumsum([0, *(len(lists) + 1 for lists in targets)])
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        # column 0 is the empty prefix; behind its end a sequence has labels that no other has
        inside = np.arange(lengths.max(initial=0) + 1) <= lengths[:, None]
        labels = np.full(inside.shape, -1, np.int32)
        labels[:, 0] = 0
        labels[:, 1:][inside[:, 1:]] = np.fromiter(chain.from_iterable(rows), np.int32, int(lengths.sum()))
        differs = np.ones_like(inside)
        differs[1:] = labels[1:] != labels[:-1]
        differs[firsts[:-1]] = True
        new = np.logical_or.accumulate(differs, axis=1) & inside
        numbers = np.zeros(new.shape, np.int32)
        numbers[new] = np.arange(new.sum())
        node = np.maximum.accumulate(numbers, axis=0)  # numbers grow from row to row
        parent = node.copy()
        parent[:, 1:] = node[:, :-1]
        ends = node[np.arange(len(rows)), lengths]
        places = [np.argsort(order) + first + 1 for order, first in zip(orders, firsts[:-1].tolist(), strict=True)]
        starts = np.append(node[firsts[:-1], 0], new.sum()).astype(np.int64)
        parents, lasts = parent[new].astype(np.int64), labels[new].astype(np.int64)
        alike = (lasts == lasts[parents]) & ~np.isin(parents, starts)
        return cls(starts, parents, lasts, alike, [ends[place] for place in places])

    def __len__(self) -> int:
        return len(self.labels)


def _alphabetical(sequences: Sequence[Sequence[int]]) -> list[int]:
    ordered = list(map(tuple, sequences))
    return sorted(range(len(ordered)), key=lambda index: ordered[index])


def log_likelihoods(
    utterances: Sequence[NDArray[np.float32]], targets: Sequence[Sequence[Sequence[int]]], blank: int = BLANK
) -> list[NDArray[np.float64]]:
    """Log-probability of label sequences, summed over all their alignments.

    Args:
        utterances: Natural log, finite, (frames, labels) each, one frame at least.
        targets: For each utterance any number of label sequences without blanks; an empty one is silence.
        blank: Column of the blank.

    Returns:
        For each utterance an array of as many values, in nats; minus infinity for a sequence that needs more frames
        than there are.
    """
    found = [np.full(len(lists), -np.inf) for lists in targets]
    fitting = [
        # twice as many frames as labels are always enough
        [place for place, labels in enumerate(lists) if 2 * len(labels) <= count or frames_needed(labels) <= count]
        for count, lists in zip(map(len, utterances), targets, strict=True)
    ]
    asked = [index for index, places in enumerate(fitting) if places]
    for batch in _batches(asked, list(map(len, utterances)), [sum(map(len, lists)) for lists in targets]):
        logs = [np.asarray(utterances[index], np.float64) for index in batch]
        lists = [[targets[index][place] for place in fitting[index]] for index in batch]
        forest = _Forest.of(lists)
        with np.errstate(divide="ignore"):
            totals = np.log(_probabilities(logs, forest, blank))
        for index, frames, sequences, ends in zip(batch, logs, lists, forest.ends, strict=True):
            values = totals[ends]
            if values.min() < _EXACT:
                single = _Forest.of([sequences])
                values = _forward([frames], single, blank, _LOGARITHMS)[single.ends[0]]
            found[index][fitting[index]] = values
    return found


def _batches(asked: Sequence[int], frames: Sequence[int], labels: Sequence[int]) -> list[list[int]]:
    """Utterances of similar lengths, the longest first; of those that are asked for."""
    batches: list[list[int]] = []
    width = 0
    for index in sorted(asked, key=lambda index: -frames[index]):
        width += labels[index]
        if not batches or frames[batches[-1][0]] * width > _CELLS:
            batches.append([])
            width = labels[index]
        batches[-1].append(index)
    return batches


@cache
def _compiled() -> Callable[..., None] | None:
    """The forward algorithm in C; None where it is not built."""
    try:
        found = open_library(Path(__file__).parent, "_forward", "the forward algorithm").ctc_forward
    except NotCovered:
        return None
    count, integers, floats = (ctypes.c_int64, *(ndpointer(kind, 1, flags="C") for kind in (np.int64, np.float64)))
    table, flags = ndpointer(np.float64, 2, flags="C"), ndpointer(np.bool_, 1, flags="C")
    found.restype = None
    found.argtypes = [count, integers, integers, count, table, count, integers, integers, flags, floats, floats]
    return cast(Callable[..., None], found)


def _probabilities(utterances: Sequence[NDArray[np.float64]], forest: _Forest, blank: int) -> NDArray[np.float64]:
    """What `_forward` gives for probabilities; by the same sums in C where that is built."""
    compiled = _compiled()
    if compiled is None:
        return _forward(utterances, forest, blank, _PROBABILITIES)
    frames = np.exp(np.concatenate(utterances))
    offsets = np.cumsum([0, *map(len, utterances)])
    in_blank, in_label = np.zeros(len(forest)), np.zeros(len(forest))
    nodes = forest.parents, forest.labels, forest.alike, in_blank, in_label
    compiled(len(utterances), offsets, forest.starts, frames.shape[1], frames, blank, *nodes)
    totals: NDArray[np.float64] = in_blank + in_label
    return totals


def _forward(
    utterances: Sequence[NDArray[np.float64]], forest: _Forest, blank: int, ring: _Semiring
) -> NDArray[np.float64]:
    """The total of all paths that spell a node's prefix in all frames of its utterance, (nodes,)."""
    nodes, longest = len(forest), len(utterances[0])
    of_labels = np.empty((longest, nodes))
    of_blanks = np.empty((longest, nodes))
    running = np.zeros(longest, np.int64)  # nodes of the utterances that are so long
    for (start, end), frames in zip(pairwise(forest.starts.tolist()), utterances, strict=True):
        emissions = ring.of_log(frames)
        np.take(emissions, forest.labels[start:end], axis=1, out=of_labels[: len(frames), start:end], mode="clip")
        of_blanks[: len(frames), start:end] = emissions[:, [blank]]
        running[: len(frames)] = end
    roots = forest.starts[:-1]
    of_labels[:, roots] = ring.zero
    # a label is reached from both states of another one, but from the blank alone behind its like
    source = forest.parents + np.where(forest.alike, nodes, 0)
    states = np.full(2 * nodes, ring.zero)
    either, in_blank = states[:nodes], states[nodes:]
    in_label, arriving = np.full(nodes, ring.zero), np.empty(nodes)
    in_blank[roots] = ring.one
    for frame, count in enumerate(running.tolist()):
        alive = slice(0, count)
        ring.plus(in_blank[alive], in_label[alive], out=either[alive])
        np.take(states, source[alive], out=arriving[alive], mode="clip")
        ring.times(either[alive], of_blanks[frame, alive], out=in_blank[alive])
        ring.plus(in_label[alive], arriving[alive], out=in_label[alive])
        ring.times(in_label[alive], of_labels[frame, alive], out=in_label[alive])
    totals: NDArray[np.float64] = ring.plus(in_blank, in_label)
    return totals
