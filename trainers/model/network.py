"""What a network is, and the one that is made of an encoder, attention where it is asked for, and the CTC head."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from search_spaces.axes.model import ModelSettings
from search_spaces.errors import ModelError
from trainers.model.attention import AttentionBlock, AttentionGate
from trainers.model.bilstm import BiLSTMEncoder
from trainers.model.conv import ConvEncoder
from trainers.model.convolutions import ConvFront

ATTENTION: dict[str, type[AttentionBlock] | type[AttentionGate]] = {"windowed": AttentionBlock, "gate": AttentionGate}


class Network(nn.Module, ABC):
    """Features to log-probabilities of labels; `trainers.model.build` makes them.

    Attributes:
        labels: Labels, the blank included.
    """

    labels: int

    @abstractmethod
    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities.

        Args:
            features: (batch, frames, inputs).
            lengths: Frames of each utterance, (batch,), int64.

        Returns:
            (batch, output frames, labels) in natural log, float32, and the output frames of each utterance, (batch,).
        """

    @abstractmethod
    def lengths_after(self, lengths: Tensor) -> Tensor:
        """Output frames for input frames, (batch,), int64."""

    def output_lengths(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Output frames for input frames, (utterances,)."""
        result: NDArray[np.int64] = self.lengths_after(torch.from_numpy(lengths)).numpy()
        return result

    def weights(self) -> int:
        """Number of trained weights."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)


class EncoderNetwork(Network):
    """An encoder of this program, attention where it is asked for, and a head.

    Args:
        settings: Which encoder and how large.
        inputs: Dimensions of a feature frame.
        labels: Labels, the blank included.
    """

    def __init__(self, settings: ModelSettings, inputs: int, labels: int) -> None:
        super().__init__()
        self.labels = labels
        self.encoder = _encoder(settings, inputs)
        self.head = nn.Linear(self.encoder.outputs, labels)
        self.attention: AttentionBlock | AttentionGate | None = None
        if settings.attention != "none":
            # last, and its draws given back: whatever is random starts as it does without attention
            with torch.random.fork_rng(devices=[]):
                self.attention = ATTENTION[settings.attention](
                    self.encoder.outputs, window=settings.attention_window, heads=settings.attention_heads
                )

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities.

        The head and its softmax run in float32 whatever the encoder runs in: in half precision the softmax of a
        hundred labels is too coarse for CTC.
        """
        hidden, lengths = self.encoder(features, lengths)
        return self._read(hidden, lengths), lengths

    def forward_with_tap(self, features: Tensor, lengths: Tensor, layer: int) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities, and the frames behind a layer of the encoder, for a second head to read.

        Args:
            features: (batch, frames, inputs).
            lengths: Frames of each utterance, (batch,), int64.
            layer: Which layer, from 1.

        Returns:
            Log-probabilities and lengths as `forward` has them, and (batch, output frames, encoder's outputs), zero at
            padding.

        Raises:
            ValueError: There is no such layer.
        """
        hidden, lengths, tapped = self.encoder.forward_with_tap(features, lengths, layer)
        return self._read(hidden, lengths), lengths, tapped

    def forward_with_change(
        self, features: Tensor, lengths: Tensor, change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """Log-probabilities of frames that are changed behind the encoder, before attention and head.

        Args:
            features: (batch, frames, inputs).
            lengths: Frames of each utterance, (batch,), int64.
            change: Takes the encoder's output, (batch, output frames, encoder's outputs), zero at padding, and its
                lengths; gives the like of both.

        Returns:
            Log-probabilities and lengths as `forward` has them, of what was changed.
        """
        hidden, lengths = change(*self.encoder(features, lengths))
        return self._read(hidden, lengths), lengths

    def _read(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Log-probabilities of what the encoder gives."""
        if self.attention is not None:
            hidden = self.attention(hidden, lengths)
        return classify(self.head, hidden)

    @property
    def subsampling(self) -> int:
        """Input frames an output frame stands for."""
        return int(self.encoder.subsampling)

    def lengths_after(self, lengths: Tensor) -> Tensor:
        """Output frames for input frames, (batch,), int64."""
        return self.encoder.output_lengths(lengths)


def _encoder(settings: ModelSettings, inputs: int) -> ConvEncoder | BiLSTMEncoder:
    layers, hidden, dropout = settings.layers, settings.hidden, settings.dropout
    if settings.encoder == "conv":
        return ConvEncoder(inputs, layers=layers, hidden=hidden, dropout=dropout, subsampling=settings.stride)
    front = ConvFront(inputs, settings.stride) if settings.front == "conv" else None
    return BiLSTMEncoder(inputs, layers=layers, hidden=hidden, dropout=dropout, front=front)


def with_encoder(network: Network) -> EncoderNetwork:
    """A network whose encoder can be reached into.

    Raises:
        ModelError: It is a module of the user's own.
    """
    if not isinstance(network, EncoderNetwork):
        raise ModelError("this strategy reaches into the encoder; it cannot train a module of your own")
    return network


def classify(head: nn.Module, hidden: Tensor) -> Tensor:
    """Log-probabilities of a head, in float32 whatever the encoder runs in.

    Args:
        head: Frames to logits.
        hidden: (batch, frames, width).
    """
    with torch.autocast(hidden.device.type, enabled=False):
        return torch.log_softmax(head(hidden.float()), dim=-1)
