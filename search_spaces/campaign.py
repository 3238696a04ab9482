"""A campaign and its studies, as frozen values. `search_spaces.reading` makes them from a YAML file."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from search_spaces.axes.section import Section, mistakes_at
from search_spaces.scorers import DEFAULT
from search_spaces.sealing import SealedFile
from search_spaces.space import Space, Value

CAMPAIGN_NAME = r"^[A-Za-z][A-Za-z0-9_-]*$"
STUDY_NAME = r"^[a-z][a-z0-9_]*$"


class _Kind(Section):
    """A section that may be written as its kind alone: ``sampler: tpe``."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value


class SamplerSettings(_Kind):
    """How Optuna chooses the next point.

    Attributes:
        kind: ``tpe``, ``random``, ``grid``, ``gp`` or ``cmaes``.
        startup: Random points before a model of the objective is used.
    """

    kind: Literal["tpe", "random", "grid", "gp", "cmaes"] = "tpe"
    startup: int = Field(8, ge=0)


class PrunerSettings(_Kind):
    """When a trial that is losing is stopped; one that trains, never before it has left the all-blank plateau.

    Attributes:
        kind: ``median`` stops what is worse than the median of the finished trials at the same epoch, ``hyperband``
            compares brackets of budgets, ``race`` stops a trial that decodes when it has lost to the best complete one,
            ``none`` lets every trial run to its end.
        startup: Finished trials before ``median`` judges.
        warmup: Epochs before ``median`` judges.
        reduction: Reduction factor of ``hyperband``.
        seconds: Trials that decode the whole set in less do not ``race``.
        level: Probability at which ``race`` stops a trial that makes as many errors as the best.
    """

    kind: Literal["median", "hyperband", "race", "none"] = "median"
    startup: int = Field(4, ge=0)
    warmup: int = Field(3, ge=0)
    reduction: int = Field(3, ge=2)
    seconds: float = Field(5.0, ge=0)
    level: float = Field(0.01, gt=0, le=0.5)

    @model_validator(mode="after")
    def _be_heard(self) -> "PrunerSettings":
        heard = _HEARD[self.kind]
        odd = [(name,) for name in sorted(self.model_fields_set - {"kind", *heard})]
        if odd:
            message = f"has no effect on pruner {self.kind!r}; it listens to: {', '.join(heard) or 'nothing'}"
            raise mistakes_at(odd, message, {name: getattr(self, name) for (name,) in odd})
        return self


_HEARD = {"median": ("startup", "warmup"), "hyperband": ("reduction",), "race": ("seconds", "level"), "none": ()}


class PromotionSettings(_Kind):
    """When a better trial takes the place of a campaign's champion.

    Attributes:
        kind: ``beyond_noise`` asks for a paired difference on dev that is more than noise; of two that noise does not
            tell apart the one with fewer weights is taken if its WER is no higher. ``always`` takes the lowest dev WER.
        level: Probability of taking a challenger for better or worse that is equal.
    """

    kind: Literal["beyond_noise", "always"] = "beyond_noise"
    level: float = Field(0.05, gt=0, lt=1)


class KeepSettings(Section):
    """Which trials of a study keep their weights, once something takes the space; ``keep: all`` is every trial.

    Attributes:
        best: So many trials of the lowest dev WER, beside whatever other studies need; None keeps all.
    """

    best: int | None = Field(None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {} if value == "all" else value


def study_of(source: str) -> str:
    """The study that a need names, which may be ``study#number`` for one trial of it; a path is left as it is."""
    return source if "/" in source else source.partition("#")[0]


class ConfirmSettings(Section):
    """Which configurations of a study are trained again once its search has ended; ``confirm: none`` is not any.

    Attributes:
        top: So many, those of the lowest dev WER.
        seeds: Trainings of each, with seeds that it did not have in the search.
    """

    top: int = Field(3, ge=0)
    seeds: int = Field(3, ge=2)

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"top": 0} if value == "none" else value


