r"""Mixup for CTC: features of two utterances are mixed, and both transcripts are asked for.

.. math::

    x = \lambda x_i + (1 - \lambda) x_j, \qquad
    L = \frac{1}{N} \sum_i [\lambda_i CTC(x, y_i) + (1 - \lambda_i) CTC(x, y_j)], \qquad \lambda \sim Beta(a, a)

with N the target labels of the batch. A mixture is as long as the longer of the two, and the shorter adds zeros (the
mean of normalised features) behind its end: so nothing of either is cut off, and two targets that fit their own
utterances fit the mixture. Labels of a sequence cannot be mixed themselves, hence two losses (Zhang et al. 2018; for
speech: Medennikov et al. 2018). With a share of 0 the loss is CTC itself.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainers.losses.ctc import ctc_loss, utterance_losses
from trainers.losses.targets import take_targets
from trainers.model.layers import valid_mask


@dataclass(frozen=True, slots=True)
class Mix:
    """Who is mixed with whom.

    Attributes:
        partners: Row of each utterance's partner, (batch,), int64; its own row where it is not mixed.
        weights: The utterance's own weight lambda, (batch,), float64; 1 where it is not mixed.
    """

    partners: Tensor
    weights: Tensor


def pair_utterances(
    lengths: Tensor, share: float, concentration: float, rng: np.random.Generator, spread: float = 0.2
) -> Mix:
    """Draw the partners of a batch.

    Each utterance is mixed with the probability ``share``, with the next shorter or the next longer of the batch, which
    of them by chance. One whose neighbours are both too long or too short stays as it is, so fewer than the share may
    be mixed.

    Args:
        lengths: Frames of each utterance, (batch,).
        share: Of the utterances that are mixed, from 0 to 1; 0.15 to 0.3 is usual.
        concentration: a of Beta(a, a); a small one mixes little, 1 is uniform.
        rng: Where chance comes from; the same number of draws is taken whatever the share.
        spread: How much longer than the shorter the longer of a pair may be, as a part of the shorter.

    Returns:
        The pairs, on the device of the lengths.
    """
    frames = lengths.cpu().numpy()
    size = len(frames)
    chosen = rng.random(size) < share
    side = np.where(rng.random(size) < 0.5, -1, 1)
    weights = rng.beta(concentration, concentration, size)
    order = np.argsort(frames, kind="stable")
    rank = np.argsort(order, kind="stable")
    partners = np.arange(size)
    # the neighbour that chance prefers is looked at last, and so wins
    for step in (-side, side):
        place = rank + step
        neighbour = order[place.clip(0, size - 1)]
        shorter, longer = np.minimum(frames, frames[neighbour]), np.maximum(frames, frames[neighbour])
        alike = (place >= 0) & (place < size) & (longer <= (1 + spread) * shorter)
        partners = np.where(chosen & alike, neighbour, partners)
    partners = np.where(weights == 1, np.arange(size), partners)
    weights = np.where(partners == np.arange(size), 1.0, weights)
    return Mix(torch.from_numpy(partners).to(lengths.device), torch.from_numpy(weights).to(lengths.device))


def mix_features(features: Tensor, lengths: Tensor, mix: Mix) -> tuple[Tensor, Tensor]:
    """Mix the features of a batch, or the frames that an encoder made of them.

    Args:
        features: (batch, frames, dimensions).
        lengths: Frames of each utterance, (batch,).
        mix: The pairs.

    Returns:
        The mixtures, (batch, frames, dimensions), zero behind their end; and their frames, (batch,).
    """
    clean = features.masked_fill(~valid_mask(lengths, features.shape[1])[..., None], 0.0)
    own = mix.weights.to(features)[:, None, None]
    return own * clean + (1 - own) * clean[mix.partners], torch.maximum(lengths, lengths[mix.partners])


def mixup_loss(log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor, mix: Mix) -> Tensor:
    """CTC of both transcripts of every mixture, each with its weight, a target label.

    An infinite loss is not hidden, as with `ctc_loss`.

    Args:
        log_probs: The output for the mixtures, (batch, frames, labels), natural log, normalised.
        lengths: Valid frames of each mixture, (batch,).
        targets: Labels of all utterances one after another, before any mixing, (labels of the batch,).
        target_lengths: Labels of each utterance, (batch,).
        mix: The pairs.

    Returns:
        Scalar, in nats.
    """
    mixed = (mix.weights < 1).nonzero()[:, 0]
    if len(mixed) == 0:
        return ctc_loss(log_probs, lengths, targets, target_lengths)
    own = mix.weights.to(log_probs)
    first = utterance_losses(log_probs, lengths, targets, target_lengths)
    theirs = take_targets(targets, target_lengths, mix.partners[mixed])
    second = utterance_losses(log_probs[mixed], lengths[mixed], *theirs)
    return ((own * first).sum() + ((1 - own[mixed]) * second).sum()) / target_lengths.sum()
