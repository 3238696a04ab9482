"""From Optuna's trials to our records."""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from orchestrator.record import FinalScore, StudyRecord, TrialRecord, TrialState
from trainers.artifacts import Score
from trainers.spec import TrialOutcome

_STATES = {
    optuna.trial.TrialState.WAITING: TrialState.WAITING,
    optuna.trial.TrialState.RUNNING: TrialState.RUNNING,
    optuna.trial.TrialState.COMPLETE: TrialState.COMPLETE,
    optuna.trial.TrialState.PRUNED: TrialState.PRUNED,
    optuna.trial.TrialState.FAIL: TrialState.FAILED,
}


def study_record(campaign: str, name: str, attributes: Mapping[str, Any], trials: Sequence[FrozenTrial]) -> StudyRecord:
    """A study with its trials.

    Args:
        campaign: Name of the campaign.
        name: Name of the study.
        attributes: What is noted of the study.
        trials: All of them, by number.
    """
    return StudyRecord(
        campaign,
        name,
        attributes.get("strategy", ""),
        tuple(trial_record(campaign, name, attributes, trial) for trial in trials),
        attributes.get("promoted"),
        attributes.get("promoted_beside"),
        attributes.get("run_id", ""),
        attributes.get("budget", 0),
        attributes.get("changes", {}),
        tuple(attributes.get("advice", ())),
        attributes.get("start") or {},
        attributes.get("confirm", {}),
        attributes.get("confirmations", 0),
    )


def trial_record(campaign: str, study: str, attributes: Mapping[str, Any], trial: FrozenTrial) -> TrialRecord:
    """A trial.

    Args:
        campaign: Name of the campaign.
        study: Name of the study.
        attributes: What is noted of the study.
        trial: The trial; what it started with and came to is noted in its attributes.
    """
    noted = trial.user_attrs
    state = _STATES[trial.state]
    queued = trial.system_attrs.get("fixed_params", {})
    started = noted.get("started", {})
    outcome = noted.get("outcome")
    return TrialRecord(
        campaign=campaign,
        study=study,
        strategy=attributes.get("strategy", ""),
        number=trial.number,
        state=state,
        params={**queued, **trial.params, **noted.get("overrides", {})},
        settings=started.get("settings", {}),
        needs={name: tuple(sources) for name, sources in started.get("needs", {}).items()},
        curve=dict(trial.intermediate_values),
        outcome=TrialOutcome.of(outcome) if outcome is not None and state.finished else None,
        error=noted.get("error", ""),
        started=trial.datetime_start,
        finished=trial.datetime_complete,
        key=started.get("key", ""),
        provenance=started.get("provenance", {}),
        run_id=noted.get("run_id", ""),
        deaths=noted.get("deaths", 0),
        promoted=trial.number == attributes.get("promoted"),
        freed=trial.number in attributes.get("freed", ()),
        overrides=noted.get("overrides", {}),
        repeats=noted.get("repeats"),
        final=_final(attributes.get("finals", {}).get(str(trial.number))),
    )


def _final(noted: Mapping[str, Any] | None) -> FinalScore | None:
    return None if noted is None else FinalScore(Score(**noted["score"]), noted["look"], noted["test_set"])
