"""Targets of a batch, which stand one after another in a single row."""

import torch
from torch import Tensor


def take_targets(targets: Tensor, target_lengths: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The targets of some utterances, in their order; one may be taken twice.

    Args:
        targets: Labels of all utterances one after another, (labels,).
        target_lengths: Labels of each utterance, (utterances,).
        rows: Which utterances, (taken,).

    Returns:
        Labels of the utterances taken, one after another, and the labels of each, (taken,).
    """
    starts = target_lengths.cumsum(0) - target_lengths
    taken = target_lengths[rows]
    first = taken.cumsum(0) - taken
    # a label's place: that of its utterance's first label, and how far into the utterance it stands
    shift = torch.repeat_interleave(starts[rows] - first, taken)
    return targets[torch.arange(len(shift), device=targets.device) + shift], taken


def frames_needed(targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Fewest frames that CTC can align each target with: one a label, and a blank between two that are equal.

    Args:
        targets: Labels of all utterances one after another, (labels,).
        target_lengths: Labels of each utterance, (utterances,).

    Returns:
        (utterances,), int64.
    """
    utterance = torch.repeat_interleave(target_lengths)
    repeats = (targets[1:] == targets[:-1]) & (utterance[1:] == utterance[:-1])
    return target_lengths.index_add(0, utterance[1:], repeats.to(target_lengths.dtype))
