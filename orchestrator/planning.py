"""From a campaign to the specs of its trials: what each would run with, and what it would start from."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from orchestrator.record import StudyRecord, TrialRecord
from orchestrator.sampling import Claim, Point
from search_spaces.axes.decoding import LanguageModelSettings
from search_spaces.axes.features import FeatureSettings
from search_spaces.axes.settings import Settings, overlay
from search_spaces.campaign import Campaign, StudyDefinition
from search_spaces.checking import plain_message
from search_spaces.errors import UserError
from search_spaces.schema import StrategySchema
from search_spaces.space import Axis, Categorical, Space, Value
from trainers.checkpoint import keep_checkpoint, load_checkpoint
from trainers.data.features import features_key
from trainers.data.manifest import fingerprint, read_manifest
from trainers.model.own import source_digest
from trainers.pipeline import resolve_settings
from trainers.spec import Ingredient, TrialSpec, without_paths
from trainers.store import Store, digest_files
from trainers.strategies import find_strategy


@dataclass(frozen=True)
class Start:
    """What a study starts from: fixed when its first trial is claimed, so that all its trials are comparable.

    Attributes:
        needs: For every need, the checkpoints that serve it.
        inherited: Parameters taken over from another study's promoted trial.
    """

    needs: Mapping[str, tuple[Ingredient, ...]] = field(default_factory=dict)
    inherited: Mapping[str, Value] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As plain values; where checkpoints lie is left out."""
        needs = {
            name: [{"name": source.name, "number": source.number, "key": source.key} for source in sources]
            for name, sources in self.needs.items()
        }
        return {"needs": needs, "inherited": dict(self.inherited)}


def schema_of(study: StudyDefinition) -> StrategySchema:
    """What the study's strategy declares of itself."""
    return find_strategy(study.strategy).schema


def data_fingerprints(campaign: Campaign) -> dict[str, str]:
    """Fingerprints of the files that results depend on, by name.

    Raises:
        DataError: A manifest cannot be read.
    """
    found = {
        "train": fingerprint(read_manifest(campaign.data.train)),
        "dev": fingerprint(read_manifest(campaign.data.dev)),
    }
    model = campaign.settings.get("language_model")
    files = LanguageModelSettings.model_validate(model).files if model is not None else ()
    if files:
        found["language_model"] = digest_files(files)
    return found


def _used_data(schema: StrategySchema, data: Mapping[str, str]) -> dict[str, str]:
    return {
        name: key for name, key in data.items() if name != "language_model" or "language_model" in used_sections(schema)
    }


def used_sections(schema: StrategySchema) -> tuple[str, ...]:
    """The sections of settings that decide the result of a strategy's trials."""
    return schema.uses or tuple(dict.fromkeys(axis.split(".")[0] for axis in schema.axes))


def base_settings(campaign: Campaign, study: StudyDefinition, values: Mapping[str, Value] | None = None) -> Settings:
    """The settings of a study's trials before their own parameters, or with the values of some.

    Raises:
        UserError: The values do not go together.
    """
    return _settings(campaign, study, values or {}, {})


def _settings(
    campaign: Campaign, study: StudyDefinition, values: Mapping[str, Value], inherited: Mapping[str, Value]
) -> Settings:
    base = overlay(overlay(campaign.settings, schema_of(study).fixed), inherited)
    try:
        return resolve_settings(overlay(overlay(base, study.fixed), values))
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {plain_message(one)}" for one in error.errors())
        raise UserError(f"study {study.name}: a point does not go with the other settings: {said}") from error


def model_points(campaign: Campaign, study: StudyDefinition) -> list[dict[str, Value]]:
    """Points of a study that show every module of the user's own it may build, one for each ``model.class``.

    Other axes of the module stand at their first value, also those whose values will be inherited.
    """
    parent = campaign.studies.get(study.inherit or "")
    inherited = [axis for axis in parent.space if axis.name not in study.fixed] if parent else []
    axes = {axis.name: axis for axis in (*inherited, *study.space)}
    points: list[dict[str, Value]] = [{}]
    for name, axis in axes.items():
        if name != "model.blank" and not name.startswith(("model.class", "model.args.")):
            continue
        values = axis.range.corners() if name == "model.class" else axis.range.corners()[:1]
        active = [point for point in points if all(point.get(other) == value for other, value in axis.when.items())]
        points = [point for point in points if point not in active]
        points += [{**point, name: value} for point in active for value in values]
    return points


def _model_sources(model: object, *others: Value) -> dict[str, str]:
    """Fingerprint of the file that holds the user's own network class, of all such files if there are others."""
    path = model.get("class") if isinstance(model, Mapping) else None
    paths = sorted({str(name) for name in (path, *others) if name is not None})
    return {"model": source_digest(*paths)} if paths else {}


def _resolve(campaign: Campaign, study: StudyDefinition, values: Mapping[str, Value], start: Start) -> dict[str, Any]:
    """The sections that a trial's strategy uses, with every default filled in.

    Raises:
        UserError: The values do not go together.
    """
    settings = _settings(campaign, study, values, start.inherited)
    sections = {name: getattr(settings, name) for name in used_sections(schema_of(study))}
    return {
        name: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        for name, value in sections.items()
    }


def definition_of(campaign: Campaign, study: StudyDefinition, data: Mapping[str, str]) -> dict[str, Any]:
    """All that the results of a study's trials depend on, beside the point: equal only if trials are comparable."""
    schema = schema_of(study)
    settings = without_paths(_resolve(campaign, study, {}, Start()))
    classes = [value for axis in study.space if axis.name == "model.class" for value in axis.range.corners()]
    return {
        "strategy": study.strategy,
        "space": study.space.describe(),
        "settings": settings,
        "needs": {name: list(sources) for name, sources in study.needs.items()},
        "inherit": study.inherit,
        "data": {**_used_data(schema, data), **_model_sources(settings.get("model"), *classes)},
    }


