"""Replicates: trials of one configuration that differ by their seed."""

from collections.abc import Container
from itertools import count, islice
from typing import Any

from pydantic import ValidationError

from search_spaces.campaign import ConfirmSettings
from search_spaces.checking import Checker
from search_spaces.schema import StrategySchema
from search_spaces.source import Place

SEED = "train.seed"
REPLICATES = 5
"""Replicates of a study that does not say how many."""
UNCONFIRMED = ConfirmSettings(top=0)


def fresh_seed(number: int, taken: Container[object]) -> int:
    """The seed of a replicate: 1, 2, 3 ... without those that its configuration was trained with before.

    Args:
        number: Number of the replicate, from 0.
        taken: The seeds to leave out.
    """
    return next(islice((seed for seed in count(1) if seed not in taken), number, None))


def can_be_confirmed(schema: StrategySchema) -> bool:
    """Whether trials of a strategy can be trained again with fresh seeds, and are no replicates already."""
    return schema.trains and not schema.replicates


def read_confirm(
    check: Checker, place: Place, written: Any, schema: StrategySchema | None, default: ConfirmSettings | None
) -> ConfirmSettings | None:
    """How a study is confirmed.

    Args:
        check: Takes the mistakes.
        place: Where it is written.
        written: What stands there; None where the study says nothing.
        schema: The study's strategy; None where that is not known.
        default: What the campaign says of all its studies; None where it says nothing.

    Returns:
        None where neither says anything.
    """
    settings = default
    if written is not None:
        try:
            settings = ConfirmSettings.model_validate(written)
        except ValidationError as error:
            check.validation(place, error, ConfirmSettings)
    if schema is None or can_be_confirmed(schema):
        return settings
    if written is not None and settings is not None and settings.top:
        why = "has replicates already" if schema.replicates else "trains nothing"
        check.add(place, f"fresh seeds confirm what is trained, and strategy {schema.name!r} {why}; drop it")
    return UNCONFIRMED


def check_replicated(check: Checker, place: Place, study: str) -> None:
    """Note a mistake if a study has no configuration that could be trained again.

    Args:
        check: Takes the mistake.
        place: Where the study is named.
        study: What is named: a study, or the folder of a checkpoint.
    """
    bodies = check.source.data["studies"]
    if study not in bodies:
        check.add(place, f"takes the configuration of a study, and {study} is a folder; name a study")
        return
    body = bodies[study]
    schema = (check.catalogue or {}).get(body.get("strategy", "")) if isinstance(body, dict) else None
    if schema is None:
        return  # that mistake is noted where the study is read
    if not schema.trains:
        check.add(place, f"study {study} trains nothing (strategy {schema.name}); name one that does")
    elif schema.replicates:
        check.add(place, f"study {study} is itself of replicates; name the study that they repeat")
