"""Convolutions over time that never see padding, and the strided front that lowers the frame rate below an encoder."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainers.model.layers import MaskedBatchNorm, valid_mask

FRONT_WIDTH = 128
FRONT_KERNEL = 5
FRONT_STRIDES = {1: (1, 1), 2: (2, 1), 4: (2, 2)}


class NormedConv(nn.Module):
    """Convolution over time without bias, batch norm over valid frames, ReLU; zero at padding.

    Frames stay (B, T, C) in memory throughout: as a two-dimensional convolution of height 1 in channels-last layout,
    which no copy has to reorder and in which batch norm walks whole rows.

    Args:
        inputs: Width of a frame.
        outputs: Width of an output frame.
        kernel: Frames that are seen at once; odd.
        stride: Only every n-th frame is kept.
        dilation: Distance of the frames that are seen.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.dilation = dilation
        self.padding = dilation * (kernel - 1) // 2
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel))
        # nn.Conv1d's own: batch norm hides the scale from the output, but not from Adam, whose steps are relative to it
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.norm = MaskedBatchNorm(outputs)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """(B, T, inputs), zero at padding, and the mask of the output (B, T', 1) to (B, T', outputs)."""
        image = functional.conv2d(
            frames.transpose(1, 2).unsqueeze(2),
            self.weight.unsqueeze(2),
            stride=(1, self.stride),
            padding=(0, self.padding),
            dilation=(1, self.dilation),
        )
        normed: Tensor = self.norm(image.squeeze(2).transpose(1, 2), mask)
        return normed.relu_()


class ConvFront(nn.ModuleList):
    """Two convolutions below an encoder, strided so that fewer frames go on.

    Args:
        inputs: Width of a feature frame.
        subsampling: Feature frames an output frame stands for: 1, 2 or 4.

    Attributes:
        outputs: Width of an output frame.
    """

    def __init__(self, inputs: int, subsampling: int) -> None:
        super().__init__(
            NormedConv(width, FRONT_WIDTH, FRONT_KERNEL, stride=stride)
            for width, stride in zip((inputs, FRONT_WIDTH), FRONT_STRIDES[subsampling], strict=True)
        )
        self.outputs = FRONT_WIDTH
        self.subsampling = subsampling

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Output frames of utterances of these many feature frames, rounded up, so that none is lost; (B,), int64."""
        return (lengths + self.subsampling - 1) // self.subsampling

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve a padded batch.

        Args:
            features: (B, T, inputs); what stands at padding is ignored.
            lengths: Feature frames of each utterance, 1 to T, (B,), int64.

        Returns:
            Output (B, ceil(T / subsampling), outputs), zero at padding, and its mask, 1 at valid frames,
            (B, ceil(T / subsampling), 1), floating.
        """
        valid = valid_mask(lengths.to(features.device), features.shape[1])[:, :, None]
        hidden = features.masked_fill(~valid, 0)
        mask = valid.to(features.dtype)
        for conv in self:
            # a strided frame is valid where its middle input is: ceil(L / stride) of them
            mask = mask[:, :: conv.stride].contiguous()
            hidden = conv(hidden, mask)
        return hidden, mask
