"""The network."""

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from search_spaces.axes.section import Section


class ModelSettings(Section):
    """Encoder below the CTC head.

    Attributes:
        encoder: ``conv``, dilated convolutions behind a strided front, or ``bilstm``.
        layers: Encoder layers, without the front.
        hidden: Width of a layer; of each direction for ``bilstm``.
        dropout: Probability of dropping a value, in the encoder layers.
        front: What stands below a ``bilstm``: ``none``, or ``conv``, the strided convolutions that ``conv`` always has.
        subsampling: Feature frames that an output frame stands for, by the strides of the front: 1, 2 or 4; when it
            is not given 4, and 1 for a ``bilstm`` without a front.
        attention: What stands between encoder and head: ``none``; ``windowed``, self-attention over the frames around
            with a residual connection; ``gate``, a gate that reads what such attention sees.
        attention_window: Output frames that a frame sees on each side.
        attention_heads: Heads of the attention; they divide the width of the encoder's output.
    """

    encoder: Literal["conv", "bilstm"] = "conv"
    layers: int = Field(6, ge=1, le=64)
    hidden: int = Field(192, ge=1, le=8192)
    dropout: float = Field(0.1, ge=0, lt=1)
    front: Literal["none", "conv"] = "none"
    subsampling: int | None = None
    attention: Literal["none", "windowed", "gate"] = "none"
    attention_window: int = Field(16, ge=1, le=256)
    attention_heads: int = Field(4, ge=1, validate_default=True)

    @property
    def stride(self) -> int:
        """The subsampling, as it is where it was not given."""
        return self.subsampling or (1 if self.encoder == "bilstm" and self.front == "none" else 4)

    @property
    def architecture(self) -> dict[str, Any]:
        """All that two networks of one architecture share: everything but the dropout."""
        return {**self.model_dump(exclude={"dropout"}), "subsampling": self.stride}

    @field_validator("front")
    @classmethod
    def _have_one_front(cls, front: str, info: ValidationInfo) -> str:
        if front != "none" and info.data.get("encoder") == "conv":
            raise ValueError("the conv encoder has its front already; leave it out, or choose encoder: bilstm")
        return front

    @field_validator("subsampling")
    @classmethod
    def _subsample_in_a_front(cls, subsampling: int | None, info: ValidationInfo) -> int | None:
        if subsampling not in (None, 1, 2, 4):
            raise ValueError("the subsampling should be 1, 2 or 4")
        if (subsampling or 1) > 1 and info.data.get("encoder") == "bilstm" and info.data.get("front") == "none":
            raise ValueError("a bilstm without a front keeps every frame; add front: conv, or use features.subsample")
        return subsampling

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
