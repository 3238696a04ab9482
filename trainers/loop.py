"""The training loop: epochs over batches, dev WER after each, the best epoch kept, every epoch resumable.

All that is random in an epoch follows from the seed and the epoch's number, so that a run which was interrupted
goes on exactly as if it had not been.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from search_spaces.axes.train import TrainSettings
from search_spaces.errors import UserError
from trainers.artifacts import Hypothesis
from trainers.averaging import LastEpochs, MovingAverage
from trainers.data.batches import Batch, make_batch, plan_epoch
from trainers.data.labels import BLANK, Alphabet
from trainers.data.sets import Corpus, UtteranceSet
from trainers.decoding.greedy import greedy_text
from trainers.device import choose_device, describe, same_bits
from trainers.emission import emit
from trainers.kept_epochs import EpochKeeper
from trainers.model.network import Network
from trainers.precision import MixedPrecision
from trainers.run_state import Progress, Resumable
from trainers.schedule import on_plateau, out_of_patience, rate_factor
from trainers.scoring.references import References
from trainers.spec import EpochReport

Report = Callable[[EpochReport], bool]


class Objective(Protocol):
    """What a run minimises."""

    def step(self, network: Network, batch: Batch) -> Tensor:
        """The loss of a batch, a scalar whose gradient the optimiser follows.

        Args:
            network: On the device it trains on.
            batch: On the same.
        """

    def by_length(self, epoch: int) -> bool:
        """Whether an epoch goes from short utterances to long ones; otherwise its batches come in random order.

        Args:
            epoch: One-based.
        """


_BAD_STEPS = 10  # in a row, before a run is given up


class Pruned(Exception):
    """The sampler stopped the trial because it was losing."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(f"stopped after epoch {len(progress.reports)}")
        self.progress = progress


class Plateau(Pruned):
    """The run says nothing but blank, and has had its chance."""

    def __str__(self) -> str:
        done = self.progress.reports[-1]
        return f"stopped at epoch {done.epoch} of {done.epochs}: it said nothing but blank from the first"


class Diverged(UserError):
    """The loss is no longer a number."""


def train(
    network: Network,
    objective: Objective,
    corpus: Corpus,
    settings: TrainSettings,
    folder: Path,
    report: Report,
) -> Progress:
    """Train a network, or go on where an interrupted run left off.

    Args:
        network: Freshly initialised; it is moved to the device that was chosen, and stays there.
        objective: What to minimise.
        corpus: What to train on, and the set whose WER chooses the epoch.
        settings: How to train.
        folder: Where the run's state is kept, and the weights of chosen epochs (`trainers.kept_epochs`); may hold
            those of an interrupted run.
        report: Told every epoch; False stops the run.

    Returns:
        How it went; the network holds the weights of the last epoch.

    Raises:
        Pruned: The report asked to stop.
        Plateau: After three tenths of its epochs (five at least) the run still says nothing but blank.
        Diverged: Ten steps in a row, or all of an epoch, had a loss or gradient that is no number.
        StoreError: The state, or an epoch's weights, cannot be written.
        UserError: The device that was asked for is not there, or cannot compute in the precision.
    """
    device = choose_device()
    network.to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    average, last = MovingAverage(network, settings.ema), LastEpochs(settings.average_last)
    precision = MixedPrecision(settings.precision, network, optimizer)
    state = Resumable(network, optimizer, average, last, precision)
    progress = state.restore(folder)
    keeper = EpochKeeper(folder, settings)
    keeper.clear(len(progress.reports))
    progress.dropped = len(corpus.targets) - len(corpus.usable)
    computed_on = describe(device, settings.precision, settings.deterministic)
    if progress.computed_on[-1:] != [computed_on]:
        progress.computed_on.append(computed_on)
    run = _Run(network, objective, corpus, settings, device, optimizer, average, precision)
    while len(progress.reports) < settings.epochs and not out_of_patience(progress.reports, settings.patience):
        began, cpu_began = time.perf_counter(), time.process_time()
        epoch = len(progress.reports) + 1
        torch.manual_seed(settings.seed * 1_000_003 + epoch)
        with same_bits(settings.deterministic):
            losses = _train_epoch(run, epoch, progress.reports)
            wer, blank = evaluate(average.network, corpus.dev, corpus.alphabet, corpus.tuning)
        seconds = time.perf_counter() - began
        progress.reports.append(
            EpochReport(epoch, settings.epochs, losses.loss, wer, blank, losses.lr, losses.norm, seconds)
        )
        last.take(network.state_dict())
        if wer < progress.best_wer or not progress.best_epoch:
            progress.best_epoch = epoch
            if not settings.average_last:
                weights = average.network.state_dict()
                progress.best_weights = {name: value.to("cpu", copy=True) for name, value in weights.items()}
        progress.bad_steps += losses.bad
        progress.seconds += seconds
        progress.cpu_seconds += time.process_time() - cpu_began
        keeper.take(epoch, average.network.state_dict())
        state.save(folder, progress)
        keeper.clear(epoch)
        if not report(progress.reports[-1]):
            raise Pruned(progress)
        if on_plateau(progress.reports, settings.epochs):
            raise Plateau(progress)
    if settings.average_last:
        progress.best_weights = last.mean()
    return progress


