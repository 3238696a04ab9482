r"""Consistency-regularised CTC (CR-CTC, Yao et al. 2024): two views of an utterance agree.

.. math::

    L = \tfrac12 (CTC_a + CTC_b) + \alpha \, CR, \qquad
    CR = \frac{1}{2N} \sum_{bt} [KL(sg(p_b) \| p_a) + KL(sg(p_a) \| p_b)]

with a and b two augmentations of the same utterances that leave the frames where they are, sg the stop-gradient, the
sum over valid frames, and N the target labels of the batch. Each view is the other's soft target, so that the gradient
on the logits of a is :math:`(p_a - p_b) / 2N`; that of b is its negative. The paper's alpha is 0.2.
"""

from torch import Tensor

from trainers.losses.ctc import ctc_loss
from trainers.model.layers import valid_mask


def consistency_loss(first: Tensor, second: Tensor, lengths: Tensor, tokens: int) -> Tensor:
    """Divergence of two views from one another, a target label.

    Args:
        first: Log-probabilities of one view, (batch, frames, labels), normalised.
        second: Those of the other, frame for frame.
        lengths: Valid frames of each utterance in either view, (batch,).
        tokens: Target labels of the batch, N.

    Returns:
        Scalar, in nats.
    """
    valid = valid_mask(lengths, first.shape[1])
    first, second = first[valid], second[valid]
    a, b = first.detach(), second.detach()
    to_first = b.exp() * (b - first)
    to_second = a.exp() * (a - second)
    return (to_first + to_second).sum() / (2 * tokens)


def consistent_ctc_loss(
    first: Tensor, second: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor, weight: float
) -> Tensor:
    """The mean CTC of two views, and their consistency with a weight.

    Args:
        first: Log-probabilities of one view, (batch, frames, labels), normalised.
        second: Those of the other, frame for frame.
        lengths: Valid frames of each utterance in either view, (batch,).
        targets: Labels of all utterances one after another, (labels of the batch,).
        target_lengths: Labels of each utterance, (batch,).
        weight: Of the consistency, alpha; with 0 and equal views the loss is CTC.

    Returns:
        Scalar, in nats.
    """
    ctc = (ctc_loss(first, lengths, targets, target_lengths) + ctc_loss(second, lengths, targets, target_lengths)) / 2
    if weight == 0:
        return ctc
    return ctc + weight * consistency_loss(first, second, lengths, int(target_lengths.sum()))
