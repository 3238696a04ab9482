"""Members whose frames can be averaged, in one array."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from search_spaces.errors import FusionError
from trainers.artifacts import Posteriors
from trainers.combining.members import Member, Pool, difference


def stack_frames(pool: Pool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The frames of all members side by side, their columns as those of the first.

    Args:
        pool: Members of the same labels and frames.

    Returns:
        Shares of the members, which sum to one, (members, 1, 1); log-probabilities, (members, frames, labels).

    Raises:
        FusionError: Labels or numbers of frames differ.
    """
    first, *others = pool.members
    faults = [
        fault for member in others for fault in (_other_labels(first, member), _other_frames(first, member)) if fault
    ]
    if faults:
        raise FusionError(
            [*faults, "means of posteriors need the same labels and frames; joint_rescoring, rover and mbr do not"]
        )
    weights = np.array([member.weight for member in pool.members])
    labels = first.alphabet.labels
    frames = [
        member.posteriors.log_probs[:, [member.alphabet.labels.index(label) for label in labels]]
        for member in pool.members
    ]
    return (weights / weights.sum()).reshape(-1, 1, 1), np.stack(frames).astype(np.float64)


def averaged(pool: Pool, log_probs: NDArray[np.float64]) -> Posteriors:
    """Posteriors of an ensemble, normalised; their columns are those of the first member."""
    normal = log_probs - np.logaddexp.reduce(log_probs, axis=1, keepdims=True)
    return replace(pool.members[0].posteriors, log_probs=normal.astype(np.float32))


def _other_labels(first: Member, other: Member) -> str:
    mine, theirs = set(first.alphabet.labels), set(other.alphabet.labels)
    if mine == theirs:
        return ""
    return f"{first.name} and {other.name} have other labels: {difference(first.name, mine, other.name, theirs)}"


def _other_frames(first: Member, other: Member) -> str:
    mine, theirs = (np.diff(member.posteriors.offsets) for member in (first, other))
    differing = np.flatnonzero(mine != theirs)
    if not len(differing):
        return ""
    worst = int(differing[0])
    return (
        f"{_rate(first)} and {_rate(other)} differ in their frames in {len(differing)} of {len(mine)} utterances: "
        f"{mine[worst]} and {theirs[worst]} in {first.posteriors.ids[worst]}"
    )


def _rate(member: Member) -> str:
    seconds = member.frame_seconds
    return member.name if seconds is None else f"{member.name} (a frame every {1000 * seconds:g} ms)"
