"""The training loop: epochs over batches, dev WER after each, the best epoch kept, every epoch resumable.

All that is random in an epoch follows from the seed and the epoch's number, so that a run which was interrupted
goes on exactly as if it had not been.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from search_spaces.axes.train import TrainSettings
from trainers.averaging import MovingAverage
from trainers.data.batches import Batch, make_batch, plan_epoch
from trainers.data.labels import BLANK, Alphabet
from trainers.data.sets import Corpus, UtteranceSet
from trainers.decoding.greedy import greedy_text
from trainers.emission import emit
from trainers.model.network import Network
from trainers.run_state import Progress, restore_state, save_state
from trainers.scoring.wer import score_set
from trainers.spec import EpochReport

Report = Callable[[EpochReport], bool]


class Objective(Protocol):
    """What a run minimises."""

    def step(self, network: Network, batch: Batch) -> Tensor:
        """The loss of a batch, a scalar whose gradient the optimiser follows."""

    def by_length(self, epoch: int) -> bool:
        """Whether an epoch goes from short utterances to long ones; otherwise its batches come in random order.

        Args:
            epoch: One-based.
        """


_PATIENCE_WITH_BLANK = 5  # epochs that even a good run may say nothing but blank
_BAD_STEPS = 10  # in a row, before a run is given up


class Pruned(Exception):
    """The sampler stopped the trial because it was losing."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(f"stopped after epoch {len(progress.reports)}")
        self.progress = progress


class Diverged(Exception):
    """The loss is no longer a number."""


class Plateau(Pruned):
    """The run says nothing but blank, and has had its chance."""

    def __str__(self) -> str:
        done = self.progress.reports[-1]
        return f"stopped at epoch {done.epoch} of {done.epochs}: it said nothing but blank from the first"


def one_cycle(done: float, total: float, warmup: float) -> float:
    """Factor of the peak learning rate: up along a half cosine, and down along another (Smith & Topin 2019).

    Args:
        done: Epochs done, fractions included.
        total: Epochs in all.
        warmup: Share of them that goes up.
    """
    start, end = 1 / 25, 1e-4
    top = warmup * total
    if done < top:
        return start + (1 - start) * (1 - math.cos(math.pi * done / top)) / 2
    return end + (1 - end) * (1 + math.cos(math.pi * (done - top) / (total - top))) / 2


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
        network: Freshly initialised.
        objective: What to minimise.
        corpus: What to train on, and the set whose WER chooses the epoch.
        settings: How to train.
        folder: Where the run's state is kept; may hold that of an interrupted run.
        report: Told every epoch; False stops the run.

    Returns:
        How it went; the network holds the weights of the last epoch.

    Raises:
        Pruned: The report asked to stop.
        Plateau: After three tenths of its epochs (five at least) the run still says nothing but blank.
        Diverged: Ten steps in a row, or all of an epoch, had a loss or gradient that is no number.
    """
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    average = MovingAverage(network, settings.ema)
    run = _Run(network, objective, corpus, settings, optimizer, average)
    progress = restore_state(folder, network, average, optimizer)
    while len(progress.reports) < settings.epochs and not _out_of_patience(progress, settings):
        began, cpu_began = time.perf_counter(), time.process_time()
        epoch = len(progress.reports) + 1
        torch.manual_seed(settings.seed * 1_000_003 + epoch)
        mean_loss, norm, lr, bad = _train_epoch(run, epoch)
        wer, blank = evaluate(average.network, corpus.dev, corpus.alphabet)
        seconds = time.perf_counter() - began
        progress.reports.append(EpochReport(epoch, settings.epochs, mean_loss, wer, blank, lr, norm, seconds))
        if wer < progress.best_wer or not progress.best_epoch:
            progress.best_epoch = epoch
            weights = average.network.state_dict()
            progress.best_weights = {name: value.detach().clone() for name, value in weights.items()}
        progress.bad_steps += bad
        progress.seconds += seconds
        progress.cpu_seconds += time.process_time() - cpu_began
        save_state(folder, network, average, optimizer, progress)
        if not report(progress.reports[-1]):
            raise Pruned(progress)
        if _on_plateau(progress, settings):
            raise Plateau(progress)
    return progress


@dataclass(frozen=True)
class _Run:
    """What the steps of a run work with."""

    network: Network
    objective: Objective
    corpus: Corpus
    settings: TrainSettings
    optimizer: torch.optim.Optimizer
    average: MovingAverage


def evaluate(network: Network, dev: UtteranceSet, alphabet: Alphabet) -> tuple[float, float]:
    """Greedy WER on a set, in percent, and the share of frames whose best label is the blank."""
    training = network.training
    log_probs, offsets = emit(network.eval(), dev.features)
    network.train(training)
    texts = [greedy_text(log_probs[a:b], alphabet) for a, b in pairwise(offsets)]
    return score_set(dev.references, texts).wer, float((log_probs.argmax(axis=1) == BLANK).mean())


def _train_epoch(run: _Run, epoch: int) -> tuple[float, float, float, int]:
    """One pass over the training set.

    Returns:
        Mean loss a label, mean norm of the gradient, last learning rate, and the steps that were not taken.
    """
    network, corpus, settings = run.network.train(), run.corpus, run.settings
    features = corpus.train.features
    rng = np.random.default_rng([settings.seed, epoch])
    shuffled = None if run.objective.by_length(epoch) else rng
    plan = plan_epoch(features.lengths * features.settings.step, settings.batch_frames, shuffled)
    losses: list[float] = []
    norms: list[float] = []
    bad = in_a_row = 0
    lr = settings.lr
    for number, indices in enumerate(plan):
        batch = make_batch(features, indices, corpus.targets)
        lr = settings.lr * one_cycle(epoch - 1 + number / len(plan), settings.epochs, settings.warmup)
        for group in run.optimizer.param_groups:
            group["lr"] = lr
        value = run.objective.step(network, batch)
        run.optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        norm = float(torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip))
        scalar = value.item()
        if not math.isfinite(norm) or not math.isfinite(scalar):
            bad += 1
            in_a_row += 1
            if in_a_row == min(_BAD_STEPS, len(plan)):
                names = ", ".join(corpus.train.utterances[i].id for i in batch.indices[:3])
                raise Diverged(
                    f"the loss was no number {in_a_row} steps in a row, last in epoch {epoch} at {names} ..."
                )
            continue
        in_a_row = 0
        run.optimizer.step()
        run.average.step()
        losses.append(scalar)
        norms.append(norm)
    return float(np.mean(losses)), float(np.mean(norms)), lr, bad


def _out_of_patience(progress: Progress, settings: TrainSettings) -> bool:
    return bool(settings.patience) and len(progress.reports) - progress.best_epoch >= settings.patience


def _on_plateau(progress: Progress, settings: TrainSettings) -> bool:
    """Whether a run still says nothing but blank when it should have begun to recognise.

    The first epochs of a good run may be all blank, a convolutional one's one or two, a recurrent one's five or more.
    """
    allowed = max(0.3 * settings.epochs, _PATIENCE_WITH_BLANK)
    return len(progress.reports) >= allowed and all(report.on_plateau for report in progress.reports)
