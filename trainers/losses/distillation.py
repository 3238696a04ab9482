r"""Frame-level distillation: the student's posteriors are drawn to the teacher's.

.. math::

    KD = \tau^2 \sum_{bt} w_{bt} \sum_v p_t(\tau) (\log p_t(\tau) - \log p_s(\tau)) / N

with :math:`p(\tau) = softmax(z / \tau)` and N the target labels of the batch (Hinton et al. 2015). The factor
:math:`\tau^2` keeps the gradient's size when the temperature rises: on the student's logits it is
:math:`\tau (p_s(\tau) - p_t(\tau)) w / N`.
"""

from typing import Literal

import torch
from torch import Tensor

from trainers.data.labels import BLANK

Frames = Literal["all", "blank_elim"]


def select_frames(teacher: Tensor, lengths: Tensor, frames: Frames) -> Tensor:
    """Weight of every frame.

    Args:
        teacher: Teacher's log-probabilities, (batch, frames, labels).
        lengths: Valid frames of each utterance, (batch,).
        frames: ``all`` valid frames, or those whose likeliest label is not the blank (``blank_elim``): about four
            frames in five are blank, and say little.

    Returns:
        (batch, frames), 1.0 for a frame that counts.
    """
    valid = torch.arange(teacher.shape[1], device=teacher.device) < lengths[:, None]
    if frames == "blank_elim":
        valid = valid & (teacher.argmax(dim=-1) != BLANK)
    return valid.to(teacher.dtype)


def distillation_loss(student: Tensor, teacher: Tensor, weights: Tensor, temperature: float, tokens: int) -> Tensor:
    """Forward divergence from the teacher to the student, a target label.

    Args:
        student: Log-probabilities or logits, (batch, frames, labels).
        teacher: Log-probabilities, (batch, frames, labels); no gradient flows into it.
        weights: Weight of every frame, (batch, frames); 0 for padding.
        temperature: Above 1 it softens both distributions.
        tokens: Target labels of the batch, N.

    Returns:
        Scalar, in nats.
    """
    # padding may hold anything: it is left out before the softmax, whose gradient would carry NaN on even times zero
    left_out = (weights == 0)[..., None]
    log_s = torch.log_softmax(student.masked_fill(left_out, 0.0) / temperature, dim=-1)
    log_t = torch.log_softmax(teacher.detach().masked_fill(left_out, 0.0) / temperature, dim=-1)
    divergence = (log_t.exp() * (log_t - log_s)).sum(dim=-1)
    return temperature**2 * (weights * divergence).sum() / tokens
