"""What comes of a study, and whether it serves the need of another that names it."""

from collections.abc import Mapping
from typing import Any

from search_spaces.checking import Checker, section_of
from search_spaces.schema import Need, Product, StrategySchema
from search_spaces.source import Place
from search_spaces.space import Categorical, parse_range


def check_product(check: Checker, place: Place, need: Need, study: str) -> None:
    """Note a mistake if what comes of a study cannot serve, whichever of its trials is promoted.

    Args:
        check: Takes the mistake.
        place: Where the study is named, below the study that needs it.
        need: What it is to serve.
        study: What is named: a study, or the folder of a checkpoint.
    """
    products = _products(check, study)
    taken: set[Product] = {"network"}
    if need.texts is not None:
        taken.add("frames")
        setting, value = need.texts
        if _values(check, str(place[1]), setting) <= {value}:
            taken.add("texts")
    if not products or products & taken:
        return
    what = " or ".join(sorted(products)).replace("texts", "hypotheses").replace("frames", "posteriors")
    said = f"study {study} is an ensemble that gives {what}"
    if need.texts is None:
        check.add(place, f"{said}, and {need.name} takes one network; name the study of one of its members")
    else:
        check.add(place, f"{said} alone, which serve with {setting}: {value} and with no other; fix that")


def _products(check: Checker, study: str) -> set[Product]:
    """What may come of a study; empty where that is not known."""
    schema = _schema(check, study)
    if schema is None:
        return set()
    if schema.gives is None:
        return {"network"}
    setting, products = schema.gives
    return {products[value] for value in _values(check, study, setting) if value in products}


def _values(check: Checker, study: str, setting: str) -> set[Any]:
    """The values that a setting may have in a study; empty where that is not known."""
    body, schema = check.source.data["studies"][study], _schema(check, study)
    fixed, space = (body.get(key) if isinstance(body.get(key), dict) else {} for key in ("fixed", "space"))
    if schema is None or (body.get("inherit") and setting not in fixed and setting not in space):
        return set()
    if setting in space:
        try:
            found = parse_range(space[setting])
        except ValueError:  # that mistake is noted where the space is read
            return set()
        return set(found.choices) if isinstance(found, Categorical) else set()
    name, _, field = setting.partition(".")
    section, kind = check.source.data.get(name), section_of(check.model.model_fields[name].annotation)
    assert kind is not None  # settings of needs and products are those of sections
    there = section if isinstance(section, Mapping) else {}
    value = {field: kind.model_fields[field].default, **there}[field]
    value = {setting: value, **schema.fixed, **fixed}[setting]
    return {value} if isinstance(value, str) else set()


def _schema(check: Checker, study: str) -> StrategySchema | None:
    body = check.source.data["studies"].get(study)
    strategy = body.get("strategy") if isinstance(body, dict) else None
    return (check.catalogue or {}).get(strategy) if isinstance(strategy, str) else None
