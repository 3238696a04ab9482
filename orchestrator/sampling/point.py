"""Points that wait to be tried, and trials that were claimed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search_spaces.replicates import SEED
from search_spaces.space import Value


@dataclass(frozen=True, slots=True)
class Point:
    """A point to try before any search, or after it.

    Attributes:
        params: Values of axes; those left out are sampled.
        overrides: Settings laid over the result, outside the space: a reference such as greedy decoding.
        repeats: Number of the trial whose point it repeats with `overrides`; None for a point of its own.
    """

    params: Mapping[str, Value]
    overrides: Mapping[str, Value]
    repeats: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A trial that is ours to run.

    Attributes:
        number: Its number within the study.
        params: Its point, by dotted name.
        overrides: Settings laid over the point.
        run_id: Its run in MLflow if it has been started before.
    """

    number: int
    params: Mapping[str, Value]
    overrides: Mapping[str, Value]
    run_id: str


def confirms(noted: Mapping[str, Any]) -> bool:
    """Whether a trial, of which this is noted, trains the configuration of another one again with a fresh seed."""
    return "repeats" in noted and SEED in noted["overrides"]
