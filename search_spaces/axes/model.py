"""The network."""

from typing import Literal

from pydantic import Field

from search_spaces.axes.section import Section


class ModelSettings(Section):
    """Encoder below the CTC head.

    Attributes:
        encoder: ``conv``, dilated convolutions behind a front that keeps every fourth frame, or ``bilstm``.
        layers: Encoder layers, without the front.
        hidden: Width of a layer; of each direction for ``bilstm``.
        dropout: Probability of dropping a value, in the encoder layers.
    """

    encoder: Literal["conv", "bilstm"] = "conv"
    layers: int = Field(6, ge=1, le=64)
    hidden: int = Field(192, ge=1, le=8192)
    dropout: float = Field(0.1, ge=0, lt=1)
