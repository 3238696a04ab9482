"""The best points of a surface, searched again with wider pruning at the end of their study.

Pruning that is too narrow hides what a point is worth, in either direction: it loses hypotheses that would be better,
or it keeps a language model of too large a weight from doing harm. So the last trials of a study repeat its best points
with wider thresholds, as trials like any: `orchestrator.advice` says what came of it.
"""

import json
from collections.abc import Sequence

from orchestrator.planning import first_points
from orchestrator.record import TrialRecord
from orchestrator.sampling import Point
from orchestrator.start import schema_of
from search_spaces.axes.decoding import DecodingSettings
from search_spaces.campaign import StudyDefinition

_MOST = 8
_SHARE = 16  # one trial of so many


def repeats_of(study: StudyDefinition, budget: int) -> int:
    """How many trials of a budget are for repeats; none of a small one."""
    return min(budget // _SHARE, _MOST) if schema_of(study).surface else 0


def own_budget(study: StudyDefinition) -> int:
    """Trials a study has in all unless a run says otherwise: no fewer than wait in its queue, and their repeats."""
    queued = len(first_points(study))
    return max(study.trials, queued + repeats_of(study, queued))


def widened_points(trials: Sequence[TrialRecord], count: int) -> list[Point]:
    """The best points that were not repeated yet, with wider pruning.

    Args:
        trials: The study's trials.
        count: How many at most.
    """
    repeated = {trial.repeats for trial in trials}
    searched = [trial for trial in trials if trial.dev_wer is not None and not trial.overrides]
    searched.sort(key=lambda trial: (trial.number not in repeated, trial.dev_wer, trial.number))
    found: dict[str, Point] = {}
    for trial in searched:
        settings = DecodingSettings.model_validate(trial.settings.get("decoding", {}))
        if settings.method == "beam":
            wider = {f"decoding.{name}": value for name, value in settings.widened().items()}
            found.setdefault(json.dumps(dict(trial.params), sort_keys=True), Point(trial.params, wider, trial.number))
    return [point for point in found.values() if point.repeats not in repeated][:count]
