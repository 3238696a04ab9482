"""Where posteriors come from; a strategy that decodes, combines or learns from them need not know more.

`open_source` makes a source of what a study named: the promoted trial of another study, or a folder.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from trainers.artifacts import Posteriors
from trainers.checkpoint import Checkpoint, load_checkpoint
from trainers.data.features import PackedFeatures
from trainers.data.labels import Alphabet
from trainers.device import choose_device
from trainers.emission import emit_batches, posteriors, posteriors_key
from trainers.model.network import Network
from trainers.spec import Ingredient
from trainers.trial import Split, Trial


class Source(ABC):
    """Something that says of every frame of a split which label it may be.

    Attributes:
        key: What it was made from, as a digest.
        alphabet: The labels, in the order of the columns.
        weights: Trained weights of its network.
    """

    key: str
    alphabet: Alphabet
    weights: int

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

    def __init__(self, trial: Trial, key: str, checkpoint: Checkpoint) -> None:
        self.key = key
        self.alphabet = checkpoint.alphabet
        self.weights = checkpoint.weights
        self.checkpoint = checkpoint
        self._trial = trial

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


def open_source(trial: Trial, ingredient: Ingredient) -> Source:
    """What an ingredient says of the sets of a trial.

    Args:
        trial: The trial that asks.
        ingredient: One of its needs.

    Raises:
        CheckpointError: It cannot be read.
    """
    return CheckpointSource(trial, ingredient.key, load_checkpoint(ingredient.folder))
