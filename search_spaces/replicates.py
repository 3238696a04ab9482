"""Replicates: trials of one configuration that differ by their seed."""

from search_spaces.checking import Checker
from search_spaces.source import Place

SEED = "train.seed"
REPLICATES = 5
"""Replicates of a study that does not say how many."""


def fresh_seed(number: int, taken: int | None) -> int:
    """The seed of a replicate: 1, 2, 3 ... without the one that its configuration was chosen with.

    Args:
        number: Number of the trial within its study, from 0.
        taken: The seed to leave out; None where there is none.
    """
    seed = number + 1
    return seed + 1 if taken is not None and 1 <= taken <= seed else seed


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
