"""What a study starts from: what it takes of others, the parameters it inherits, the trial that it trains again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.record import StudyRecord, TrialRecord
from search_spaces.campaign import StudyDefinition, study_of
from search_spaces.errors import UserError
from search_spaces.schema import StrategySchema
from search_spaces.space import Value
from trainers.checkpoint import keep_checkpoint, load_checkpoint
from trainers.combining.kept_ensemble import keep_ensemble
from trainers.exchange.imported_posteriors import DESCRIPTION, keep_imported, load_imported
from trainers.pipeline import resolve_settings
from trainers.spec import ENSEMBLES, IMPORTED_POSTERIORS, Ingredient, TrialSpec
from trainers.store import Store
from trainers.strategies import find_strategy


@dataclass(frozen=True)
class Configuration:
    """What a trial was trained with.

    Attributes:
        name: Its study.
        number: Its number there.
        strategy: The strategy that trained it.
        settings: The sections of settings that the strategy uses, resolved.
        needs: What it started from.
    """

    name: str
    number: int
    strategy: str
    settings: Mapping[str, Any]
    needs: Mapping[str, tuple[Ingredient, ...]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """``study#number``."""
        return f"{self.name}#{self.number}"

    def plain(self) -> dict[str, Any]:
        """As plain values; where they lie is left out."""
        needs = {name: [source.plain() for source in sources] for name, sources in self.needs.items()}
        return {
            "name": self.name,
            "number": self.number,
            "strategy": self.strategy,
            "settings": dict(self.settings),
            "needs": needs,
        }


@dataclass(frozen=True)
class Start:
    """What a study starts from: fixed when its first trial is claimed, so that all its trials are comparable.

    Attributes:
        needs: For every need, the checkpoints or imported posteriors that serve it.
        inherited: Parameters taken over from another study's promoted trial.
        seed: Seed of the trial whose parameters or configuration are taken over; None where there is none.
        configuration: The trial that is trained again; None where each trial has the study's own configuration.
    """

    needs: Mapping[str, tuple[Ingredient, ...]] = field(default_factory=dict)
    inherited: Mapping[str, Value] = field(default_factory=dict)
    seed: int | None = None
    configuration: Configuration | None = None

    def plain(self) -> dict[str, Any]:
        """As plain values; where they lie is left out."""
        return {
            "needs": {name: [source.plain() for source in sources] for name, sources in self.needs.items()},
            "inherited": dict(self.inherited),
            "seed": self.seed,
            "configuration": self.configuration and self.configuration.plain(),
        }

    @property
    def ingredients(self) -> Mapping[str, tuple[Ingredient, ...]]:
        """What serves the trials' needs: what the study takes, or what the trial took that is trained again."""
        return self.configuration.needs if self.configuration else self.needs

    def chosen_by(self, trial: TrialRecord) -> dict[str, tuple[Ingredient, ...]]:
        """What a trial of the study, which may have chosen among them, started from."""
        return {
            need: tuple(source for source in sources if source.title in trial.needs[need])
            for need, sources in self.ingredients.items()
        }

    def named(self, spec: TrialSpec) -> dict[str, list[str]]:
        """What a trial comes from, by need, as ``study#number`` or the path."""
        again = {"configuration": [self.configuration.title]} if self.configuration else {}
        return again | {need: [source.title for source in sources] for need, sources in spec.needs.items()}


def schema_of(study: StudyDefinition) -> StrategySchema:
    """What the study's strategy declares of itself."""
    return find_strategy(study.strategy).schema


def replicated_name(study: StudyDefinition) -> str | None:
    """Name of the study whose promoted trial a study trains again; None for a study that trains its own."""
    named = (study.needs.get(need.name, ()) for need in schema_of(study).needs if need.replicated)
    return next((name for names in named for name in names), None)


def trained_by(strategy: str, start: Start) -> StrategySchema:
    """The strategy that a study's trials run: its own, or that of the trial which they repeat."""
    return find_strategy(start.configuration.strategy if start.configuration else strategy).schema


def outside_ingredient(path: str, store: Store) -> Ingredient:
    """What a campaign names by its folder; the store keeps a copy, whatever becomes of the folder.

    Raises:
        CheckpointError: The folder holds neither a checkpoint nor imported posteriors.
        PosteriorsError: It holds posteriors that cannot be read.
    """
    if (Path(path) / DESCRIPTION).is_file():
        key, folder = keep_imported(store, load_imported(Path(path)))
        return Ingredient(path, folder, key)
    key, folder = keep_checkpoint(store, load_checkpoint(Path(path)))
    return Ingredient(path, folder, key)


