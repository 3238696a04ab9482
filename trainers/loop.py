"""The training loop: epochs over batches, dev WER after each, the best epoch kept, every epoch resumable.

All that is random in an epoch follows from the seed and the epoch's number, so that a run which was interrupted
goes on exactly as if it had not been.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from search_spaces.axes.train import TrainSettings
from trainers.data.batches import Batch, make_batch, plan_epoch
from trainers.data.labels import BLANK, Alphabet
from trainers.data.masks import mask_features
from trainers.data.sets import Corpus, UtteranceSet
from trainers.decoding.greedy import greedy_text
from trainers.emission import emit
from trainers.model.network import Network
from trainers.scoring.wer import score_set
from trainers.spec import EpochReport
from trainers.store import write_text

Loss = Callable[[Tensor, Tensor, Batch], Tensor]
Report = Callable[[EpochReport], bool]

_STATE = "state.safetensors"
_HISTORY = "history.json"


class Pruned(Exception):
    """The sampler stopped the trial because it was losing."""

    def __init__(self, progress: "Progress") -> None:
        super().__init__(f"stopped after epoch {len(progress.reports)}")
        self.progress = progress


class Diverged(Exception):
    """The loss is no longer a number."""


@dataclass
class Progress:
    """Where a run stands; all of it is saved after every epoch.

    Attributes:
        reports: One an epoch.
        best_epoch: Epoch of the lowest dev WER so far, one-based; 0 before the first.
        best_weights: The network's weights then.
        seconds: Wall time of all attempts.
        cpu_seconds: Processor time of all attempts.
    """

    reports: list[EpochReport] = field(default_factory=list)
    best_epoch: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def best_wer(self) -> float:
        """The lowest dev WER so far, percent."""
        return self.reports[self.best_epoch - 1].dev_wer if self.best_epoch else math.inf

    def finish(self, folder: Path) -> None:
        """Leave the history of a finished run beside its checkpoint, in place of the state to go on from."""
        write_text(folder / _HISTORY, json.dumps(self._plain(), indent=1))
        (folder / _STATE).unlink(missing_ok=True)

    @classmethod
    def of(cls, folder: Path) -> "Progress":
        """The history of a finished run."""
        return cls._from_plain(json.loads((folder / _HISTORY).read_text(encoding="utf-8")))

    def _plain(self) -> dict[str, Any]:
        return {
            "reports": [asdict(report) for report in self.reports],
            "best_epoch": self.best_epoch,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
        }

    @classmethod
    def _from_plain(cls, plain: Mapping[str, Any]) -> "Progress":
        reports = [EpochReport(**report) for report in plain["reports"]]
        return cls(reports, plain["best_epoch"], {}, plain["seconds"], plain["cpu_seconds"])


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
    loss: Loss,
    corpus: Corpus,
    settings: TrainSettings,
    folder: Path,
    report: Report,
) -> Progress:
    """Train a network, or go on where an interrupted run left off.

    Args:
        network: Freshly initialised.
        loss: From log-probabilities (batch, frames, labels), their lengths (batch,) and the batch to a scalar.
        corpus: What to train on, and the set whose WER chooses the epoch.
        settings: How to train.
        folder: Where the run's state is kept; may hold that of an interrupted run.
        report: Told every epoch; False stops the run.

    Returns:
        How it went; the network holds the weights of the last epoch.

    Raises:
        Pruned: The report asked to stop.
        Diverged: Ten steps in a row, or all of an epoch, had a loss or gradient that is no number.
    """
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    progress = _restore(folder, network, optimizer)
    while len(progress.reports) < settings.epochs and not _out_of_patience(progress, settings):
        began, cpu_began = time.perf_counter(), time.process_time()
        epoch = len(progress.reports) + 1
        torch.manual_seed(settings.seed * 1_000_003 + epoch)
        mean_loss, norm, lr = _train_epoch(network, loss, corpus, optimizer, settings, epoch)
        wer, blank = evaluate(network, corpus.dev, corpus.alphabet)
        seconds = time.perf_counter() - began
        progress.reports.append(EpochReport(epoch, settings.epochs, mean_loss, wer, blank, lr, norm, seconds))
        if wer < progress.best_wer or not progress.best_epoch:
            progress.best_epoch = epoch
            progress.best_weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
        progress.seconds += seconds
        progress.cpu_seconds += time.process_time() - cpu_began
        _save(folder, network, optimizer, progress)
        if not report(progress.reports[-1]):
            raise Pruned(progress)
    return progress


def evaluate(network: Network, dev: UtteranceSet, alphabet: Alphabet) -> tuple[float, float]:
    """Greedy WER on a set, in percent, and the share of frames whose best label is the blank."""
    training = network.training
    log_probs, offsets = emit(network.eval(), dev.features)
    network.train(training)
    texts = [greedy_text(log_probs[a:b], alphabet) for a, b in pairwise(offsets)]
    return score_set(dev.references, texts).wer, float((log_probs.argmax(axis=1) == BLANK).mean())


def _train_epoch(
    network: Network,
    loss: Loss,
    corpus: Corpus,
    optimizer: torch.optim.Optimizer,
    settings: TrainSettings,
    epoch: int,
) -> tuple[float, float, float]:
    """One pass over the training set; its mean loss a label, mean gradient norm, and last learning rate."""
    network.train()
    features = corpus.train.features
    rng = np.random.default_rng([settings.seed, epoch])
    plan = plan_epoch(features.lengths * features.stack, settings.batch_frames, rng)
    losses: list[float] = []
    norms: list[float] = []
    bad = 0
    lr = settings.lr
    for number, indices in enumerate(plan):
        batch = make_batch(features, indices, corpus.targets)
        lr = settings.lr * one_cycle(epoch - 1 + number / len(plan), settings.epochs, settings.warmup)
        for group in optimizer.param_groups:
            group["lr"] = lr
        masked = mask_features(batch.features, batch.lengths, settings, features.stack)
        log_probs, lengths = network(masked, batch.lengths)
        value = loss(log_probs, lengths, batch)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        norm = float(torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip))
        scalar = value.item()
        if not math.isfinite(norm) or not math.isfinite(scalar):
            bad += 1
            if bad == min(10, len(plan)):
                names = ", ".join(corpus.train.utterances[i].id for i in batch.indices[:3])
                raise Diverged(f"the loss was no number {bad} steps in a row, last in epoch {epoch} at {names} ...")
            continue
        bad = 0
        optimizer.step()
        losses.append(scalar)
        norms.append(norm)
    return float(np.mean(losses)), float(np.mean(norms)), lr


def _out_of_patience(progress: Progress, settings: TrainSettings) -> bool:
    return bool(settings.patience) and len(progress.reports) - progress.best_epoch >= settings.patience


def _save(folder: Path, network: Network, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Write everything a run needs to go on; the old state stays until the new one is whole."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in progress.best_weights.items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
    beside = folder / f".{_STATE}"
    save_file(
        {name: value.contiguous() for name, value in tensors.items()},
        beside,
        {"progress": json.dumps(progress._plain())},
    )
    beside.replace(folder / _STATE)


def _restore(folder: Path, network: Network, optimizer: torch.optim.Optimizer) -> Progress:
    """The state of an interrupted run, put back into network and optimiser; a fresh one if there is none."""
    path = folder / _STATE
    if not path.is_file():
        return Progress()
    groups: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "optimizer": {}}
    with safe_open(path, "pt") as file:
        progress = Progress._from_plain(json.loads(file.metadata()["progress"]))
        for key in file.keys():  # an open file of tensors is no mapping
            kind, name = key.split(".", 1)
            groups[kind][name] = file.get_tensor(key)
    network.load_state_dict(groups["network"])
    optimizer.load_state_dict(
        {"state": _by_parameter(groups["optimizer"]), "param_groups": optimizer.state_dict()["param_groups"]}
    )
    progress.best_weights = groups["best"]
    return progress


def _by_parameter(flat: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    result: dict[int, dict[str, Tensor]] = {}
    for key, value in flat.items():
        index, name = key.split(".", 1)
        result.setdefault(int(index), {})[name] = value
    return result
