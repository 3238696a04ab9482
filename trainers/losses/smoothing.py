r"""Label smoothing for CTC: the output is drawn a little towards a fixed distribution over the labels.

.. math::

    L = (1 - \varepsilon) \, CTC + \varepsilon \frac{1}{F} \sum_{bt} KL(u \| p_{bt})

with CTC a target label, the sum over the F valid frames of the batch, and u uniform over the labels **without the
blank**, or their unigram in the training targets. (A u with the blank in it would punish blank frames, about four in
five, for being right.) The gradient of the second part on the logits is :math:`\varepsilon (p - u) / F`. With epsilon 0
the loss is CTC itself. Label smoothing: Szegedy et al. 2016; for CTC: Kim et al. 2017.
"""

import torch
from torch import Tensor

from trainers.data.labels import BLANK
from trainers.model.layers import valid_mask


def uniform_labels(labels: int) -> Tensor:
    """The uniform distribution over all labels but the blank.

    Args:
        labels: Columns of the output, the blank included.

    Returns:
        (labels,), float64.
    """
    return unigram_labels(torch.arange(labels), labels)


def unigram_labels(targets: Tensor, labels: int) -> Tensor:
    """How often each label stands in the training targets, as a distribution.

    Args:
        targets: Labels of all training targets one after another, (labels of the set,).
        labels: Columns of the output, the blank included.

    Returns:
        (labels,), float64; 0 for the blank and for labels that never occur.
    """
    counts = torch.bincount(targets, minlength=labels).double()
    counts[BLANK] = 0
    return counts / counts.sum()


def smooth(loss: Tensor, log_probs: Tensor, lengths: Tensor, epsilon: float, labels: Tensor) -> Tensor:
    """A loss, such as CTC, with label smoothing.

    Args:
        loss: Of the targets, a target label; a scalar.
        log_probs: The output it was computed from, (batch, frames, labels), natural log, normalised.
        lengths: Valid frames of each utterance, (batch,).
        epsilon: Share of the smoothing, from 0 to 1; 0.005 to 0.1 is usual. With 0 the loss is returned as it is.
        labels: The distribution u, (labels,): `uniform_labels` or `unigram_labels`.

    Returns:
        Scalar, in nats: the loss's a target label, the divergence's a frame.
    """
    if epsilon == 0:
        return loss
    u = labels.to(log_probs)
    cross = -(log_probs[valid_mask(lengths, log_probs.shape[1])].mean(dim=0) * u)[u > 0].sum()
    divergence: Tensor = torch.special.xlogy(u, u).sum() + cross
    return (1 - epsilon) * loss + epsilon * divergence
