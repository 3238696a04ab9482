"""Connectionist temporal classification (Graves et al. 2006)."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from trainers.data.labels import BLANK


def ctc_loss(log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Negative log-likelihood of the targets, summed over the batch, a target label.

    An infinite loss is not hidden: whether every target fits its frames is checked when the data is loaded.

    Args:
        log_probs: (batch, frames, labels), natural log, normalised.
        lengths: Valid frames of each utterance, (batch,).
        targets: Labels of all utterances one after another, (labels of the batch,).
        target_lengths: Labels of each utterance, (batch,).

    Returns:
        Scalar, in nats.
    """
    return _ctc(log_probs, lengths, targets, target_lengths, "sum") / target_lengths.sum()


def utterance_losses(log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Negative log-likelihood of each utterance's target, not divided by anything.

    Args:
        log_probs: (batch, frames, labels), natural log, normalised.
        lengths: Valid frames of each utterance, (batch,).
        targets: Labels of all utterances one after another, (labels of the batch,).
        target_lengths: Labels of each utterance, (batch,).

    Returns:
        (batch,), in nats; infinite where a target does not fit its frames.
    """
    return _ctc(log_probs, lengths, targets, target_lengths, "none")


def ctc_device(device: torch.device) -> torch.device:
    """Where the loss of an output on a device is computed: there, unless only the same bits every time will do.

    On a GPU the gradient is summed by atomic additions, whose order is anybody's guess, and torch has no other way.
    """
    return torch.device("cpu") if torch.are_deterministic_algorithms_enabled() else device


def _ctc(
    log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor, reduction: Literal["sum", "none"]
) -> Tensor:
    """The loss in at least float32, whatever surrounds it: sums over hundreds of frames need the digits."""
    place = ctc_device(log_probs.device)
    steps = log_probs.transpose(0, 1).to(place)
    if steps.dtype in (torch.float16, torch.bfloat16):
        steps = steps.float()
    with torch.autocast(place.type, enabled=False):
        loss = functional.ctc_loss(
            # the lengths steer the program, so torch wants them on the CPU; it would fetch each itself
            steps,
            targets.to(place),
            lengths.cpu(),
            target_lengths.cpu(),
            blank=BLANK,
            reduction=reduction,
        )
    return loss.to(log_probs.device)