@dataclass(frozen=True)
class _Run:
    """What the steps of a run work with."""

    network: Network
    objective: Objective
    corpus: Corpus
    settings: TrainSettings
    device: torch.device
    optimizer: torch.optim.Optimizer
    average: MovingAverage
    precision: MixedPrecision


@dataclass(frozen=True)
class _Epoch:
    """What came of an epoch: mean loss a label, mean norm of the gradient, last learning rate, steps not taken."""

    loss: float
    norm: float
    lr: float
    bad: int


def _train_epoch(run: _Run, epoch: int, before: Sequence[EpochReport]) -> _Epoch:
    """One pass over the training set."""
    network, corpus, settings = run.network.train(), run.corpus, run.settings
    features, usable = corpus.train.features, corpus.usable
    rng = np.random.default_rng([settings.seed, epoch])
    shuffled = None if run.objective.by_length(epoch) else rng
    plan = plan_epoch(features.lengths[usable] * features.settings.step, settings.batch_frames, shuffled)
    losses: list[float] = []
    norms: list[float] = []
    bad = in_a_row = 0
    lr = settings.lr
    for number, chosen in enumerate(plan):
        batch = make_batch(features, usable[chosen], corpus.targets).to(run.device)
        lr = settings.lr * rate_factor(settings, before, epoch - 1 + number / len(plan))
        for group in run.optimizer.param_groups:
            group["lr"] = lr
        with run.precision.forward():
            value = run.objective.step(network, batch)
        run.precision.backward(value)
        norm = float(torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip))
        scalar = value.item()
        match run.precision.step(scalar, norm):
            case "bad":
                bad += 1
                in_a_row += 1
                if in_a_row == min(_BAD_STEPS, len(plan)):
                    raise Diverged(_last_words(in_a_row, epoch, number + 1, len(plan), batch, corpus.train))
                continue
            case "taken":
                run.average.step()
                norms.append(norm)
        in_a_row = 0
        losses.append(scalar)
    return _Epoch(_mean(losses), _mean(norms), lr, bad)


def evaluate(network: Network, dev: UtteranceSet, alphabet: Alphabet, references: References) -> tuple[float, float]:
    """Greedy WER in percent, and the share of a set's frames that are likeliest blank.

    Args:
        network: The network.
        dev: The set.
        alphabet: Labels of the network.
        references: Of the utterances whose errors count.
    """
    training = network.training
    log_probs, offsets = emit(network.eval(), dev.features)
    network.train(training)
    spans = zip(dev.utterances, pairwise(offsets), strict=True)
    heard = [
        Hypothesis(one.id, greedy_text(log_probs[start:end], alphabet))
        for one, (start, end) in spans
        if one.id in references
    ]
    return references.score(heard).wer, float((log_probs.argmax(axis=1) == BLANK).mean())


def _last_words(count: int, epoch: int, step: int, steps: int, batch: Batch, train: UtteranceSet) -> str:
    """Why a run is given up, and with what it was busy."""
    names = [train.utterances[index].id for index in batch.indices]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (
        f"the loss or its gradient was no number {count} steps in a row, last in epoch {epoch} at step {step} of "
        f"{steps}, with {', '.join(names[:3])}{more}; a lower train.lr or train.clip may help"
    )


def _mean(values: Sequence[float]) -> float:
    """The mean; no number where there is none, as when no step of an epoch was taken."""
    return float(np.mean(values)) if values else math.nan
