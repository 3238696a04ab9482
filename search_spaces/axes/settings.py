"""All sections together: the settings of one trial."""

from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from pydantic import Field, create_model, model_validator

from search_spaces.axes.augmentation import AugmentationSettings
from search_spaces.axes.decoding import DecodingSettings, LanguageModelSettings
from search_spaces.axes.features import FeatureSettings, Units
from search_spaces.axes.model import ModelSettings
from search_spaces.axes.section import Section, mistakes_at
from search_spaces.axes.train import TrainSettings

S = TypeVar("S", bound=Section)


class Settings(Section):
    """What every trial has; the strategies add sections of their own (see `with_sections`)."""

    units: Units = "mixed"
    features: FeatureSettings = Field(default_factory=FeatureSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
    train: TrainSettings = Field(default_factory=TrainSettings)
    augmentation: AugmentationSettings = Field(default_factory=AugmentationSettings)
    decoding: DecodingSettings = Field(default_factory=DecodingSettings)
    language_model: LanguageModelSettings | None = None

    @model_validator(mode="after")
    def _mix_what_there_is(self) -> Self:
        mixes = self.augmentation.mixup > 0 and self.augmentation.mixup_at == "hidden"
        if mixes and self.model.class_path is not None:
            place = ("augmentation", "mixup_at")
            raise mistakes_at(
                [place], "mixes behind the encoder, and a module of your own has none; write input", "hidden"
            )
        return self

    def section(self, name: str, kind: type[S]) -> S:
        """A strategy's own section, with its type.

        Raises:
            TypeError: The section is of another type.
        """
        value = getattr(self, name)
        if not isinstance(value, kind):
            raise TypeError(f"section {name} is {type(value).__name__}, not {kind.__name__}")
        return value


def with_sections(sections: Mapping[str, type[Section]]) -> type[Settings]:
    """`Settings` with further sections, each with its defaults."""
    fields: dict[str, Any] = {name: (kind, Field(default_factory=kind)) for name, kind in sections.items()}
    return cast(type[Settings], create_model("Settings", __base__=Settings, **fields))


def overlay(tree: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a tree of settings with the values of dotted names put in.

    >>> overlay({"train": {"lr": 1e-3, "epochs": 2}}, {"train.lr": 2e-3})
    {'train': {'lr': 0.002, 'epochs': 2}}
    """
    result = {key: dict(value) if isinstance(value, Mapping) else value for key, value in tree.items()}
    for name, value in values.items():
        *sections, field = name.split(".")
        place: dict[str, Any] = result
        for section in sections:
            inner = place.get(section)
            place[section] = dict(inner) if isinstance(inner, Mapping) else {}
            place = place[section]
        place[field] = value
    return result
