"""How far a study is, and how long the rest will take."""

from dataclasses import dataclass
from statistics import median

from orchestrator.record import StudyRecord, TrialState
from search_spaces.campaign import StudyDefinition


@dataclass(frozen=True, slots=True)
class StudyProgress:
    """How far a study is.

    Attributes:
        study: Its name.
        strategy: Its strategy.
        complete: Trials that ran to their end.
        pruned: Trials that were stopped because they were losing.
        failed: Trials that could not be run.
        running: Trials that run now.
        waiting: Trials in the queue.
        budget: Trials it may have in all.
        confirmed: Of the trials that have ended, those that confirm.
        confirmations: Of the budget, those that confirm.
        freed: Trials whose weights were freed.
        best_dev_wer: Percent; None before a trial is complete.
        seconds_a_trial: Median wall time of its finished trials; None before there is one.
        seconds_left: Time until its budget is used up at the present pace; None when it cannot be told.
    """

    study: str
    strategy: str
    complete: int
    pruned: int
    failed: int
    running: int
    waiting: int
    budget: int
    confirmed: int
    confirmations: int
    freed: int
    best_dev_wer: float | None
    seconds_a_trial: float | None
    seconds_left: float | None


def study_progress(definition: StudyDefinition, record: StudyRecord | None) -> StudyProgress:
    """How far a study is, from its records.

    Args:
        definition: The study as the campaign file has it.
        record: What is stored of it; None when nothing is.
    """
    record = record or StudyRecord("", definition.name, definition.strategy)
    budget = max(record.budget or definition.trials, len(record.trials))
    return StudyProgress(
        study=definition.name,
        strategy=definition.strategy,
        complete=record.count(TrialState.COMPLETE),
        pruned=record.count(TrialState.PRUNED),
        failed=record.count(TrialState.FAILED),
        running=record.count(TrialState.RUNNING),
        waiting=record.count(TrialState.WAITING),
        budget=budget,
        confirmed=sum(trial.confirms is not None and trial.state.finished for trial in record.trials),
        confirmations=record.confirmations,
        freed=sum(trial.freed for trial in record.trials),
        best_dev_wer=record.best.dev_wer if record.best else None,
        seconds_a_trial=seconds_a_trial(record),
        seconds_left=seconds_left(record, budget),
    )


def seconds_left(record: StudyRecord, budget: int) -> float | None:
    """Wall time until a study's budget is used up at the present pace; None before a trial is complete."""
    left = budget - record.finished
    took = seconds_a_trial(record)
    if left <= 0:
        return 0.0
    return None if took is None else took * left / max(record.count(TrialState.RUNNING), 1)


def seconds_a_trial(record: StudyRecord) -> float | None:
    """Median wall time of the trials of a study that ran to their end; None before there is one."""
    took = [trial.outcome.seconds for trial in record.trials if trial.dev_wer is not None and trial.outcome]
    return median(took) if took else None