def first_points(study: StudyDefinition) -> list[Point]:
    """What a study tries before it searches: its strategy's references, the enqueued points, or the whole grid."""
    schema = schema_of(study)
    choices = [axis for axis in study.space if axis.name in {need.axis for need in schema.needs}]
    points: list[Point] = []
    for overrides in schema.first:
        for values in product(*(axis.range.grid() or [] for axis in choices)):
            chosen = {axis.name: value for axis, value in zip(choices, values, strict=True)}
            points.append(Point({**_neutral(study.space), **chosen}, {**overrides, **chosen}))
    points += [Point(point, {}) for point in study.enqueue]
    if study.sampler.kind == "grid":
        points += [Point(point, {}) for point in _grid(study)]
    return points


def _neutral(space: Space) -> dict[str, Value]:
    """The point nearest to no effect: what a reference outside the space is shown to the sampler as."""

    def nearest(axis: Axis) -> Value:
        if isinstance(axis.range, Categorical):
            return axis.range.choices[0]
        nothing = 1 if axis.name.endswith(".temperature") else 0
        return min(max(axis.range.low, nothing), axis.range.high)

    return {axis.name: nearest(axis) for axis in space}


def _grid(study: StudyDefinition) -> list[dict[str, Value]]:
    """Every point of the grid that is not enqueued already, in an order that a part of it covers evenly."""
    values = product(*(axis.range.grid() or [] for axis in study.space))
    points = [dict(zip(study.space.names, point, strict=True)) for point in values]
    random.Random(study.seed).shuffle(points)
    return [point for point in points if point not in [dict(known) for known in study.enqueue]]


def outside_ingredient(path: str, store: Store) -> Ingredient:
    """A checkpoint that a campaign names by its folder; the store keeps a copy, whatever becomes of the folder.

    Raises:
        CheckpointError: The folder holds none.
    """
    key, folder = keep_checkpoint(store, load_checkpoint(Path(path)))
    return Ingredient(path, folder, key)


def feature_fingerprints(spec: TrialSpec) -> dict[str, str]:
    """Keys of the features a training trial reads, by name; none for a trial that takes a checkpoint's."""
    if "features" not in spec.settings:
        return {}
    settings = FeatureSettings.model_validate(spec.settings["features"])
    return {f"features_{split}": features_key((), settings, spec.data[split]) for split in ("train", "dev")}


def resolve_start(study: StudyDefinition, before: Mapping[str, StudyRecord], store: Store) -> Start:
    """What a study starts from, now that the studies it needs have ended.

    Args:
        study: The study.
        before: The records of the studies it needs.
        store: Where checkpoints are.

    Raises:
        UserError: One of them has no complete trial.
    """

    def ingredient(source: str) -> Ingredient:
        if source not in before:
            return outside_ingredient(source, store)
        result = before[source].result
        if result is None or result.outcome is None:
            raise UserError(f"study {study.name} needs {source}, which has no complete trial")
        key = result.outcome.checkpoint
        return Ingredient(source, store.path("checkpoints", key), key, result.number)

    needs = {name: tuple(ingredient(source) for source in sources) for name, sources in study.needs.items()}
    origin = before[study.inherit].result if study.inherit else None
    return Start(needs, origin.params if origin else {})


def pinned_start(plain: Mapping[str, Any], store: Store) -> Start:
    """A start as `Start.plain` wrote it."""

    def ingredient(entry: Mapping[str, Any]) -> Ingredient:
        if entry["number"] is None and not store.has("checkpoints", entry["key"]):
            return outside_ingredient(entry["name"], store)
        return Ingredient(entry["name"], store.path("checkpoints", entry["key"]), entry["key"], entry["number"])

    needs = {name: tuple(ingredient(entry) for entry in entries) for name, entries in plain["needs"].items()}
    return Start(needs, plain["inherited"])


def stored_spec(campaign: Campaign, record: TrialRecord, start: Start) -> TrialSpec:
    """The spec of a trial that has been run, as its record says.

    Args:
        campaign: The campaign.
        record: The trial.
        start: What its study started from.
    """
    prefix = "data_"
    needs = {
        name: tuple(source for source in start.needs[name] if source.title in titles)
        for name, titles in record.needs.items()
    }
    return TrialSpec(
        campaign=record.campaign,
        study=record.study,
        number=record.number,
        strategy=record.strategy,
        settings=record.settings,
        train=campaign.data.train,
        dev=campaign.data.dev,
        data={name.removeprefix(prefix): key for name, key in record.provenance.items() if name.startswith(prefix)},
        needs=needs,
    )


def make_spec(
    campaign: Campaign, study: StudyDefinition, claim: Claim, start: Start, data: Mapping[str, str]
) -> TrialSpec:
    """The spec of a claimed trial."""
    schema = schema_of(study)
    values = {**claim.params, **claim.overrides}
    needs = dict(start.needs)
    for need in schema.needs:
        chosen = values.get(need.axis) if need.axis else None
        if chosen is not None:
            needs[need.name] = tuple(source for source in needs[need.name] if source.name == chosen)
    settings = _resolve(campaign, study, values, start)
    return TrialSpec(
        campaign=campaign.name,
        study=study.name,
        number=claim.number,
        strategy=study.strategy,
        settings=settings,
        train=campaign.data.train,
        dev=campaign.data.dev,
        data={**_used_data(schema, data), **_model_sources(settings.get("model"))},
        needs=needs,
    )
