"""An encoder of dilated convolutions, which leaves the all-blank plateau of CTC sooner than a recurrent one."""

from torch import Tensor, nn

from trainers.model.convolutions import ConvFront, NormedConv
from trainers.model.layers import Dropout, check_batch, check_layer

KERNEL = 3
DILATIONS = (1, 2, 4)


class ConvEncoder(nn.Module):
    """Two strided convolutions, then dilated ones with residual connections; batch norm and ReLU after each.

    Args:
        inputs: Width of a feature frame.
        layers: Convolutions after the front; dilations cycle 1, 2, 4.
        hidden: Width of those layers and of the output.
        dropout: Share of elements dropped after each of those layers, none in the front.
        subsampling: Feature frames an output frame stands for: 1, 2 or 4.

    Attributes:
        outputs: Width of an output frame.
        subsampling: As it was given.
    """

    def __init__(
        self, inputs: int, *, layers: int = 6, hidden: int = 192, dropout: float = 0.1, subsampling: int = 4
    ) -> None:
        super().__init__()
        self.outputs = hidden
        self.subsampling = subsampling
        self.front = ConvFront(inputs, subsampling)
        widths = [self.front.outputs] + [hidden] * layers
        self.layers = nn.ModuleList(
            NormedConv(widths[i], hidden, KERNEL, dilation=DILATIONS[i % len(DILATIONS)]) for i in range(layers)
        )
        self.dropout = Dropout(dropout)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Output frames of utterances of these many feature frames, rounded up, so that none is lost.

        Args:
            lengths: Feature frames, (B,), int64.

        Returns:
            Output frames, (B,), int64.
        """
        return self.front.output_lengths(lengths)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encode a padded batch.

        Args:
            features: (B, T, inputs); what stands at padding is ignored.
            lengths: Feature frames of each utterance, 1 to T, (B,), int64.

        Returns:
            Output (B, ceil(T / subsampling), outputs), zero at padding, and its lengths, (B,), int64.

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
        hidden, mask = self.front(features, lengths)
        tapped = None
        for number, conv in enumerate(self.layers, 1):
            new = self.dropout(conv(hidden, mask))
            hidden = hidden + new if hidden.shape == new.shape else new
            if number == layer:
                tapped = hidden
        return hidden, self.output_lengths(lengths), hidden if tapped is None else tapped
