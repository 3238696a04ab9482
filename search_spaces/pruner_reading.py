"""Reading which pruner a study has: the one it names, or the one that its strategy has unasked."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from search_spaces.campaign import PrunerSettings
from search_spaces.checking import Checker
from search_spaces.schema import StrategySchema
from search_spaces.source import Place


def read_pruner(
    check: Checker, place: Place, written: str | Mapping[str, Any], schema: StrategySchema | None
) -> PrunerSettings:
    """The pruner of a study.

    Args:
        check: Takes the mistakes.
        place: Where it is written.
        written: A kind, or settings; empty where the study says nothing.
        schema: The study's strategy; None where that is not known.
    """
    settings = {"kind": written} if isinstance(written, str) else dict(written)
    if schema is not None:
        settings.setdefault("kind", schema.pruners[0])
    try:
        pruner = PrunerSettings.model_validate(settings)
    except ValidationError as error:
        check.validation(place, error, PrunerSettings)
        return PrunerSettings()
    if schema is not None and pruner.kind not in schema.pruners:
        why = "trains epoch by epoch" if schema.trains else "trains nothing"
        valid = ", ".join(schema.pruners)
        check.add(place, f"{pruner.kind!r} cannot stop trials of strategy {schema.name!r}, which {why}; valid: {valid}")
    return pruner
