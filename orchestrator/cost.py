"""What a training trial will cost, measured on a few steps of its own network."""

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from search_spaces.axes.settings import Settings
from trainers.data.batches import plan_epoch
from trainers.kept_epochs import wanted_epochs
from trainers.losses.ctc import ctc_loss
from trainers.model.build import build_network


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """What one training trial costs.

    Attributes:
        seconds: Wall time on one thread.
        megabytes: Space its checkpoint takes, with the epochs that are kept.
        weights: Trained weights.
    """

    seconds: float
    megabytes: float
    weights: int


def training_cost(settings: Settings, lengths: NDArray[np.int64], dimensions: int, labels: int) -> TrainingCost:
    """Estimate a training trial by timing three steps of its own network on a batch of its own size.

    Args:
        settings: Settings of the trial.
        lengths: Frames of every utterance of the training set, before subsampling and stacking, (utterances,).
        dimensions: Dimensions of a frame as the network reads it.
        labels: Size of the alphabet.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    network = build_network(settings.model, dimensions, labels)
    plan = plan_epoch(lengths, settings.train.batch_frames)
    batch = plan[len(plan) // 2]
    frames = max(int(np.max(lengths[batch])) // settings.features.step, 1)
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
    # best and last weights, in float32; MLflow shows the same files
    kept = 2 + len(wanted_epochs(settings.train.epochs, settings.train.keep_epochs, settings.train.keep_last))
    return TrainingCost(seconds, kept * weights * 4 / 1e6, weights)
