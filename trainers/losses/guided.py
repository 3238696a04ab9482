r"""Guided CTC: the student is rewarded for its spikes where the teacher has its own.

.. math::

    G = - \frac{1}{N} \sum_{bt} \sum_v m_{btv} \, p_{btv}

with m the one-hot of the teacher's likeliest label, zero where that is the blank, p the student's probabilities and N
the target labels of the batch. A strategy adds it to CTC with a weight. Models that were guided by the same teacher
spike on the same frames, after which the mean of their posteriors is a sound one (Kurata & Audhkhasi 2019, Guiding CTC
posterior spike timings). On the student's logits the gradient is :math:`-p_k (\delta_{kv} - p_v) / N`, with k the
teacher's label.
"""

from torch import Tensor

from trainers.data.labels import BLANK
from trainers.model.layers import valid_mask


def guided_loss(log_probs: Tensor, teacher: Tensor, lengths: Tensor, tokens: int) -> Tensor:
    """Negative probability on the teacher's spikes, a target label.

    Args:
        log_probs: The student's, (batch, frames, labels), natural log, normalised.
        teacher: Log-probabilities, (batch, frames, labels); no gradient flows into it.
        lengths: Valid frames of each utterance, (batch,).
        tokens: Target labels of the batch, N.

    Returns:
        Scalar, a pure number: minus the spikes that are met, at most 0.
    """
    best = teacher.detach().argmax(dim=-1)
    spikes = valid_mask(lengths, teacher.shape[1]) & (best != BLANK)
    met = log_probs[spikes].gather(-1, best[spikes][:, None])
    return -met.exp().sum() / tokens
