"""The whole network: an encoder and the CTC head."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from search_spaces.axes.model import ModelSettings
from trainers.model.bilstm import BiLSTMEncoder
from trainers.model.conv import ConvEncoder

ENCODERS: dict[str, type[ConvEncoder] | type[BiLSTMEncoder]] = {"conv": ConvEncoder, "bilstm": BiLSTMEncoder}


class Network(nn.Module):
    """Features to log-probabilities of labels.

    Args:
        settings: Which encoder and how large.
        inputs: Dimensions of a feature frame.
        labels: Labels, the blank included.
    """

    def __init__(self, settings: ModelSettings, inputs: int, labels: int) -> None:
        super().__init__()
        self.encoder = ENCODERS[settings.encoder](
            inputs, layers=settings.layers, hidden=settings.hidden, dropout=settings.dropout
        )
        self.head = nn.Linear(self.encoder.outputs, labels)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities.

        The head and its softmax run in float32 whatever the encoder runs in: in half precision the softmax of a
        hundred labels is too coarse for CTC.

        Args:
            features: (batch, frames, inputs).
            lengths: Frames of each utterance, (batch,), int64.

        Returns:
            (batch, output frames, labels) in natural log, float32, and the output frames of each utterance, (batch,).
        """
        hidden, lengths = self.encoder(features, lengths)
        with torch.autocast(hidden.device.type, enabled=False):
            return torch.log_softmax(self.head(hidden.float()), dim=-1), lengths

    @property
    def subsampling(self) -> int:
        """Input frames an output frame stands for."""
        return int(self.encoder.subsampling)

    def output_lengths(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Output frames for input frames, (utterances,)."""
        result: NDArray[np.int64] = self.encoder.output_lengths(torch.from_numpy(lengths)).numpy()
        return result

    def weights(self) -> int:
        """Number of trained weights."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)
