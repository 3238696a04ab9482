"""From a campaign to the specs of its trials: what each would run with."""

import random
from collections.abc import Mapping
from itertools import product
from typing import Any

from pydantic import BaseModel, ValidationError

from orchestrator.record import TrialRecord
from orchestrator.sampling import Claim, Point
from orchestrator.start import Start, replicated_name, schema_of, trained_by
from search_spaces.axes.decoding import LanguageModelSettings
from search_spaces.axes.features import FeatureSettings
from search_spaces.axes.settings import Settings, overlay
from search_spaces.campaign import Campaign, StudyDefinition
from search_spaces.checking import plain_message
from search_spaces.errors import UserError
from search_spaces.replicates import SEED, fresh_seed
from search_spaces.schema import StrategySchema
from search_spaces.scorers import DEFAULT
from search_spaces.space import Axis, Categorical, Space, Value
from trainers.data.features import features_key
from trainers.data.manifest import fingerprint, read_manifest
from trainers.model.own import source_digest
from trainers.pipeline import resolve_settings
from trainers.spec import SCORER, TUNING, TrialSpec, without_paths
from trainers.store import digest_files


def replicated_study(campaign: Campaign, study: StudyDefinition) -> StudyDefinition:
    """The study whose configuration another one trains again; a study that repeats none is its own."""
    name = replicated_name(study)
    return campaign.studies[name] if name else study


def data_fingerprints(campaign: Campaign) -> dict[str, str]:
    """Fingerprints of the files that results depend on, by name.

    Beside them the share of dev that tunes, if it is parted, and the scorer, if it is not the plain one.

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
    if campaign.data.tuning is not None:
        found[TUNING] = str(campaign.data.tuning)
    if campaign.scorer != DEFAULT:
        found[SCORER] = campaign.scorer
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
    return _settings(campaign, study, values or {}, Start())


def _settings(campaign: Campaign, study: StudyDefinition, values: Mapping[str, Value], start: Start) -> Settings:
    again = start.configuration
    base = again.settings if again else overlay(campaign.settings, schema_of(study).fixed)
    base = overlay(base, start.inherited)
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
    settings = _settings(campaign, study, values, start)
    sections = {name: getattr(settings, name) for name in used_sections(trained_by(study.strategy, start))}
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


def feature_fingerprints(spec: TrialSpec) -> dict[str, str]:
    """Keys of the features a training trial reads, by name; none for a trial that takes a checkpoint's."""
    if "features" not in spec.settings:
        return {}
    settings = FeatureSettings.model_validate(spec.settings["features"])
    return {f"features_{split}": features_key((), settings, spec.data[split]) for split in ("train", "dev")}


def stored_spec(campaign: Campaign, record: TrialRecord, start: Start) -> TrialSpec:
    """The spec of a trial that has been run, as its record says.

    Args:
        campaign: The campaign.
        record: The trial.
        start: What its study started from.
    """
    prefix = "data_"
    schema = trained_by(record.strategy, start)
    data = {name.removeprefix(prefix): key for name, key in record.provenance.items() if name.startswith(prefix)}
    return TrialSpec(
        campaign=record.campaign,
        study=record.study,
        number=record.number,
        strategy=schema.name,
        settings=record.settings,
        train=campaign.data.train,
        dev=campaign.data.dev,
        data={**_used_data(schema, data), **_model_sources(record.settings.get("model"))},
        needs=start.chosen_by(record),
    )


def make_spec(
    campaign: Campaign, study: StudyDefinition, claim: Claim, start: Start, data: Mapping[str, str]
) -> TrialSpec:
    """The spec of a claimed trial."""
    schema = trained_by(study.strategy, start)
    values = {**claim.params, **claim.overrides}
    if schema_of(study).replicates:
        values = {SEED: fresh_seed(claim.number, () if start.seed is None else (start.seed,)), **values}
    needs = dict(start.ingredients)
    for need in schema.needs:
        chosen = values.get(need.axis) if need.axis else None
        if chosen is not None:
            needs[need.name] = tuple(source for source in needs[need.name] if source.name == chosen)
    settings = _resolve(campaign, study, values, start)
    return TrialSpec(
        campaign=campaign.name,
        study=study.name,
        number=claim.number,
        strategy=schema.name,
        settings=settings,
        train=campaign.data.train,
        dev=campaign.data.dev,
        data={**_used_data(schema, data), **_model_sources(settings.get("model"))},
        needs=needs,
    )
