"""The systems that a rule combines, checked and brought into one order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from search_spaces.errors import FusionError, some
from trainers.artifacts import Hypothesis, Posteriors
from trainers.data.labels import Alphabet

_TOLERANCE = 1e-2  # of a frame's total probability: half precision is within 2e-3


@dataclass(frozen=True, slots=True)
class Member:
    """One trained system.

    Attributes:
        name: Says which it is: one name stands for one network over one set.
        posteriors: What its network says of the set.
        alphabet: What the network writes.
        weight: How much it counts; 0 is as if it were not there.
        frame_seconds: How long a frame of its posteriors lasts; None where that is not known.
        hypotheses: What its decoder found for every utterance, by id and the best first; empty where no rule asks.
    """

    name: str
    posteriors: Posteriors
    alphabet: Alphabet
    weight: float = 1.0
    frame_seconds: float | None = None
    hypotheses: Mapping[str, Sequence[Hypothesis]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pool:
    """Members that fit together, which no rule need check again.

    Attributes:
        ids: Utterance ids.
        members: Those of positive weight, by name, so that no rule can depend on the order they are given in. Rows of
            posteriors are in the order of `ids`, columns in that of the alphabets.
    """

    ids: tuple[str, ...]
    members: tuple[Member, ...]

    @classmethod
    def of(cls, members: Sequence[Member], ids: Sequence[str] = ()) -> "Pool":
        """Check members and bring them into one order.

        Args:
            members: In any order.
            ids: The utterances in the order that results shall have; that of the first member when left empty.

        Raises:
            FusionError: No member counts, or two have one name; a weight is negative; utterances are missing somewhere;
                labels are not those of the alphabet; a frame holds NaN or does not sum to one. All of it is named.
        """
        names = [member.name for member in members]
        faults = [f"{name} is there twice" for name in sorted({name for name in names if names.count(name) > 1})]
        faults += [
            f"{member.name} has the weight {member.weight}; it should be a number from 0 on"
            for member in members
            if not 0 <= member.weight < float("inf")
        ]
        counting = sorted((member for member in members if member.weight > 0), key=lambda member: member.name)
        if not counting and not faults:
            faults.append("no member has a positive weight" if members else "there are no members")
        wanted = tuple(ids) or (members[0].posteriors.ids if members else ())
        faults += _missing(counting, wanted)
        for member in counting:
            faults += _foreign_labels(member) or _unsound(member)
        if faults:
            raise FusionError(faults)
        return cls(wanted, tuple(_in_order(member, wanted) for member in counting))

    def lists(self, member: Member, count: int) -> list[list[Hypothesis]]:
        """A member's hypotheses of every utterance, the best first.

        Args:
            member: One of the pool.
            count: At most so many an utterance.

        Raises:
            FusionError: There is none for an utterance.
        """
        without = [name for name in self.ids if not member.hypotheses.get(name)]
        if without:
            raise FusionError([f"{member.name} has no hypothesis of {some(without)}"])
        return [list(member.hypotheses[name][:count]) for name in self.ids]


def _missing(members: Sequence[Member], ids: Sequence[str]) -> list[str]:
    """Which utterances are not everywhere."""
    everything = dict.fromkeys([*ids, *(name for member in members for name in member.posteriors.ids)])
    faults = []
    if len(everything) > len(ids):
        asked = set(ids)
        faults.append(f"the set that is asked for lacks {some([name for name in everything if name not in asked])}")
    for member in members:
        there = set(member.posteriors.ids)
        lacking = [name for name in everything if name not in there]
        if lacking:
            faults.append(f"{member.name} lacks {some(lacking)}")
    return faults


def _foreign_labels(member: Member) -> list[str]:
    """How the labels of posteriors differ from the alphabet's, their order aside."""
    columns, labels = set(member.posteriors.labels), set(member.alphabet.labels)
    if columns == labels and len(member.posteriors.labels) == len(member.alphabet):
        return []
    return [f"the posteriors of {member.name} are not of its alphabet: {difference('they', columns, 'it', labels)}"]


def difference(one: str, labels: set[str], other: str, others: set[str]) -> str:
    """How two sets of labels differ, in words.

    Args:
        one: What the first is called.
        labels: The first.
        other: What the second is called.
        others: The second.
    """
    parts = [
        f"{name} alone: {some(sorted(map(repr, extra)))}"
        for name, extra in ((one, labels - others), (other, others - labels))
        if extra
    ]
    return "; ".join(parts) or "a label is there twice"


def _unsound(member: Member) -> list[str]:
    """The first utterances whose frames are no distributions."""
    posteriors = member.posteriors
    if posteriors.log_probs.shape != (int(posteriors.offsets[-1]), len(posteriors.labels)):
        return [
            f"{member.name} has posteriors of shape {posteriors.log_probs.shape}, where its {len(posteriors)} "
            f"utterances have {int(posteriors.offsets[-1])} frames of {len(posteriors.labels)} labels"
        ]
    finite = np.isfinite(posteriors.log_probs).all(axis=1)
    with np.errstate(over="ignore"):
        sums = np.exp(np.asarray(posteriors.log_probs, np.float64)).sum(axis=1)
    right = finite & (np.abs(sums - 1) <= _TOLERANCE)
    owners = np.repeat(np.arange(len(posteriors)), np.diff(posteriors.offsets))
    wrong = np.unique(owners[~right])
    empty = np.flatnonzero(np.diff(posteriors.offsets) == 0)
    faults = []
    if len(empty):
        faults.append(f"{member.name} has no frame of {some([posteriors.ids[index] for index in empty])}")
    elif len(wrong):
        start, end = posteriors.offsets[wrong[0]], posteriors.offsets[wrong[0] + 1]
        frame = int(np.flatnonzero(~right[start:end])[0])
        what = f"sums to {sums[start + frame]:.4g}, not to 1" if finite[start + frame] else "holds no numbers"
        faults.append(
            f"{member.name} has {len(wrong)} utterances whose frames are no log-probabilities: "
            f"frame {frame} of {posteriors.ids[wrong[0]]} {what}"
        )
    return faults


def _in_order(member: Member, ids: tuple[str, ...]) -> Member:
    """A member with its utterances in the order of `ids` and its columns in that of its alphabet."""
    posteriors = member.posteriors
    if posteriors.labels != member.alphabet.labels:
        columns = [posteriors.labels.index(label) for label in member.alphabet.labels]
        posteriors = replace(
            posteriors, log_probs=posteriors.log_probs[:, columns], labels=member.alphabet.labels, blank=0
        )
    if posteriors.ids != ids:
        places = {name: index for index, name in enumerate(posteriors.ids)}
        posteriors = posteriors.take([places[name] for name in ids])
    return member if posteriors is member.posteriors else replace(member, posteriors=posteriors)
