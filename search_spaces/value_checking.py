"""Whether the values that a study fixes or searches are settings of its strategy, and values that these can have."""

from collections.abc import Mapping
from typing import Any, get_origin

from pydantic import ValidationError

from search_spaces.axes.settings import overlay
from search_spaces.checking import Checker, fields_at, plain_message, section_of, unknown_name
from search_spaces.replicates import SEED
from search_spaces.schema import StrategySchema
from search_spaces.source import Place
from search_spaces.space import Space, Value


def check_values(
    check: Checker,
    place: Place,
    written: Mapping[str, Value | list[int] | None],
    schema: StrategySchema,
    space: Space,
    settings: Mapping[str, Any],
) -> None:
    """Hold every fixed value and both ends of every range against the settings' own declarations.

    Each beside all that the study fixes and the first value of every other axis: some values exclude each other.

    Args:
        check: Takes the mistakes.
        place: Of the study.
        written: What stands under ``fixed:``.
        schema: The study's strategy.
        space: The axes that the study searches.
        settings: The campaign's own.
    """
    fixed = {n: v for n, v in written.items() if _check_axis(check, (*place, "fixed", n), n, schema)}
    if schema.replicates and SEED in fixed:
        check.add((*place, "fixed", SEED), f"every trial of strategy {schema.name!r} has a seed of its own; drop it")
    axes = [axis for axis in space if _check_axis(check, (*place, "space", axis.name), axis.name, schema)]
    first = {axis.name: axis.range.corners()[0] for axis in axes if not axis.when}
    base = overlay(overlay(overlay(settings, schema.fixed), fixed), first)
    known = _faults(check, settings)
    for name, value in fixed.items():
        _fits(check, (*place, "fixed", name), base, name, value, None)
    for location, message in _faults(check, base).items():
        own = any(f"{location}.".startswith(f"{name}.") for name in (*fixed, *first))
        if location not in known and not own:
            check.add(place, f"{location}: {message}")
    known |= _faults(check, base)
    if schema.taps and isinstance(base.get("model"), Mapping) and base["model"].get("class") is not None:
        check.add((*place, "strategy"), f"{schema.name} reaches into the encoder; it cannot train a module of your own")
    for axis in axes:
        here = (*place, "space", axis.name)
        there = overlay(base, {other: value for other, value in axis.when.items() if other in first})
        for value in axis.range.corners():
            if not _fits(check, here, there, axis.name, value, known):
                break


def _check_axis(check: Checker, place: Place, name: str, schema: StrategySchema) -> bool:
    """Whether a dotted name is a setting that this strategy listens to."""
    section, _, field = name.partition(".")
    allowed = [n for part in schema.axes for n in _names_in(check, part)]
    if name in allowed or any(name.startswith(f"{open_}.") for open_ in _open_settings(check) if open_ in allowed):
        return True
    everything = [n for part in check.model.model_fields for n in _names_in(check, part)]
    if name in everything:
        check.add(place, f"has no effect on strategy {schema.name!r}; it listens to: {', '.join(allowed)}")
    else:
        beside = [n for n in allowed if n.startswith(f"{section}.")] if field else []
        check.add(place, unknown_name("setting", name, beside or allowed))
    return False


def _names_in(check: Checker, part: str) -> list[str]:
    field = check.model.model_fields.get(part)
    section = section_of(field.annotation) if field else None
    return [part] if section is None else [f"{part}.{name}" for name in fields_at(section, ())]


def _open_settings(check: Checker) -> list[str]:
    """Settings that hold whatever names a user gives, such as the arguments of a class; each of these is an axis."""
    sections = {part: section_of(field.annotation) for part, field in check.model.model_fields.items()}
    return [
        f"{part}.{name}"
        for part, section in sections.items()
        if section is not None
        for name, field in section.model_fields.items()
        if get_origin(field.annotation) is dict
    ]


def _fits(
    check: Checker,
    place: Place,
    base: Mapping[str, Any],
    name: str,
    value: Value | list[int],
    known: Mapping[str, str] | None,
) -> bool:
    """Whether a setting can have a value; with the faults that are `known`, whether it brings no other either."""
    for location, message in _faults(check, overlay(base, {name: value})).items():
        if f"{location}.".startswith(f"{name}."):
            check.add(place, message)
            return False
        if known is not None and location not in known:
            check.add(place, f"{value!r} does not go with {location}: {message}")
            return False
    return True


def _faults(check: Checker, tree: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with a tree of settings, the first message by dotted name."""
    try:
        check.model.model_validate(tree)
    except ValidationError as error:
        return {".".join(map(str, one["loc"])): plain_message(one) for one in reversed(error.errors())}
    return {}
