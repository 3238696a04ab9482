"""WER per strategy, from records alone."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from orchestrator.record import StudyRecord, TrialRecord, TrialState
from orchestrator.seed_noise import seed_noise

COLUMNS = (
    "strategy",
    "study",
    "trials",
    "completed",
    "pruned",
    "failed",
    "dev_wer",
    "best_dev_wer",
    "best_trial",
    "dev_mean",
    "dev_sd",
    "replicates",
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
_COUNTS = (
    *("best_trial", "replicates", "substitutions", "deletions", "insertions", "reference_words"),
    *("weights", "seed", "trial"),
)


def leaderboard(studies: Sequence[StudyRecord], champion: TrialRecord | None = None) -> pd.DataFrame:
    """One row a study, the lowest dev WER first; a study without a complete trial comes last.

    ``dev_wer`` (percent) and what follows it are of the trial that stands for the study: the promoted one, or the best
    so far; ``best_dev_wer`` and ``best_trial`` are of the lowest dev WER, which may be another's; ``dev_mean``,
    ``dev_sd`` and ``replicates`` are of its trials that differ by seed alone. ``training_seconds`` is the wall time of
    all its trials; ``checkpoint`` is a folder of the home. ``promoted`` says ``study`` for the trial promoted for its
    study and ``champion`` for that of the campaign. The best of several trials on dev is better there than it would be
    elsewhere.

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
    best, result = study.best, study.result
    if best is None or best.dev_wer is None or result is None or result.outcome is None or result.outcome.score is None:
        return row
    outcome, score = result.outcome, result.outcome.score
    noise = seed_noise(study)
    if noise is not None:
        row |= {"dev_mean": round(noise.mean, 2), "dev_sd": round(noise.sd, 2), "replicates": noise.replicates}
    is_champion = champion is not None and (champion.study, champion.number) == (result.study, result.number)
    return row | {
        "dev_wer": round(score.wer, 2),
        "best_dev_wer": round(best.dev_wer, 2),
        "best_trial": best.number,
        "substitutions": score.substitutions,
        "deletions": score.deletions,
        "insertions": score.insertions,
        "reference_words": score.words,
        "units": outcome.units,
        "decoder": outcome.decoder,
        "parameters": json.dumps(dict(result.params), ensure_ascii=False),
        "weights": outcome.weights,
        "seed": result.seed,
        "trial": result.number,
        "run_id": result.run_id,
        "checkpoint": f"store/checkpoints/{outcome.checkpoint}",
        "promoted": "champion" if is_champion else "study" if result.promoted else "",
    }
