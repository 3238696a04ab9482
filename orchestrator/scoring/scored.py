"""Systems scored on the same utterances, each compared with the first."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from orchestrator.leaderboard.comparison import Comparison, compare
from orchestrator.leaderboard.evidence import Evidence, rate_interval
from orchestrator.scoring.references import ReferenceFile
from trainers.artifacts import Score
from trainers.outcomes import UtteranceErrors
from trainers.scoring.bootstrap import Interval
from trainers.scoring.scorer import Scorer, find_scorer

_FOLD = "fold-1"
_OF_CASE = 0.1  # share of the errors from which on it is said that they are of case alone


@dataclass(frozen=True, slots=True)
class ScoredSystem:
    """What one system recognised, scored.

    Attributes:
        name: Tells it from the others.
        score: Errors, pooled.
        errors: By utterance, with texts.
        rate: WER and its interval; None where resampling tells nothing: no utterance is wrong, or a single utterance or
            speaker would be drawn.
        comparison: With the first system.
    """

    name: str
    score: Score
    errors: UtteranceErrors
    rate: Interval | None
    comparison: Comparison


def score_systems(
    references: ReferenceFile,
    hypotheses: Mapping[str, Mapping[str, str]],
    scorer: Scorer,
    speakers: Mapping[str, str] | None = None,
) -> list[ScoredSystem]:
    """Score systems and compare them with the first.

    Args:
        references: What was said.
        hypotheses: What each system recognised by utterance, in the order of the references; by its name.
        scorer: Counts the errors.
        speakers: Speakers of the utterances, which are then drawn together; None draws utterances.

    Raises:
        ScoringError: The references hold no word.
    """
    scores = {
        name: [scorer.score(references.texts[key], text) for key, text in texts.items()]
        for name, texts in hypotheses.items()
    }
    errors = {name: _by_utterance(references, hypotheses[name], found) for name, found in scores.items()}
    compared = compare(
        {name: Evidence(test=found) for name, found in errors.items()},
        {},
        next(iter(hypotheses)),
        scorers=dict.fromkeys(hypotheses, scorer.name),
        speakers=speakers,
    )
    return [
        ScoredSystem(
            name,
            sum(scores[name], Score()),
            found,
            rate_interval(found, speakers) if found.errors.any() else None,
            compared[name],
        )
        for name, found in errors.items()
    ]


def _by_utterance(references: ReferenceFile, texts: Mapping[str, str], scores: list[Score]) -> UtteranceErrors:
    return UtteranceErrors(
        tuple(references.texts),
        np.array([score.errors for score in scores], np.int64),
        np.array([score.words for score in scores], np.int64),
        tuple(zip(references.texts.values(), texts.values(), strict=True)),
    )


def tell_case(systems: Iterable[ScoredSystem], scorer: Scorer, warn: Callable[[str], None]) -> None:
    """Say of which systems the errors are many that are no errors once case does not count.

    Args:
        systems: What was scored.
        scorer: Counted the errors.
        warn: Told of each.
    """
    if _FOLD in scorer.normaliser.name.split("+"):
        return
    folding = find_scorer(f"{scorer.name}{'+' if scorer.normaliser.name else '/'}{_FOLD}")
    for system in systems:
        left = sum((folding.score(*pair) for pair in system.errors.texts), Score()).errors
        if system.score.errors - left > _OF_CASE * system.score.errors:
            warn(
                f"{system.score.errors - left} of the {system.score.errors} errors of {system.name} are of case alone; "
                f"--scorer {folding.name} leaves them out"
            )
