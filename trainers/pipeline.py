"""Trials from their specs to their outcomes; what was done before is not done again."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from search_spaces.axes.settings import Settings, with_sections
from trainers.artifacts import Hypothesis
from trainers.data.sealed import SealedSet
from trainers.outcomes import load_outcome, write_outcome
from trainers.spec import DecodingReport, EpochReport, TrialOutcome, TrialSpec
from trainers.store import Store
from trainers.strategies import find_strategy, sections
from trainers.trial import Report, Trial, read_texts


def resolve_settings(tree: dict[str, Any]) -> Settings:
    """Settings from a tree of plain values, with the sections of all strategies."""
    return with_sections(sections()).model_validate(tree)


def run_trial(spec: TrialSpec, store: Store, report: Report) -> TrialOutcome:
    """Run a trial, or take its outcome from the store if it has been run before and its weights are still there.

    Args:
        spec: What is asked.
        store: Where artifacts come from and go to.
        report: Told every epoch; False asks the trial to stop because it is losing.

    Raises:
        UserError: The data, a checkpoint or the settings do not fit.
    """
    ((_, outcome),) = run_trials([spec], store, lambda _, epoch: report(epoch))
    return outcome


def run_trials(
    specs: Sequence[TrialSpec],
    store: Store,
    report: Callable[[TrialSpec, EpochReport], bool],
    tell: Callable[[TrialSpec, DecodingReport], None] = lambda spec, report: None,
) -> Iterator[tuple[TrialSpec, TrialOutcome]]:
    """Run trials of one strategy, or take their outcomes from the store.

    Args:
        specs: What is asked.
        store: Where artifacts come from and go to.
        report: Told every epoch of every trial; False asks the trial to stop because it is losing.
        tell: Told the parts of a set that takes long to decode.

    Yields:
        Each spec with its outcome as soon as there is one, in any order.

    Raises:
        UserError: The data, a checkpoint or the settings of one of them do not fit; no further one is run.
    """
    trials, texts = [], cache(read_texts)
    for spec in specs:
        outcome = load_outcome(store.path("outcomes", spec.key)) if store.has("outcomes", spec.key) else None
        if outcome is not None and (not _trains(spec) or store.has("checkpoints", outcome.checkpoint)):
            yield spec, outcome
        else:
            settings = resolve_settings(dict(spec.settings))
            trials.append(Trial(spec, settings, store, partial(report, spec), tell=partial(tell, spec), texts=texts))
    if trials:
        for trial, outcome, hypotheses in find_strategy(specs[0].strategy).run_all(trials):
            yield trial.spec, outcome if outcome.pruned else _keep(trial, outcome, hypotheses)


def _trains(spec: TrialSpec) -> bool:
    return find_strategy(spec.strategy).schema.trains


def recognise(spec: TrialSpec, outcome: TrialOutcome, test: SealedSet, store: Store) -> list[Hypothesis]:
    """What the system that a trial came to says of a test set.

    Args:
        spec: The trial, which has been run.
        outcome: What came of it.
        test: The set.
        store: Where artifacts come from and go to.

    Returns:
        A hypothesis for every recording, in the order of the set.

    Raises:
        CheckpointError: A part of the system is not in the store any more.
        DataError: A recording cannot be read.
    """
    trial = Trial(spec, resolve_settings(dict(spec.settings)), store, lambda report: True, test)
    return find_strategy(spec.strategy)(trial).recognise(outcome, "test")


def _keep(trial: Trial, outcome: TrialOutcome, hypotheses: list[Hypothesis]) -> TrialOutcome:
    """Put what came of a trial that ran to its end into the store."""

    def make(folder: Path) -> None:
        write_outcome(folder, outcome, hypotheses, trial.said, trial.spec.tuning)

    return load_outcome(trial.store.entry("outcomes", trial.spec.key, make))
