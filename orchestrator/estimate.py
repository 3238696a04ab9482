"""How far a campaign is, and how long the rest will take."""

import time
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from orchestrator.record import StudyRecord, TrialState
from search_spaces.axes.settings import Settings
from search_spaces.campaign import StudyDefinition
from trainers.data.batches import plan_epoch


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
    running = record.count(TrialState.RUNNING)
    budget = max(definition.trials, len(record.trials))
    took = seconds_a_trial(record)
    left = budget - record.finished
    return StudyProgress(
        study=definition.name,
        strategy=definition.strategy,
        complete=record.count(TrialState.COMPLETE),
        pruned=record.count(TrialState.PRUNED),
        failed=record.count(TrialState.FAILED),
        running=running,
        waiting=record.count(TrialState.WAITING),
        budget=budget,
        best_dev_wer=record.best.dev_wer if record.best else None,
        seconds_a_trial=took,
        seconds_left=0.0 if not left else None if took is None else took * left / max(running, 1),
    )


def seconds_a_trial(record: StudyRecord) -> float | None:
    """Median wall time of the trials of a study that ran to their end; None before there is one."""
    took = [trial.outcome.seconds for trial in record.trials if trial.dev_wer is not None and trial.outcome]
    return median(took) if took else None


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """What one training trial costs.

    Attributes:
        seconds: Wall time on one thread.
        megabytes: Space its checkpoint and what MLflow keeps of it take.
        weights: Trained weights.
    """

    seconds: float
    megabytes: float
    weights: int


def training_cost(settings: Settings, lengths: Any, dimensions: int, labels: int) -> TrainingCost:
    """Estimate a training trial by timing three steps of its own network on a batch of its own size.

    Args:
        settings: Settings of the trial.
        lengths: Frames of every utterance of the training set, before stacking, (utterances,).
        dimensions: Dimensions of a frame, after stacking.
        labels: Size of the alphabet.
    """
    import torch

    from trainers.losses.ctc import ctc_loss
    from trainers.model.network import Network

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    network = Network(settings.model, dimensions, labels)
    plan = plan_epoch(np.asarray(lengths), settings.train.batch_frames)
    batch = plan[len(plan) // 2]
    frames = max(int(np.max(np.asarray(lengths)[batch])) // settings.features.stack, 1)
    features = torch.randn(len(batch), frames, dimensions)
    sizes = torch.full((len(batch),), frames)
    targets = torch.ones(len(batch), dtype=torch.int64)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        log_probs, out = network(features, sizes)
        ctc_loss(log_probs, out, targets, torch.ones_like(targets)).backward()  # type: ignore[no-untyped-call]
        times.append(time.perf_counter() - began)
    torch.set_num_threads(threads)
    # about a tenth more for dev, masks and saving (the recipes that ship, measured by `scripts/quickstart`)
    seconds = 1.1 * min(times) * len(plan) * settings.train.epochs
    weights = network.weights()
    # best and last weights in the store, and MLflow's copy of both
    return TrainingCost(seconds, 4 * weights * 4 / 1e6, weights)
