"""The WER of a system on a set that is nobody's test set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.overlap import refuse_test_set
from search_spaces.errors import DataError, Mistake
from trainers.artifacts import Score, Utterance
from trainers.data.manifest import read_manifest
from trainers.scoring.notation import check_notation
from trainers.scoring.scorer import PLAIN, Scorer
from trainers.system import System
from trainers.transcription import Failure, transcribe


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a system did on a set.

    Attributes:
        utterances: Of the set.
        score: Their word errors, pooled.
        without_speaker: Utterances that were normalised for themselves though the system normalises by speaker.
        warnings: What should be known before the figure is believed.
    """

    utterances: int
    score: Score
    without_speaker: int
    warnings: tuple[str, ...] = ()


def evaluate(
    system: System,
    manifest: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    workers: int = 1,
    scorer: Scorer = PLAIN,
) -> Evaluation:
    """Recognise a set and score it.

    Args:
        system: What listens.
        manifest: The set.
        progress: Called with the utterances done and all of them.
        workers: How many processes search.
        scorer: Counts the errors.

    Raises:
        SealedError: It is the test set of a campaign, or has recordings of one.
        UserError: Several workers are asked for, and the system does not search.
        DataError: The set cannot be read, or one of its recordings or references cannot.
    """
    utterances = read_manifest(manifest)
    refuse_test_set(manifest, utterances)
    warnings = check_notation(manifest, ((one.line, one.text) for one in utterances), scorer)
    results = transcribe(system, utterances, progress=progress, workers=workers)
    failed = [
        Mistake(utterance.line, "", f"{result.place} {result.reason}")
        for utterance, result in zip(utterances, results, strict=True)
        if isinstance(result, Failure)
    ]
    if failed:
        # the WER of what is left would be that of another set
        raise DataError(manifest, failed)
    hypotheses = [result.best.text for result in results if not isinstance(result, Failure)]
    return Evaluation(
        len(utterances),
        scorer.score_set((utterance.text for utterance in utterances), hypotheses),
        without_speaker(system, utterances),
        tuple(warnings),
    )


def without_speaker(system: System, utterances: Sequence[Utterance]) -> int:
    """Utterances that a system which normalises by speaker has to normalise for themselves."""
    if not system.by_speaker:
        return 0
    return sum(not utterance.speaker for utterance in utterances)
