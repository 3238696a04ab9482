"""The network."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from search_spaces.axes.section import Section


class ModelSettings(Section):
    """Encoder below the CTC head.

    Attributes:
        encoder: ``conv``, dilated convolutions behind a front that keeps every fourth frame, or ``bilstm``.
        layers: Encoder layers, without the front.
        hidden: Width of a layer; of each direction for ``bilstm``.
        dropout: Probability of dropping a value, in the encoder layers.
        attention: What stands between encoder and head: ``none``; ``windowed``, self-attention over the frames around
            with a residual connection; ``gate``, a gate that reads what such attention sees.
        attention_window: Output frames that a frame sees on each side.
        attention_heads: Heads of the attention; they divide the width of the encoder's output.
    """

    encoder: Literal["conv", "bilstm"] = "conv"
    layers: int = Field(6, ge=1, le=64)
    hidden: int = Field(192, ge=1, le=8192)
    dropout: float = Field(0.1, ge=0, lt=1)
    attention: Literal["none", "windowed", "gate"] = "none"
    attention_window: int = Field(16, ge=1, le=256)
    attention_heads: int = Field(4, ge=1, validate_default=True)

    @field_validator("attention_heads")
    @classmethod
    def _divide_the_width(cls, heads: int, info: ValidationInfo) -> int:
        values = info.data
        if values.get("attention", "none") == "none" or "hidden" not in values or "encoder" not in values:
            return heads
        width = values["hidden"] * (2 if values["encoder"] == "bilstm" else 1)
        if width % heads:
            raise ValueError(
                f"attention heads must divide {width}, the width of the {values['encoder']} encoder's output "
                f"at hidden {values['hidden']}"
            )
        return heads
