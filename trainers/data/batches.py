"""Length-bucketed batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.data.features import PackedFeatures


@dataclass(frozen=True, slots=True)
class Batch:
    """Some utterances, padded to the longest.

    Attributes:
        indices: Which utterances of the set, (batch,).
        features: (batch, frames, dimensions), float32; zero behind an utterance's end.
        lengths: Frames of each utterance, (batch,), int64.
        targets: Labels of all utterances one after another, (labels,), int64; empty where there are no targets.
        target_lengths: Labels of each utterance, (batch,), int64.
        original_lengths: Frames before time was rescaled, (batch,), int64; None where it was not.
    """

    indices: NDArray[np.int64]
    features: Tensor
    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor
    original_lengths: Tensor | None = None

    @property
    def tokens(self) -> int:
        """Labels in the batch."""
        return int(self.target_lengths.sum())

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device; the copy to a GPU is under way when this returns, and the GPU's own work waits for it."""
        if device.type == "cpu":
            return self
        return replace(
            self,
            features=_copied(self.features, device),
            lengths=_copied(self.lengths, device),
            targets=_copied(self.targets, device),
            target_lengths=_copied(self.target_lengths, device),
        )


def _copied(tensor: Tensor, device: torch.device) -> Tensor:
    # only from pinned memory does a copy run beside the program; torch keeps that memory until the copy is done
    return tensor.pin_memory().to(device, non_blocking=True)


def make_batch(
    features: PackedFeatures, indices: NDArray[np.int64], targets: Sequence[NDArray[np.int64]] | None = None
) -> Batch:
    """Gather some utterances into one padded batch."""
    lengths = features.lengths[indices]
    block = np.zeros((len(indices), int(lengths.max()), features.dimensions), np.float32)
    for row, index in enumerate(indices):
        features.write(int(index), block[row])
    labels = [targets[index] for index in indices] if targets is not None else []
    return Batch(
        indices,
        torch.from_numpy(block),
        torch.from_numpy(lengths),
        torch.from_numpy(np.concatenate(labels) if labels else np.zeros(0, np.int64)),
        torch.tensor([len(label) for label in labels], dtype=torch.int64),
    )


def plan_epoch(
    lengths: NDArray[np.int64], frames: int, rng: np.random.Generator | None = None
) -> list[NDArray[np.int64]]:
    """Which utterances go together.

    Utterances of similar length share a batch, so that little of it is padding; with a generator, who shares with
    whom changes from epoch to epoch and the batches come in random order.

    Args:
        lengths: Frames of every utterance, (utterances,).
        frames: Most frames in a batch, padding included; an utterance that is longer has a batch of its own.
        rng: None keeps the order by length.

    Returns:
        Indices of each batch.
    """
    jitter = np.zeros(len(lengths)) if rng is None else rng.uniform(-0.05, 0.05, len(lengths))
    order = np.argsort(lengths * (1 + jitter), kind="stable")
    batches: list[list[int]] = [[]]
    longest = 0
    for index in order:
        longest = max(longest, int(lengths[index]))
        if batches[-1] and longest * (len(batches[-1]) + 1) > frames:
            batches.append([])
            longest = int(lengths[index])
        batches[-1].append(int(index))
    result = [np.array(batch, np.int64) for batch in batches]
    if rng is not None:
        rng.shuffle(result)
    return result


def iterate(features: PackedFeatures, frames: int) -> Iterator[Batch]:
    """All utterances of a set once, by length, without labels.

    Args:
        features: The set.
        frames: Most frames in a batch, before subsampling and stacking.
    """
    for indices in plan_epoch(features.lengths * features.settings.step, frames):
        yield make_batch(features, indices)
