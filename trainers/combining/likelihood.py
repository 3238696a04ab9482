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
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from trainers.data.labels import BLANK, frames_needed

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
        ends: For each utterance the node of each of its sequences, (sequences,).
    """

    starts: NDArray[np.int64]
    parents: NDArray[np.int64]
    labels: NDArray[np.int64]
    ends: list[NDArray[np.int64]]

    @classmethod
    def of(cls, targets: Sequence[Sequence[Sequence[int]]]) -> "_Forest":
        """Plant the trees: of each sequence, in alphabetical order, what the one before does not share is new."""
        orders = [sorted(range(len(lists)), key=[tuple(labels) for labels in lists].__getitem__) for lists in targets]
        rows: list[Sequence[int]] = []
        for lists, order in zip(targets, orders, strict=True):
            rows += [(), *(lists[index] for index in order)]
        firsts = np.cumsum([0, *(len(lists) + 1 for lists in targets)])
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        # column 0 is the empty prefix; behind its end a sequence has labels that no other has
        inside = np.arange(lengths.max(initial=0) + 1) <= lengths[:, None]
        labels = np.full(inside.shape, -1, np.int64)
        labels[:, 0] = 0
        labels[:, 1:][inside[:, 1:]] = np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum()))
        differs = np.ones_like(inside)
        differs[1:] = labels[1:] != labels[:-1]
        differs[firsts[:-1]] = True
        new = np.logical_or.accumulate(differs, axis=1) & inside
        numbers = np.zeros(new.shape, np.int64)
        numbers[new] = np.arange(new.sum())
        node = np.maximum.accumulate(numbers, axis=0)  # numbers grow from row to row
        parent = node.copy()
        parent[:, 1:] = node[:, :-1]
        ends = node[np.arange(len(rows)), lengths]
        places = [np.argsort(order) + first + 1 for order, first in zip(orders, firsts[:-1].tolist(), strict=True)]
        starts = np.append(node[firsts[:-1], 0], new.sum())
        return cls(starts, parent[new], labels[new], [ends[place] for place in places])

    def __len__(self) -> int:
        return len(self.labels)


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
        [index for index, labels in enumerate(lists) if _fits(labels, len(frames))]
        for frames, lists in zip(utterances, targets, strict=True)
    ]
    for batch in _batches(list(map(len, utterances)), [sum(map(len, lists)) for lists in targets]):
        logs = [np.asarray(utterances[index], np.float64) for index in batch]
        forest = _Forest.of([[targets[index][place] for place in fitting[index]] for index in batch])
        with np.errstate(divide="ignore"):
            totals = np.log(_forward(logs, forest, blank, _PROBABILITIES))
        for index, frames, ends in zip(batch, logs, forest.ends, strict=True):
            values = totals[ends]
            if (values < _EXACT).any():
                single = _Forest.of([[targets[index][place] for place in fitting[index]]])
                values = _forward([frames], single, blank, _LOGARITHMS)[single.ends[0]]
            found[index][fitting[index]] = values
    return found


def _fits(labels: Sequence[int], frames: int) -> bool:
    return 2 * len(labels) <= frames or frames_needed(labels) <= frames


def _batches(frames: Sequence[int], labels: Sequence[int]) -> list[list[int]]:
    """Utterances of similar lengths, the longest first."""
    batches: list[list[int]] = []
    width = 0
    for index in sorted(range(len(frames)), key=lambda index: -frames[index]):
        width += labels[index]
        if not batches or frames[batches[-1][0]] * width > _CELLS:
            batches.append([])
            width = labels[index]
        batches[-1].append(index)
    return batches


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
    alike = forest.labels == forest.labels[forest.parents]
    alike[np.isin(forest.parents, roots)] = False
    source = forest.parents + np.where(alike, nodes, 0)
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
