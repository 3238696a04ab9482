"""Which frames of a padded batch are an utterance's own."""

import torch
from torch import Tensor


def valid_frames(lengths: Tensor, frames: int) -> Tensor:
    """The frames before each utterance's end.

    Args:
        lengths: Valid frames of each utterance, (batch,).
        frames: Frames of the batch, padding included.

    Returns:
        (batch, frames), boolean.
    """
    return torch.arange(frames, device=lengths.device) < lengths[:, None]
