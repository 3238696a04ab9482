"""Masks over feature dimensions and frames (SpecAugment; Park et al. 2019)."""

import torch
from torch import Tensor

from search_spaces.axes.train import TrainSettings


def mask_features(features: Tensor, lengths: Tensor, settings: TrainSettings, blocks: int = 1) -> Tensor:
    """A copy of a batch in which random bands and stretches of every utterance are zero, the mean of the features.

    Drawn from torch's global generator.

    Args:
        features: (batch, frames, dimensions), normalised.
        lengths: Frames of each utterance, (batch,).
        settings: How many masks, and how wide at most.
        blocks: How often the bands stand side by side, stacked or as deltas; a mask takes the same band of each.
    """
    batch, frames, dimensions = features.shape
    bands = dimensions // blocks
    keep = torch.ones(batch, frames, bands, dtype=torch.bool, device=features.device)
    widest = min(settings.feature_mask_width, bands)
    for _ in range(settings.feature_masks):
        keep &= ~_stretch(torch.full((batch,), bands), torch.full((batch,), widest), bands)[:, None, :].to(keep.device)
    share = (lengths.cpu() * settings.time_mask_share).long()
    for _ in range(settings.time_masks):
        keep &= ~_stretch(lengths.cpu(), share, frames)[:, :, None].to(keep.device)
    return features * keep.repeat(1, 1, blocks)


def _stretch(lengths: Tensor, widest: Tensor, size: int) -> Tensor:
    """For each row a random stretch of 0 to ``widest`` positions below its length, (batch, size), bool."""
    width = (torch.rand(len(lengths)) * (widest + 1)).long()
    start = (torch.rand(len(lengths)) * (lengths - width + 1)).long()
    position = torch.arange(size)
    return (position >= start[:, None]) & (position < (start + width)[:, None])
