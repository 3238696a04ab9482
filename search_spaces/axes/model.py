"""The network."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

from pydantic import Field, JsonValue, ValidationInfo, field_validator, model_serializer, model_validator

from search_spaces.axes.section import Section, mistakes_at

_OWN = ("class", "args", "blank")


class ModelSettings(Section):
    """An encoder below a CTC head, or a module of the user's own: the one excludes the settings of the other.

    Attributes:
        class_path: Written ``class``: ``package.module:Name`` of a torch.nn.Module that takes features (batch, frames,
            dimensions) and lengths (batch,), and returns log-probabilities (batch, output frames, labels), natural log
            and normalised, and output lengths (batch,).
        args: Keyword arguments of its constructor, beside ``inputs`` and ``labels``, which it is told if it takes them.
        blank: Column of the blank in its output; -1 is the last. A network's first label is the blank everywhere else,
            so the columns are put in that order.
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

    class_path: str | None = Field(None, alias="class")
    args: dict[str, JsonValue] = Field(default_factory=dict)
    blank: int = 0
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
        if self.class_path is not None:
            return self.model_dump()
        return {**self.model_dump(exclude={"dropout"}), "subsampling": self.stride}

    @model_validator(mode="before")
    @classmethod
    def _be_of_one_kind(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if value.get("class") is not None:
            odd = [name for name in value if name not in _OWN]
            message = "belongs to the encoders that come with this program and does not go with model.class; drop one"
        else:
            odd = [name for name in _OWN if name != "class" and value.get(name)]
            message = "belongs to a module of your own; name it with class: package.module:Name"
        if odd:
            places = [(name, key) if key else (name,) for name in odd for key in _keys(value, name)]
            raise mistakes_at(places, message, {name: value[name] for name in odd})
        return value

    @model_serializer(mode="wrap")
    def _dump_one_kind(self, dump: Callable[["ModelSettings"], dict[str, Any]]) -> dict[str, Any]:
        if self.class_path is not None:
            return {"class": self.class_path, "args": dict(self.args), "blank": self.blank}
        return {name: value for name, value in dump(self).items() if name not in ("class_path", *_OWN)}

    @field_validator("class_path")
    @classmethod
    def _name_a_class(cls, path: str | None) -> str | None:
        module, mark, name = (path or "a:b").partition(":")
        if not mark or not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
            raise ValueError("should be package.module:Name, the place of a torch.nn.Module")
        return path

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


def _keys(value: dict[str, Any], name: str) -> Iterable[str]:
    """The names of arguments, each of which is a setting; nothing of a setting that is one value."""
    return value[name] if name == "args" and isinstance(value[name], dict) else ("",)
