"""Random changes of a batch's features that leave its words as they are."""

from dataclasses import replace

import torch
from torch import Tensor

from search_spaces.axes.train import TrainSettings
from trainers.data.batches import Batch
from trainers.data.masks import mask_features
from trainers.data.warp import random_factors, rescale_time, rescaled_lengths, warp_bands
from trainers.losses.targets import frames_needed
from trainers.model.network import Network


def augment(batch: Batch, network: Network, settings: TrainSettings, blocks: int) -> Batch:
    """A batch rescaled in time, warped along its bands and masked, as far as the settings ask for it.

    What is switched off draws no random number, so that it changes nothing of what is on.

    Args:
        batch: As it was read.
        network: Whose output must stay long enough for the labels.
        settings: How much of each.
        blocks: How often the bands stand side by side in a frame.
    """
    return disguise(rescale(batch, network, settings), settings, blocks)


def rescale(batch: Batch, network: Network, settings: TrainSettings) -> Batch:
    """A batch whose utterances are spoken faster or slower; frames of two results are not comparable."""
    if not settings.time_rescale:
        return batch
    new = rescaled_lengths(batch.lengths, random_factors(len(batch.lengths), settings.time_rescale))
    new = torch.where(_fits(batch, network, new), new, batch.lengths)
    features = rescale_time(batch.features, batch.lengths, new)
    return replace(batch, features=features, lengths=new, original_lengths=batch.lengths)


def disguise(batch: Batch, settings: TrainSettings, blocks: int) -> Batch:
    """A batch with warped bands and masks; every frame stays where it is."""
    features = batch.features
    if settings.band_warp:
        features = warp_bands(features, random_factors(len(batch.lengths), settings.band_warp), blocks)
    return replace(batch, features=mask_features(features, batch.lengths, settings, blocks))


def _fits(batch: Batch, network: Network, lengths: Tensor) -> Tensor:
    """Whether the labels fit what the network would make of so many frames, (batch,), bool."""
    needed = frames_needed(batch.targets, batch.target_lengths)
    return network.lengths_after(lengths) >= needed
