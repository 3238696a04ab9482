"""What a campaign may say of an ensemble, and of each fusion rule that has settings of its own."""

from copy import copy
from typing import Annotated, Any, Literal, cast

from pydantic import Field, create_model, field_validator

from search_spaces.axes.decoding import DecodingSettings
from search_spaces.axes.section import Section
from search_spaces.axes.settings import Settings
from search_spaces.schema import Product
from trainers.combining.rule import FusionRule, HypothesisRule, PosteriorRule, RescoringSettings, WeightRule
from trainers.fusion import DEFAULT, find_rule, rule_names

RANKED = 8
"""Members that can be given a weight of their own."""

_Weight = Annotated[float, Field(ge=0, le=1)]


class EnsembleSettings(Section):
    """How members are chosen and combined. Selection and weights are found on dev.

    Attributes:
        rule: Name of the fusion rule.
        selection: ``forward`` begins with the best member and adds one after the other, perhaps the same again, as long
            as dev gains; weights are the counts. ``best`` takes the best ones and ``all`` every one, with equal
            weights. ``given`` takes the weights below.
        members: At most so many different members; ``all`` and ``given`` do not read it.
        tune: Whether the weights are then moved, one after the other, as long as dev gains.
        n_best: Hypotheses of an utterance that a member puts into the pool; rules of posteriors do not read it.
        weight_1: Weight of the best member alone, where they are given; 0 leaves it out.
        weight_2: That of the second best; and so on.
        weight_3: See there.
        weight_4: See there.
        weight_5: See there.
        weight_6: See there.
        weight_7: See there.
        weight_8: See there. Members behind the eighth are left out.
    """

    rule: str = DEFAULT
    selection: Literal["forward", "best", "all", "given"] = "forward"
    members: int = Field(4, ge=1, le=64)
    tune: bool = False
    n_best: int = Field(30, ge=1, le=1000)
    weight_1: _Weight = 1.0
    weight_2: _Weight = 1.0
    weight_3: _Weight = 0.0
    weight_4: _Weight = 0.0
    weight_5: _Weight = 0.0
    weight_6: _Weight = 0.0
    weight_7: _Weight = 0.0
    weight_8: _Weight = 0.0

    @field_validator("rule")
    @classmethod
    def _be_a_rule(cls, rule: str) -> str:
        if rule not in rule_names():
            raise ValueError(f"should be a fusion rule: {', '.join(rule_names())}")
        return rule

    @property
    def given(self) -> tuple[float, ...]:
        """The weights by rank, the best member's first."""
        return tuple(float(getattr(self, f"weight_{rank}")) for rank in range(1, RANKED + 1))


_SHARED = frozenset({*RescoringSettings.model_fields})
"""Settings of rules that an ensemble has from elsewhere: ``ensemble.n_best``, ``decoding.alpha``, ``decoding.beta``."""


def rule_sections() -> dict[str, type[Section]]:
    """For every rule with settings of its own a section of its name that holds them."""
    found = {}
    for rule in rule_names():
        settings = find_rule(rule).Settings
        fields = {name: info for name, info in settings.model_fields.items() if name not in _SHARED}
        own: dict[str, Any] = {name: (info.annotation, copy(info)) for name, info in fields.items()}
        if own:
            made = create_model(settings.__name__, __base__=Section, __doc__=settings.__doc__, **own)
            found[rule] = cast(type[Section], made)
    return found


def rule_products() -> dict[str, Product]:
    """What each rule makes of its members."""
    kinds: dict[type[FusionRule], Product] = {HypothesisRule: "texts", PosteriorRule: "frames", WeightRule: "network"}
    return {
        rule: product for rule in rule_names() for kind, product in kinds.items() if issubclass(find_rule(rule), kind)
    }


def point_of(decoding: DecodingSettings) -> tuple[float, float]:
    """Weight of the language model and bonus for a word; a greedy decoder has neither."""
    return (0.0, 0.0) if decoding.method == "greedy" else (decoding.alpha, decoding.beta)


def rule_of(settings: Settings) -> FusionRule:
    """The rule that a trial's settings ask for, with its own settings.

    Args:
        settings: With the sections of strategy ``ensemble``.
    """
    about = settings.section("ensemble", EnsembleSettings)
    kind = find_rule(about.rule)
    alpha, beta = point_of(settings.decoding)
    shared = {"n_best": about.n_best, "alpha": alpha, "beta": beta}
    values = {field: value for field, value in shared.items() if field in kind.Settings.model_fields}
    own: Section | None = getattr(settings, about.rule, None)
    return kind(kind.Settings.model_validate({**values, **(own.model_dump() if own else {})}))
