"""Reading one study of a campaign file."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, ValidationError

from search_spaces.axes.section import Section
from search_spaces.campaign import STUDY_NAME, ConfirmSettings, KeepSettings, SamplerSettings, StudyDefinition
from search_spaces.checking import Checker, unknown_name
from search_spaces.pools import check_pooled
from search_spaces.products import check_product
from search_spaces.pruner_reading import read_pruner
from search_spaces.replicates import REPLICATES, check_replicated, read_confirm
from search_spaces.schema import Need, StrategySchema
from search_spaces.source import Place
from search_spaces.space import Axis, Categorical, Float, Space, parse_range
from search_spaces.value_checking import check_values


class _StudyKeys(Section):
    """The plain keys of a study; the rest of `read_study` reads what needs more than a type."""

    strategy: str
    needs: dict[str, str | list[str]] = Field(default_factory=dict)
    trials: int | None = Field(None, ge=1, le=1_000_000)
    space: dict[str, Any] = Field(default_factory=dict)
    fixed: dict[str, str | bool | int | float | list[int] | None] = Field(default_factory=dict)
    inherit: str | None = None
    enqueue: list[dict[str, str | bool | int | float | None]] = Field(default_factory=list)
    sampler: SamplerSettings = Field(default_factory=SamplerSettings)
    pruner: str | dict[str, Any] = Field(default_factory=dict)
    seed: int = Field(1, ge=0, lt=2**31)
    keep: KeepSettings | None = None
    confirm: str | dict[str, Any] | None = None
    hypothesis: tuple[float, float] | None = Field(None, strict=False)


def read_study(
    check: Checker,
    name: str,
    body: Any,
    siblings: Iterable[str],
    settings: Mapping[str, Any],
    keep: KeepSettings,
    confirm: ConfirmSettings | None,
) -> StudyDefinition | None:
    """Read the study under ``studies: NAME:``; None when it is too broken to go on."""
    place: Place = ("studies", name)
    if not re.match(STUDY_NAME, name):
        check.add(place, "a study's name has small letters, digits and _, a letter first")
    if not isinstance(body, dict):
        check.add(place, "needs at least {strategy: NAME}")
        return None
    try:
        keys = _StudyKeys.model_validate(body)
    except ValidationError as error:
        check.validation(place, error, _StudyKeys)
        return None
    schema = _schema(check, place, keys.strategy)
    siblings = list(siblings)
    needs = _needs(check, place, keys, schema, siblings)
    if keys.inherit == name:
        check.add((*place, "inherit"), "the study inherits from itself; name another study")
    elif keys.inherit is not None and keys.inherit not in siblings:
        check.add((*place, "inherit"), unknown_name("study", keys.inherit, siblings))
    if keys.hypothesis is not None and not 0 <= keys.hypothesis[0] <= keys.hypothesis[1]:
        check.add((*place, "hypothesis"), f"needs [low, high] in percent; got {list(keys.hypothesis)}")
    for setting in keys.fixed:
        if setting in keys.space:
            check.add((*place, "fixed", setting), "is also searched under 'space:'; keep one of the two")
    space = _space(check, place, keys)
    if schema is not None:
        check_values(check, place, keys.fixed, schema, space, settings)
    space = _with_choice_of_needs(check, place, keys, schema, needs, space)
    if check.catalogue is not None:  # else the axes that follow from needs are not known
        _check_points(check, place, keys, space)
    return StudyDefinition(
        name=name,
        strategy=keys.strategy,
        space=space,
        trials=_trials(check, place, keys, schema, space),
        needs=needs,
        fixed=keys.fixed,
        inherit=keys.inherit,
        enqueue=tuple(keys.enqueue),
        sampler=keys.sampler,
        pruner=read_pruner(check, (*place, "pruner"), keys.pruner, schema),
        seed=keys.seed,
        keep=keys.keep or keep,
        confirm=read_confirm(check, (*place, "confirm"), keys.confirm, schema, confirm),
        hypothesis=keys.hypothesis,
    )


def _schema(check: Checker, place: Place, strategy: str) -> StrategySchema | None:
    if check.catalogue is None:
        return None
    if strategy not in check.catalogue:
        check.add((*place, "strategy"), unknown_name("strategy", strategy, check.catalogue))
        return None
    schema = check.catalogue[strategy]
    for section in schema.requires:
        if check.source.data.get(section) is None:
            check.add(
                (*place, "strategy"), f"strategy {strategy!r} needs the section '{section}:' at the top of the file"
            )
    return schema


def _needs(
    check: Checker, place: Place, keys: _StudyKeys, schema: StrategySchema | None, siblings: list[str]
) -> dict[str, tuple[str, ...]]:
    needs = {key: (value,) if isinstance(value, str) else tuple(value) for key, value in keys.needs.items()}
    # of a strategy that is not known any need may name single trials
    unknown = {key: Need(key, "", many=True, every_trial=True) for key in needs}
    declared = {need.name: need for need in schema.needs} if schema else unknown
    for key, names in needs.items():
        here = (*place, "needs", key)
        if key not in declared:
            check.add(here, unknown_name(f"need of strategy {keys.strategy!r}", key, declared))
            continue
        if not names:
            check.add(here, "names no study")
        if len(names) > 1 and not declared[key].many:
            check.add(here, f"takes one study; got {len(names)}")
        for name in names:
            if name == place[1]:
                check.add(here, "the study needs itself; name another study")
            elif declared[key].every_trial:
                check_pooled(check, here, name, [sibling for sibling in siblings if sibling != place[1]])
            elif name not in siblings and "/" not in name:
                check.add(here, unknown_name("study", name, (s for s in siblings if s != place[1])))
            elif declared[key].replicated:
                check_replicated(check, here, name)
            else:
                check_product(check, here, declared[key], name)
    for key, need in declared.items():
        if key not in needs and not need.optional:
            check.add(place, f"strategy {keys.strategy!r} needs {key}: {need.summary}; write needs: {{{key}: STUDY}}")
    return needs


def _space(check: Checker, place: Place, keys: _StudyKeys) -> Space:
    axes: list[Axis] = []
    for name, spec in keys.space.items():
        here = (*place, "space", name)
        try:
            found = parse_range(spec)
        except ValueError as error:
            check.add(here, str(error))
            continue
        when = spec.get("when") or {}
        if not isinstance(when, dict):
            check.add((*here, "when"), f"needs {{SETTING: VALUE}}; got {when!r}")
            continue
        axes.append(Axis(name, found, when))
    known = {axis.name: axis for axis in axes}
    for axis in axes:
        for other, value in axis.when.items():
            here = (*place, "space", axis.name, "when", other)
            if other not in known or other == axis.name:
                check.add(here, unknown_name("axis", other, (n for n in known if n != axis.name)))
            elif not isinstance(known[other].range, Categorical):
                check.add(here, "a condition stands on an axis with choices; this one is a range")
            elif not known[other].range.contains(value):
                check.add(here, f"{value!r} is not {known[other].range}")
            elif known[other].when:
                check.add(here, "a condition on an axis that is itself conditional is not supported")
    return Space(tuple(sorted(axes, key=lambda axis: bool(axis.when))))


def _with_choice_of_needs(
    check: Checker,
    place: Place,
    keys: _StudyKeys,
    schema: StrategySchema | None,
    needs: Mapping[str, tuple[str, ...]],
    space: Space,
) -> Space:
    """The space with one more axis for every need that has several studies to choose from."""
    axes = list(space.axes)
    for need in schema.needs if schema else ():
        names = needs.get(need.name, ())
        for key, written in (("space", keys.space), ("fixed", keys.fixed)):
            if need.axis and need.axis in written:
                check.add((*place, key, need.axis), f"follows from the studies under 'needs: {need.name}:'; drop it")
        if need.axis and len(names) > 1:
            axes.insert(0, Axis(need.axis, Categorical(names)))
    return Space(tuple(axes))


def _check_points(check: Checker, place: Place, keys: _StudyKeys, space: Space) -> None:
    axes = {axis.name: axis for axis in space}
    for index, point in enumerate(keys.enqueue):
        for name, value in point.items():
            here = (*place, "enqueue", index, name)
            if name not in axes:
                check.add(here, unknown_name("axis of this study", name, axes))
            elif not axes[name].range.contains(value):
                check.add(here, f"{value!r} is outside the axis: {axes[name].range}")
    if keys.sampler.kind == "grid":
        for axis in space:
            if axis.range.grid() is None:
                check.add((*place, "space", axis.name), "a grid needs a step here: {float: [low, high], step: S}")
            if axis.when:
                check.add((*place, "space", axis.name), "a grid cannot have conditional axes; use sampler: tpe")
    if keys.sampler.kind == "cmaes" and not any(isinstance(axis.range, Float) for axis in space):
        check.add((*place, "sampler"), "cmaes needs at least one axis of real numbers; use sampler: tpe")


def _trials(check: Checker, place: Place, keys: _StudyKeys, schema: StrategySchema | None, space: Space) -> int:
    """The budget: as written, or the size of the grid; where there is nothing to search 1, or so many replicates."""
    if keys.trials is not None:
        return keys.trials
    if keys.sampler.kind == "grid":
        size = 1
        for axis in space:
            size *= len(axis.range.grid() or [None])
        return size
    if len(space):
        check.add(place, "trials is missing: how many points of the space to try")
    return REPLICATES if schema and schema.replicates else 1
