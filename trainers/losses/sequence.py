r"""Sequence-level distillation: CTC on the teacher's best hypotheses.

.. math::

    L = \frac{1}{N} \sum_b \sum_n w_{bn} \, CTC(y_{bn}), \qquad w_{bn} = \frac{e^{s_{bn}}}{\sum_m e^{s_{bm}}}

with y the N-best list of the teacher for an utterance, s their scores and N the target labels of the batch, the
transcripts' own. A hypothesis that does not fit the student's frames is left out before the weights are normalised; an
utterance without any that fits adds nothing. Teacher and student need no common frame rate. Kim & Rush 2016; for CTC:
Takashima et al. 2018. With the transcript as the only hypothesis of every utterance it is CTC itself.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from trainers.losses.ctc import utterance_losses
from trainers.losses.targets import frames_needed, take_targets


@dataclass(frozen=True, slots=True)
class Hypotheses:
    """The teacher's hypotheses for a batch, in any order.

    Attributes:
        utterances: Row of the batch that each one belongs to, (hypotheses,), int64.
        targets: Labels of all hypotheses one after another, (labels,), int64.
        target_lengths: Labels of each hypothesis, (hypotheses,), int64; 0 is one that says nothing.
        scores: Logarithm of each one's weight, up to a constant of its utterance, in nats, finite, (hypotheses,).
    """

    utterances: Tensor
    targets: Tensor
    target_lengths: Tensor
    scores: Tensor


class SequenceLoss(NamedTuple):
    """A loss and what it could not use.

    Attributes:
        loss: Scalar, in nats.
        left_out: Hypotheses that do not fit the frames.
        without: Utterances that are left without a hypothesis.
    """

    loss: Tensor
    left_out: int
    without: int


def sequence_loss(log_probs: Tensor, lengths: Tensor, hypotheses: Hypotheses, tokens: int) -> SequenceLoss:
    """Weighted negative log-likelihood of the teacher's hypotheses, a target label.

    Every hypothesis has a copy of its utterance's output, so memory grows with their number.

    Args:
        log_probs: The student's, (batch, frames, labels), natural log, normalised.
        lengths: Valid frames of each utterance, (batch,).
        hypotheses: The teacher's.
        tokens: Labels of the batch's own transcripts, N.

    Returns:
        The loss, and how much had to be left out.
    """
    every = hypotheses.utterances
    needed = frames_needed(hypotheses.targets, hypotheses.target_lengths)
    fitting = (needed <= lengths[every]).nonzero()[:, 0]
    owners = every[fitting]
    without = int((torch.bincount(owners, minlength=len(lengths)) == 0).sum())
    left_out = len(every) - len(fitting)
    if left_out == len(every):
        # an empty sum: zero, yet with a gradient to go back through, whatever stands in the padding
        return SequenceLoss(log_probs[..., :0].sum(), left_out, without)
    targets, target_lengths = take_targets(hypotheses.targets, hypotheses.target_lengths, fitting)
    weights = _normalise(hypotheses.scores[fitting].to(log_probs), owners, len(lengths))
    losses = utterance_losses(log_probs[owners], lengths[owners], targets, target_lengths)
    return SequenceLoss((weights * losses).sum() / tokens, left_out, without)


def _normalise(scores: Tensor, owners: Tensor, utterances: int) -> Tensor:
    """The softmax of the scores of each utterance."""
    highest = scores.new_full((utterances,), -torch.inf).scatter_reduce(0, owners, scores, "amax")
    raised = (scores - highest[owners]).exp()
    return raised / raised.new_zeros(utterances).index_add(0, owners, raised)[owners]
