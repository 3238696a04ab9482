r"""Frame-level distillation: the student's posteriors are drawn to the teacher's.

.. math::

    KD = \tau^2 \sum_{bt} w_{bt} \sum_v p_t(\tau) (\log p_t(\tau) - \log p_s(\tau)) / N

with :math:`p(\tau) = softmax(z / \tau)` and N the target labels of the batch (Hinton et al. 2015). The factor
:math:`\tau^2` keeps the gradient's size when the temperature rises: on the student's logits it is
:math:`\tau (p_s(\tau) - p_t(\tau)) w / N`.
"""

import torch
from torch import Tensor
from torch.nn import functional

from search_spaces.axes.distillation import Frames
from trainers.data.labels import BLANK
from trainers.model.layers import valid_mask


def select_frames(teacher: Tensor, lengths: Tensor, frames: Frames, dilate: int = 1) -> Tensor:
    """Weight of every frame.

    About four frames in five are blank, and say little.

    ===================  ==========================================================================================
    ``all``              every valid frame
    ``blank_elim``       those whose likeliest label is not the blank
    ``dilate_k``         those of ``blank_elim`` and the valid frames at most ``dilate`` away from one of them
    ``nonblank_renorm``  those of ``blank_elim``; what is compared there is said at `frame_distillation_loss`
    ===================  ==========================================================================================

    Args:
        teacher: Teacher's log-probabilities, (batch, frames, labels).
        lengths: Valid frames of each utterance, (batch,).
        frames: Which frames.
        dilate: Frames on each side, k; read by ``dilate_k`` alone.

    Returns:
        (batch, frames), 1.0 for a frame that counts.
    """
    valid = valid_mask(lengths, teacher.shape[1])
    if frames == "all":
        return valid.to(teacher.dtype)
    weights = (valid & (teacher.argmax(dim=-1) != BLANK)).to(teacher.dtype)
    if frames == "dilate_k":
        widened = functional.max_pool1d(weights[:, None], 2 * dilate + 1, stride=1, padding=dilate)[:, 0]
        weights = widened * valid
    return weights


def frame_distillation_loss(
    student: Tensor,
    teacher: Tensor,
    lengths: Tensor,
    tokens: int,
    *,
    frames: Frames = "blank_elim",
    dilate: int = 1,
    temperature: float = 1.0,
) -> Tensor:
    """The divergence over a selection of frames.

    With ``nonblank_renorm`` the blank is taken out of both distributions, and what is left is normalised again: the
    student learns which label, not how sure it is that there is one.

    Args:
        student: Log-probabilities or logits, (batch, frames, labels).
        teacher: Log-probabilities, (batch, frames, labels); no gradient flows into it.
        lengths: Valid frames of each utterance, (batch,).
        tokens: Target labels of the batch, N.
        frames: Which frames, see `select_frames`.
        dilate: Frames on each side for ``dilate_k``.
        temperature: Above 1 it softens both distributions.

    Returns:
        Scalar, in nats.
    """
    weights = select_frames(teacher, lengths, frames, dilate)
    if frames == "nonblank_renorm":
        student, teacher = student[..., BLANK + 1 :], teacher[..., BLANK + 1 :]
    return distillation_loss(student, teacher, weights, temperature, tokens)


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
