"""An encoder of dilated convolutions, which leaves the all-blank plateau of CTC sooner than a recurrent one."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainers.model.layers import Dropout, MaskedBatchNorm, check_batch, check_layer, valid_mask

FRONT_WIDTH = 128
FRONT_KERNEL = 5
FRONT_STRIDES = (2, 2)
KERNEL = 3
DILATIONS = (1, 2, 4)


class ConvEncoder(nn.Module):
    """Two strided convolutions, then dilated ones with residual connections; batch norm and ReLU after each.

    Args:
        inputs: Width of a feature frame.
        layers: Convolutions after the front; dilations cycle 1, 2, 4.
        hidden: Width of those layers and of the output.
        dropout: Share of elements dropped after each of those layers, none in the front.

    Attributes:
        outputs: Width of an output frame.
        subsampling: Feature frames an output frame stands for.
    """

    def __init__(self, inputs: int, *, layers: int = 6, hidden: int = 192, dropout: float = 0.1) -> None:
        super().__init__()
        self.outputs = hidden
        self.subsampling = 4
        widths = [inputs] + [FRONT_WIDTH] * len(FRONT_STRIDES)
        self.front = nn.ModuleList(
            _NormedConv(width, FRONT_WIDTH, FRONT_KERNEL, stride=stride)
            for width, stride in zip(widths, FRONT_STRIDES, strict=False)
        )
        widths = [FRONT_WIDTH] + [hidden] * layers
        self.layers = nn.ModuleList(
            _NormedConv(widths[i], hidden, KERNEL, dilation=DILATIONS[i % len(DILATIONS)]) for i in range(layers)
        )
        self.dropout = Dropout(dropout)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Output frames of utterances of these many feature frames; each stride halves, rounded up, so none is lost.

        Args:
            lengths: Feature frames, (B,), int64.

        Returns:
            Output frames, (B,), int64.
        """
        for stride in FRONT_STRIDES:
            lengths = (lengths + stride - 1) // stride
        return lengths

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encode a padded batch.

        Args:
            features: (B, T, inputs); what stands at padding is ignored.
            lengths: Feature frames of each utterance, 1 to T, (B,), int64.

        Returns:
            Output (B, ceil(ceil(T / 2) / 2), outputs), zero at padding, and its lengths, (B,), int64.

        Raises:
            ValueError: The lengths do not fit the features.
        """
        hidden, lengths, _ = self._run(features, lengths, None)
        return hidden, lengths

    def forward_with_tap(self, features: Tensor, lengths: Tensor, layer: int) -> tuple[Tensor, Tensor, Tensor]:
        """Encode a padded batch, and give what leaves a layer on the way.

        Args:
            features: (B, T, inputs); what stands at padding is ignored.
            lengths: Feature frames of each utterance, 1 to T, (B,), int64.
            layer: Which layer, from 1, the front not counted.

        Returns:
            Output and lengths as `forward` has them, and the frames behind the layer, of the output's shape, zero at
            padding.

        Raises:
            ValueError: The lengths do not fit the features, or there is no such layer.
        """
        check_layer(layer, len(self.layers))
        return self._run(features, lengths, layer)

    def _run(self, features: Tensor, lengths: Tensor, layer: int | None) -> tuple[Tensor, Tensor, Tensor]:
        """Output, its lengths, and the frames behind a layer; without one, the output again."""
        check_batch(features, lengths)
        valid = valid_mask(lengths.to(features.device), features.shape[1])[:, :, None]
        hidden = features.masked_fill(~valid, 0)
        mask = valid.to(features.dtype)
        for conv in self.front:
            # a strided frame is valid where its middle input is: ceil(L / 2) of them
            mask = mask[:, :: conv.stride].contiguous()
            hidden = conv(hidden, mask)
        tapped = None
        for number, conv in enumerate(self.layers, 1):
            new = self.dropout(conv(hidden, mask))
            hidden = hidden + new if hidden.shape == new.shape else new
            if number == layer:
                tapped = hidden
        return hidden, self.output_lengths(lengths), hidden if tapped is None else tapped


class _NormedConv(nn.Module):
    """Convolution over time without bias, batch norm over valid frames, ReLU; zero at padding.

    Frames stay (B, T, C) in memory throughout: as a two-dimensional convolution of height 1 in channels-last layout,
    which no copy has to reorder and in which batch norm walks whole rows.
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
