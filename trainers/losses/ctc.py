"""Connectionist temporal classification (Graves et al. 2006)."""

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
    total = functional.ctc_loss(
        log_probs.transpose(0, 1), targets, lengths, target_lengths, blank=BLANK, reduction="sum"
    )
    return total / target_lengths.sum()


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
    return functional.ctc_loss(
        log_probs.transpose(0, 1), targets, lengths, target_lengths, blank=BLANK, reduction="none"
    )