@dataclass(frozen=True, slots=True)
class DataFiles:
    """The sets of a campaign, each a file or a folder.

    Dev selects; the transcripts of the test set are not read before a campaign is finalized.

    Attributes:
        train: The training set.
        dev: The set that selects.
        test: The test set.
        tuning: Share of dev that tunes while the rest judges; None where all of it does both.
    """

    train: Path
    dev: Path
    test: SealedFile | None = None
    tuning: float | None = None


@dataclass(frozen=True, slots=True)
class StudyDefinition:
    """One named study: one strategy, and where in its space to look.

    Attributes:
        name: Name within the campaign.
        strategy: Name of the strategy.
        space: The axes it searches, without those that follow from `needs`.
        trials: Finished trials after which the study is done.
        needs: For every need of the strategy, the studies (or single trials, or checkpoint paths) that serve it.
        fixed: Settings of this study that differ from the campaign's, by dotted name.
        inherit: Study whose promoted trial's parameters are taken over before `fixed` and the trial's own.
        enqueue: Points that are tried first.
        sampler: How points are chosen.
        pruner: When a losing trial is stopped.
        seed: Seed of the sampler.
        keep: Which trials keep their weights.
        confirm: Which configurations are confirmed with fresh seeds; None where the campaign does not say.
        hypothesis: What the researcher expects, dev WER in percent, low and high; shown beside the result.
    """

    name: str
    strategy: str
    space: Space = field(default_factory=Space)
    trials: int = 1
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fixed: Mapping[str, Value | list[int]] = field(default_factory=dict)
    inherit: str | None = None
    enqueue: tuple[Mapping[str, Value], ...] = ()
    sampler: SamplerSettings = field(default_factory=SamplerSettings)
    pruner: PrunerSettings = field(default_factory=PrunerSettings)
    seed: int = 1
    keep: KeepSettings = field(default_factory=KeepSettings)
    confirm: ConfirmSettings | None = None
    hypothesis: tuple[float, float] | None = None

    def studies_before(self, known: Mapping[str, Any]) -> Iterator[str]:
        """Names of the studies that must be done first, of those `known`."""
        wanted = [study_of(name) for names in self.needs.values() for name in names]
        wanted += [self.inherit] if self.inherit else []
        yield from (name for name in dict.fromkeys(wanted) if name in known)


@dataclass(frozen=True, slots=True)
class Campaign:
    """One data set, one model, and the studies that compete.

    Attributes:
        name: Name of the campaign and of its file.
        path: The file it was read from.
        data: The manifests.
        settings: Settings of every trial before a study's own, as a tree of plain values.
        studies: The studies by name, each after those it needs.
        baseline: The study that every other is compared with.
        promotion: When a better trial takes the place of the champion.
        scorer: Name of what counts errors (`search_spaces.scorers`).
        changes: Values by dotted name that took the place of those in the file.
    """

    name: str
    path: Path
    data: DataFiles
    settings: Mapping[str, Any]
    studies: Mapping[str, StudyDefinition]
    baseline: str | None = None
    promotion: PromotionSettings = field(default_factory=PromotionSettings)
    scorer: str = DEFAULT
    changes: Mapping[str, Any] = field(default_factory=dict)

    def keeping(self, names: Iterable[str]) -> dict[str, int]:
        """How many of the best trials keep their weights, of those of the studies that give some up."""
        named = ((name, self.studies[name].keep.best) for name in names if name in self.studies)
        return {name: best for name, best in named if best is not None}

    def with_needs(self, study: str) -> tuple[str, ...]:
        """A study and all that it needs, directly or not, in the order in which they can run."""
        wanted = {study}
        for name in reversed(tuple(self.studies)):
            if name in wanted:
                wanted.update(self.studies[name].studies_before(self.studies))
        return tuple(name for name in self.studies if name in wanted)