def place_of(store: Store, key: str) -> Path:
    """Where what a trial starts from lies: a checkpoint, unless something else has the key."""
    kind = next((kind for kind in (IMPORTED_POSTERIORS, ENSEMBLES) if store.has(kind, key)), "checkpoints")
    return store.path(kind, key)


def named_trials(study: str, source: str, record: StudyRecord) -> list[TrialRecord]:
    """The complete trials that a pool names: all of a study, or one as ``study#number``.

    Args:
        study: Whose pool it is, for messages.
        source: What is named.
        record: The study that is named.

    Raises:
        UserError: There is none.
    """
    number = source.partition("#")[2]
    complete = [trial for trial in record.trials if trial.dev_wer is not None]
    found = [trial for trial in complete if not number or trial.number == int(number)]
    if not found:
        there = ", ".join(f"{record.name}#{trial.number}" for trial in complete) or "none"
        raise UserError(f"study {study} needs {source}, which has no complete trial; complete are: {there}")
    return found


def resolve_start(
    study: StudyDefinition,
    before: Mapping[str, StudyRecord],
    store: Store,
    starts: Mapping[str, Start] | None = None,
) -> Start:
    """What a study starts from, now that the studies it needs have ended.

    Args:
        study: The study.
        before: The records of the studies it needs.
        store: Where checkpoints and imported posteriors are.
        starts: What those studies started from themselves; read where one of their trials is to be trained again.

    Raises:
        UserError: One of them has no complete trial.
    """

    def result(source: str) -> TrialRecord:
        found = before[source].result
        if found is None:
            raise UserError(f"study {study.name} needs {source}, which has no complete trial")
        return found

    def made_by(source: str, trial: TrialRecord, combined: bool = False) -> Ingredient:
        trial.refuse_freed()
        outcome = trial.outcome
        key = outcome.checkpoint or outcome.imported if outcome else ""
        if not key and outcome and outcome.ensemble:
            if not combined:
                listed = ", ".join(part.name for part in outcome.ensemble.members)
                raise UserError(
                    f"study {study.name} needs one network, and {trial.name} is an ensemble of {listed}; "
                    "name the study of one of them"
                )
            key, _ = keep_ensemble(store, outcome.ensemble, resolve_settings(dict(trial.settings)))
        return Ingredient(source, place_of(store, key), key, trial.number)

    def ingredient(need: str, source: str) -> Ingredient:
        if source not in before:
            return outside_ingredient(source, store)
        return made_by(source, result(source), combined=need in taught)

    def pool(sources: Sequence[str]) -> tuple[Ingredient, ...]:
        """Every complete trial of the studies, and the trials and folders that are named; no network twice."""
        found: dict[str, Ingredient] = {}
        for source in sources:
            name = study_of(source)
            if name in before:
                members = [made_by(name, trial) for trial in named_trials(study.name, source, before[name])]
            else:
                members = [outside_ingredient(source, store)]
            for member in members:
                found.setdefault(member.key, member)
        return tuple(found.values())

    repeated = replicated_name(study)
    taught = {need.name for need in schema_of(study).needs if need.texts}
    pooled = {need.name for need in schema_of(study).needs if need.every_trial}
    needs = {
        name: pool(sources) if name in pooled else tuple(ingredient(name, source) for source in sources)
        for name, sources in study.needs.items()
        if repeated not in sources
    }

    def searched(source: str) -> TrialRecord:
        # a run that confirms has a seed that is no parameter, and was not what the configuration was chosen with
        return before[source].origin(result(source))

    inherited = searched(study.inherit) if study.inherit else None
    chosen = searched(repeated) if repeated else inherited
    configuration = None
    if repeated and chosen:
        took = (starts or {})[repeated].chosen_by(chosen)
        configuration = Configuration(repeated, chosen.number, chosen.strategy, chosen.settings, took)
    return Start(needs, inherited.params if inherited else {}, chosen.seed if chosen else None, configuration)


def pinned_start(plain: Mapping[str, Any], store: Store) -> Start:
    """A start as `Start.plain` wrote it."""

    def ingredient(entry: Mapping[str, Any]) -> Ingredient:
        place = place_of(store, entry["key"])
        if entry["number"] is None and not place.is_dir():
            return outside_ingredient(entry["name"], store)
        return Ingredient(entry["name"], place, entry["key"], entry["number"])

    def ingredients(needs: Mapping[str, Any]) -> dict[str, tuple[Ingredient, ...]]:
        return {name: tuple(ingredient(entry) for entry in entries) for name, entries in needs.items()}

    again = plain.get("configuration")
    configuration = Configuration(**{**again, "needs": ingredients(again["needs"])}) if again else None
    return Start(ingredients(plain["needs"]), plain["inherited"], plain.get("seed"), configuration)
