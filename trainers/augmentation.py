"""Random changes of a batch's features that leave its words as they are."""

from dataclasses import replace

import torch
from torch import Tensor

from search_spaces.axes.train import TrainSettings
from trainers.data.batches import Batch
from trainers.data.masks import mask_features
from trainers.data.warp import random_factors, rescale_time, rescaled_lengths, warp_bands
from trainers.model.network import Network


def augment(batch: Batch, network: Network, settings: TrainSettings, stack: int) -> Batch:
    """A batch rescaled in time, warped along its bands and masked, as far as the settings ask for it.

    What is switched off draws no random number, so that it changes nothing of what is on.

    Args:
        batch: As it was read.
        network: Whose output must stay long enough for the labels.
        settings: How much of each.
        stack: Frames stacked in one.
    """
    features, lengths, original = batch.features, batch.lengths, None
    if settings.time_rescale:
        new = rescaled_lengths(lengths, random_factors(len(lengths), settings.time_rescale))
        new = torch.where(_fits(batch, network, new), new, lengths)
        features, lengths, original = rescale_time(features, lengths, new), new, lengths
    if settings.band_warp:
        features = warp_bands(features, random_factors(len(lengths), settings.band_warp), stack)
    features = mask_features(features, lengths, settings, stack)
    return replace(batch, features=features, lengths=lengths, original_lengths=original)


def _fits(batch: Batch, network: Network, lengths: Tensor) -> Tensor:
    """Whether the labels fit what the network would make of so many frames, (batch,), bool."""
    owner = torch.repeat_interleave(torch.arange(len(lengths)), batch.target_lengths)
    repeats = (batch.targets[1:] == batch.targets[:-1]) & (owner[1:] == owner[:-1])
    needed = batch.target_lengths + torch.bincount(owner[1:][repeats], minlength=len(lengths))
    return network.encoder.output_lengths(lengths) >= needed
