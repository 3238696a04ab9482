"""Where posteriors come from; a strategy that decodes, combines or learns from them need not know more.

`open_source` makes a source of what a study named: the promoted trial of another study, or a folder.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search_spaces.errors import CheckpointError, PosteriorsError, some
from trainers.artifacts import Posteriors
from trainers.checkpoint import Checkpoint, load_checkpoint
from trainers.data.features import PackedFeatures
from trainers.data.labels import Alphabet
from trainers.device import choose_device
from trainers.emission import (
    emit_batches,
    frame_seconds,
    load_posteriors,
    posteriors,
    posteriors_key,
    write_posteriors,
)
from trainers.exchange.imported_posteriors import DESCRIPTION, ImportedPosteriors, load_imported
from trainers.model.network import Network
from trainers.spec import Ingredient
from trainers.store import digest
from trainers.trial import Split, Trial


class Source(ABC):
    """Something that says of every frame of a split which label it may be.

    Attributes:
        is_network: Whether it is a checkpoint; otherwise it was imported.
        key: What it was made from, as a digest.
        alphabet: The labels, in the order of the columns.
        weights: Trained weights of its network; 0 where there is none.
    """

    is_network: ClassVar[bool]
    key: str
    alphabet: Alphabet
    weights: int

    @property
    @abstractmethod
    def frame_seconds(self) -> float | None:
        """How long a frame of its posteriors lasts; None where nobody knows."""

    @abstractmethod
    def posteriors_key(self, split: Split) -> str:
        """Key of what it says of a split; another of another source, split or reading."""

    @abstractmethod
    def posteriors(self, split: Split) -> tuple[str, Posteriors]:
        """What it says of a whole split, mapped into memory.

        Returns:
            Their key in the store, and the posteriors in the order of the manifest.
        """

    @abstractmethod
    def ids(self, split: Split) -> tuple[str, ...]:
        """The utterances of a split, in the order of the manifest."""

    @abstractmethod
    def lengths(self, split: Split) -> NDArray[np.int64]:
        """Frames of the posteriors of every utterance of a split, (utterances,), in the order of the manifest."""

    @abstractmethod
    def batches(self, split: Split) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
        """What it says of a split, bit by bit, for those who need not hold or keep it all.

        Yields:
            Which utterances, (batch,); their log-probabilities, (batch, frames, labels), float32; their frames,
            (batch,); all of it in main memory.
        """


class CheckpointSource(Source):
    """A network, which is run over its features of a split.

    Args:
        trial: The trial that asks.
        key: Key of the checkpoint.
        checkpoint: The network. A question about a set whose features it was not trained on raises a `CheckpointError`.
    """

    is_network = True

    def __init__(self, trial: Trial, key: str, checkpoint: Checkpoint) -> None:
        self.key = key
        self.alphabet = checkpoint.alphabet
        self.weights = checkpoint.weights
        self.checkpoint = checkpoint
        self._trial = trial

    @property
    def frame_seconds(self) -> float | None:
        """As the features and the subsampling of the network have it."""
        return frame_seconds(self._network, self.checkpoint.features)

    def posteriors_key(self, split: Split) -> str:
        """Key of what the checkpoint says of a split, read as its settings say."""
        return posteriors_key(self.key, self._features(split))

    def posteriors(self, split: Split) -> tuple[str, Posteriors]:
        """What the network says of a split, computed once and then mapped."""
        return posteriors(self._trial.store, self.key, self.checkpoint, self._features(split))

    def ids(self, split: Split) -> tuple[str, ...]:
        """The utterances of a split."""
        return self._features(split).ids

    def lengths(self, split: Split) -> NDArray[np.int64]:
        """Frames that the network makes of every utterance."""
        return self._network.output_lengths(self._features(split).lengths)

    def batches(self, split: Split) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
        """What the network says, batch by batch, by length."""
        return emit_batches(self._network, self._features(split))

    @cached_property
    def _network(self) -> Network:
        return self.checkpoint.network().to(choose_device())

    def _features(self, split: Split) -> PackedFeatures:
        features = self._trial.load(split, self.checkpoint.features).features
        self.checkpoint.refuse_other_features(features, split)
        return features


class ImportedSource(Source):
    """Posteriors that another program made; they serve for the utterances that they were made of.

    Args:
        trial: The trial that asks.
        key: Key of their content.
        imported: The posteriors.
    """

    is_network = False

    def __init__(self, trial: Trial, key: str, imported: ImportedPosteriors) -> None:
        self.key = key
        self.alphabet = imported.alphabet
        self.weights = 0
        self._trial = trial
        self._imported = imported
        self._found = cache(self._find)

    @property
    def frame_seconds(self) -> float | None:
        """As was told when they were imported."""
        return self._imported.frame_seconds

    def posteriors_key(self, split: Split) -> str:
        """Key of their part for a split; another order of the split is another key."""
        return digest([self.key, split, self.ids(split)])

    def posteriors(self, split: Split) -> tuple[str, Posteriors]:
        """Their part for a split, put into the order of the manifest once."""
        ids, found, numbers = self._found(split)
        name = self.posteriors_key(split)

        def make(folder: Path) -> None:
            offsets = np.concatenate([[0], np.cumsum(self.lengths(split))])
            write_posteriors(folder, ids, offsets, self.alphabet.labels, (found[number] for number in numbers))

        return name, load_posteriors(self._trial.store.entry("posteriors", name, make))

    def ids(self, split: Split) -> tuple[str, ...]:
        """The utterances of a split."""
        return self._found(split)[0]

    def lengths(self, split: Split) -> NDArray[np.int64]:
        """Frames of every utterance."""
        _, found, numbers = self._found(split)
        lengths: NDArray[np.int64] = np.diff(found.offsets)[numbers]
        return lengths

    def batches(self, split: Split) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
        """One utterance after the other, in the order of the manifest."""
        _, found, numbers = self._found(split)
        for index, number in enumerate(numbers):
            frames = torch.from_numpy(np.array(found[number]))
            yield np.array([index]), frames[None], torch.tensor([len(frames)])

    def _find(self, split: Split) -> tuple[tuple[str, ...], Posteriors, list[int]]:
        """The utterances of a split, what was imported of it, and the number that each of them has there.

        Raises:
            PosteriorsError: The split was not imported, or the manifest has utterances that were not.
        """
        ids, found = self._trial.ids(split), self._imported.split(split)
        numbers = {name: number for number, name in enumerate(found.ids)}
        missing = [name for name in ids if name not in numbers]
        if missing:
            raise PosteriorsError(
                f"{self._imported.folder} has no posteriors of {len(missing)} utterances of {split}: "
                f"{some(missing)}; the set has changed since they were imported: import them again"
            )
        return ids, found, [numbers[name] for name in ids]


def _is_imported(ingredient: Ingredient) -> bool:
    return (ingredient.folder / DESCRIPTION).is_file()


def checkpoint_of(ingredient: Ingredient) -> Checkpoint:
    """The network of an ingredient.

    Raises:
        CheckpointError: It has none, or one that cannot be read.
    """
    if _is_imported(ingredient):
        raise CheckpointError(
            f"{ingredient.name}: these are posteriors of another program, without a network, and here one is needed; "
            "they can be decoded, and teach with strategy distillation"
        )
    return load_checkpoint(ingredient.folder)


def open_source(trial: Trial, ingredient: Ingredient) -> Source:
    """What an ingredient says of the sets of a trial.

    Args:
        trial: The trial that asks.
        ingredient: One of its needs.

    Raises:
        CheckpointError: It is no checkpoint that can be read.
        PosteriorsError: It is imported posteriors that cannot be read.
    """
    if _is_imported(ingredient):
        return ImportedSource(trial, ingredient.key, load_imported(ingredient.folder))
    return CheckpointSource(trial, ingredient.key, load_checkpoint(ingredient.folder))
