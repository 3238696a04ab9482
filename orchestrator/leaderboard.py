"""WER per strategy, from records alone."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from orchestrator.record import StudyRecord, TrialRecord, TrialState

COLUMNS = (
    "strategy",
    "study",
    "trials",
    "completed",
    "pruned",
    "failed",
    "dev_wer",
    "substitutions",
    "deletions",
    "insertions",
    "reference_words",
    "units",
    "decoder",
    "parameters",
    "weights",
    "training_seconds",
    "seed",
    "trial",
    "run_id",
    "checkpoint",
    "promoted",
)

# pandas would write 12 as 12.0 as soon as one study has no result
_COUNTS = ("substitutions", "deletions", "insertions", "reference_words", "weights", "seed", "trial")


def leaderboard(studies: Sequence[StudyRecord], champion: TrialRecord | None = None) -> pd.DataFrame:
    """One row a study, the lowest dev WER first; a study without a complete trial comes last.

    ``dev_wer`` (percent) and what follows it are of the study's best complete trial; ``training_seconds`` is the wall
    time of all its trials; ``checkpoint`` is a folder of the home. ``promoted`` says ``study`` for the best of its
    study and ``champion`` for that of the campaign. The best of several trials on dev is better there than it would
    be elsewhere.

    Args:
        studies: The studies with all their trials.
        champion: The campaign's champion.
    """
    rows = [_row(study, champion) for study in studies]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(_COUNTS, "Int64"))
    return table.sort_values("dev_wer", kind="stable", na_position="last", ignore_index=True)


def _row(study: StudyRecord, champion: TrialRecord | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "strategy": study.strategy,
        "study": study.name,
        "trials": len(study.trials),
        "completed": study.count(TrialState.COMPLETE),
        "pruned": study.count(TrialState.PRUNED),
        "failed": study.count(TrialState.FAILED),
        "training_seconds": round(sum(trial.outcome.seconds for trial in study.trials if trial.outcome), 1),
        "promoted": "",
    }
    best = study.best
    if best is None or best.outcome is None or best.outcome.score is None:
        return row
    outcome, score = best.outcome, best.outcome.score
    is_champion = champion is not None and (champion.study, champion.number) == (best.study, best.number)
    return row | {
        "dev_wer": round(score.wer, 2),
        "substitutions": score.substitutions,
        "deletions": score.deletions,
        "insertions": score.insertions,
        "reference_words": score.words,
        "units": outcome.units,
        "decoder": outcome.decoder,
        "parameters": json.dumps(dict(best.params), ensure_ascii=False),
        "weights": outcome.weights,
        "seed": best.seed,
        "trial": best.number,
        "run_id": best.run_id,
        "checkpoint": f"store/checkpoints/{outcome.checkpoint}",
        "promoted": "champion" if is_champion else "study" if best.promoted else "",
    }
