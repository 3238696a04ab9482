"""Utterances spoken faster or slower, by a longer or a shorter vocal tract: features stretched along time or bands.

Rescaling time by 0.9 and 1.1 is the speed perturbation of Ko et al. 2015, on features; stretching the bands is vocal
tract length perturbation (Jaitly & Hinton 2013).
"""

import torch
from torch import Tensor


def random_factors(count: int, spread: float) -> Tensor:
    """Factors between ``1 - spread`` and ``1 + spread``, from torch's global generator, (count,)."""
    return 1 + spread * (2 * torch.rand(count) - 1)


def rescaled_lengths(lengths: Tensor, factors: Tensor) -> Tensor:
    """Frames of utterances after their time is rescaled, one at least, (batch,), int64.

    Args:
        lengths: Frames before, (batch,), int64.
        factors: Above 1 makes an utterance longer, (batch,).
    """
    return (lengths * factors.to(lengths.device)).round().long().clamp(min=1)


def rescale_time(frames: Tensor, lengths: Tensor, new_lengths: Tensor) -> Tensor:
    """Stretch every utterance to a new length, linearly between its frames; its first and last frames stay its ends.

    Args:
        frames: (batch, frames, width).
        lengths: Frames of each utterance, (batch,), int64.
        new_lengths: Frames it shall have, (batch,), int64.

    Returns:
        (batch, longest new length, width); zero behind an utterance's end.
    """
    size = int(new_lengths.max())
    numbers = torch.arange(size, device=frames.device, dtype=frames.dtype)
    ratio = (lengths - 1).to(frames.dtype) / (new_lengths - 1).clamp(min=1).to(frames.dtype)
    position = numbers * ratio[:, None]
    inside = numbers < new_lengths[:, None]
    last = (lengths - 1)[:, None]
    below = torch.minimum(position.floor().long(), last)
    above = torch.minimum(below + 1, last)
    share = (position - below)[..., None]
    mixed = _rows(frames, below) * (1 - share) + _rows(frames, above) * share
    return torch.where(inside[..., None], mixed, torch.zeros_like(mixed))


def _rows(frames: Tensor, index: Tensor) -> Tensor:
    return frames.gather(1, index[..., None].expand(-1, -1, frames.shape[2]))


def warp_bands(features: Tensor, factors: Tensor, blocks: int = 1) -> Tensor:
    """Stretch every utterance along its bands, linearly between them; what is stretched beyond the last is dropped.

    Args:
        features: (batch, frames, dimensions).
        factors: Above 1 moves energy to higher bands, (batch,).
        blocks: How often the bands stand side by side, stacked or as deltas; each is stretched alike.
    """
    batch, frames, dimensions = features.shape
    bands = dimensions // blocks
    grid = features.reshape(batch, frames * blocks, bands)
    numbers = torch.arange(bands, device=features.device, dtype=features.dtype)
    position = (numbers / factors.to(features)[:, None]).clamp(max=bands - 1)
    below = position.floor().long()
    above = (below + 1).clamp(max=bands - 1)
    share = (position - below)[:, None, :]
    mixed = _columns(grid, below) * (1 - share) + _columns(grid, above) * share
    return mixed.reshape(batch, frames, dimensions)


def _columns(grid: Tensor, index: Tensor) -> Tensor:
    return grid.gather(2, index[:, None, :].expand(-1, grid.shape[1], -1))
