"""Whether a scorer can read the references of a set, found out before anything is recognised."""

from collections.abc import Iterable
from pathlib import Path

from search_spaces.errors import DataError, Mistake, ScoringError
from trainers.artifacts import Utterance
from trainers.scoring.scorer import Scorer


def refuse_references(manifest: Path, utterances: Iterable[Utterance], scorer: Scorer) -> None:
    """Refuse a set with references that a scorer cannot read.

    Args:
        manifest: Where the set was read from.
        utterances: The set.
        scorer: Counts the errors.

    Raises:
        DataError: With the line of every such reference.
    """
    mistakes = []
    for utterance in utterances:
        try:
            scorer.score(utterance.text, "")
        except ScoringError as error:
            mistakes.append(Mistake(utterance.line, "text", f"cannot be scored by {scorer.name}: {error}"))
    if mistakes:
        raise DataError(manifest, mistakes)
