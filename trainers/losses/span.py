r"""Span-level distillation: one divergence for each of the teacher's tokens.

A span s is a maximal run of frames with one and the same likeliest label of the teacher, not the blank. Over its
:math:`n_s` frames the teacher's **probabilities** are averaged, and the student's **log-probabilities**:

.. math::

    L = \frac{\tau^2}{N} \sum_s \sum_v q_{sv} (\log q_{sv} - \bar l_{sv}), \qquad
    q_s = \frac{1}{n_s} \sum_{t \in s} p^T_t(\tau), \quad \bar l_s = \frac{1}{n_s} \sum_{t \in s} \log p^S_t(\tau)

with N the target labels of the batch. Both are plain means, and the student's is not normalised again. Averaged so,
the divergence of a span is the mean over its frames of :math:`KL(q_s \| p^S_t)`: never negative, and zero only where
every frame of the student is the span's distribution. On the student's logits its gradient is
:math:`\tau (p^S_t(\tau) - q_s) / (n_s N)`, so that every frame of a span is drawn to the same target, and a long span
weighs as much as a short one. (The logarithm of the student's mean probability would be met by one sure frame in the
span, wherever it stands; a normalised mean would let the errors of frames cancel.)

The spans are those of the teacher's best path (Graves et al. 2006); the divergence is that of Hinton et al. 2015.
"""

import torch
from torch import Tensor

from trainers.data.labels import BLANK
from trainers.model.layers import valid_mask


def token_spans(teacher: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The spans of the teacher's tokens.

    Args:
        teacher: Log-probabilities, (batch, frames, labels).
        lengths: Valid frames of each utterance, (batch,).

    Returns:
        Which frames are inside a span, (batch, frames), boolean; and of these frames, one utterance after another,
        the number of their span, (frames inside,), which counts from 0 over the whole batch.
    """
    best = teacher.argmax(dim=-1).masked_fill(~valid_mask(lengths, teacher.shape[1]), BLANK)
    before = torch.cat([torch.full_like(best[:, :1], BLANK), best[:, :-1]], dim=1)
    inside = best != BLANK
    starts = (inside & (best != before))[inside]
    return inside, starts.cumsum(0) - 1


def span_loss(student: Tensor, teacher: Tensor, lengths: Tensor, tokens: int, temperature: float = 1.0) -> Tensor:
    """Forward divergence from the teacher's spans to the student, a target label.

    Args:
        student: Log-probabilities or logits, (batch, frames, labels).
        teacher: Log-probabilities, (batch, frames, labels); no gradient flows into it.
        lengths: Valid frames of each utterance, (batch,).
        tokens: Target labels of the batch, N.
        temperature: Above 1 it softens both distributions; the spans do not depend on it.

    Returns:
        Scalar, in nats; 0 where the teacher says nothing but blank.
    """
    teacher = teacher.detach()
    inside, span = token_spans(teacher, lengths)
    log_s = torch.log_softmax(student[inside] / temperature, dim=-1)
    p_t = torch.softmax(teacher[inside] / temperature, dim=-1)
    # no more spans than frames: no need to ask the device how many there are
    totals = torch.zeros_like(p_t).index_add(0, span, p_t)
    counts = torch.zeros_like(p_t[:, 0]).index_add(0, span, torch.ones_like(p_t[:, 0]))[span, None]
    q = totals[span] / counts
    divergence = torch.special.xlogy(q, q) - q * log_s
    total: Tensor = (divergence / counts).sum()
    return temperature**2 * total / tokens
