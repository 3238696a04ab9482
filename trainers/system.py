"""A system that recognises, of one network or of several, and the same at work."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from trainers.artifacts import Hypothesis
from trainers.checkpoint import Checkpoint
from trainers.data.features import PackedFeatures


class Session(ABC):
    """A system with its networks and its language model in memory."""

    @property
    @abstractmethod
    def frame_seconds(self) -> float | None:
        """How long a frame of the hypotheses' spans lasts; None where nobody knows."""

    @abstractmethod
    def n_best(self, features: Sequence[PackedFeatures], count: int) -> list[list[Hypothesis]]:
        """Hypotheses for every utterance of a set, the best first.

        Args:
            features: One set for every network of the system, made with its own feature settings.
            count: At most so many an utterance, and at least one; some systems know one alone.
        """


class System(ABC):
    """What was exported into one folder, ready to be used."""

    @property
    @abstractmethod
    def networks(self) -> tuple[Checkpoint, ...]:
        """The networks, at least one."""

    @property
    @abstractmethod
    def provenance(self) -> Mapping[str, Any]:
        """Where it comes from, as plain values."""

    @property
    @abstractmethod
    def untimed(self) -> str:
        """Why its words have no times in seconds; empty if they have."""

    @abstractmethod
    def opened(self, workers: int = 1) -> AbstractContextManager[Session]:
        """The system at work, for many sets.

        Args:
            workers: How many processes search; each has the language model in memory.

        Raises:
            UserError: Several are asked for, and nothing is searched.
        """

    @property
    def by_speaker(self) -> bool:
        """Whether the features of a recording depend on the others of its speaker."""
        return any(one.features.normalise == "speaker" for one in self.networks)
