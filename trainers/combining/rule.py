"""What a fusion rule is: a name, its settings, and one method that combines.

A rule is a file in `trainers/fusion/` with a class of the same name in capitals: ``joint_rescoring.py`` holds
``JointRescoring``, derived from one of the three classes here. Which of them says what is combined: hypotheses, frame
posteriors, or weights.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from search_spaces.axes.section import Section
from trainers.artifacts import Hypothesis, Posteriors
from trainers.checkpoint import Checkpoint
from trainers.combining.evidence import Evidence
from trainers.combining.members import Pool


class FusionRule(ABC):
    """A way of combining trained systems.

    Attributes:
        name: The name of its file.
        summary: One line for people who choose.
        Settings: What it reads; all of it has defaults.
        settings: The settings at hand.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    Settings: ClassVar[type[Section]]

    def __init__(self, settings: Section | None = None) -> None:
        self.settings = self.Settings() if settings is None else settings


class HypothesisRule(FusionRule):
    """A rule over what decoders found. Members may differ in units, alphabet and frame rate."""

    @abstractmethod
    def fuse(self, pool: Pool, evidence: Evidence) -> list[Hypothesis]:
        """One hypothesis for every utterance, in the order of the pool.

        Args:
            pool: Members with their hypotheses.
            evidence: Scores of texts.

        Raises:
            FusionError: A member has no hypothesis of an utterance.
        """

    def n_best(self, pool: Pool, evidence: Evidence, count: int) -> list[list[Hypothesis]]:
        """Hypotheses for every utterance, the best first; a rule that knows no others gives the one of `fuse`.

        Args:
            pool: Members with their hypotheses.
            evidence: Scores of texts.
            count: At most so many an utterance, and at least one.

        Raises:
            FusionError: A member has no hypothesis of an utterance.
        """
        return [[one] for one in self.fuse(pool, evidence)]


class PosteriorRule(FusionRule):
    """A rule over frames. Members must have the same labels, in any order, and the same frames."""

    @abstractmethod
    def fuse(self, pool: Pool) -> Posteriors:
        """The posteriors of the ensemble, for any decoder; columns as those of the first member by name.

        Args:
            pool: Members; hypotheses are not needed.

        Raises:
            FusionError: Labels or numbers of frames differ.
        """


@dataclass(frozen=True, slots=True)
class Average:
    """Weights made of several checkpoints.

    Attributes:
        weights: The weights by name.
        members: What the checkpoints that went into it are called.
        notes: What a reader should know.
    """

    weights: dict[str, Tensor]
    members: tuple[str, ...]
    notes: tuple[str, ...] = ()


class WeightRule(FusionRule):
    """A rule over the weights of checkpoints."""

    @abstractmethod
    def fuse(self, checkpoints: Sequence[Checkpoint], errors: Callable[[dict[str, Tensor]], float]) -> Average:
        """One network of several.

        Args:
            checkpoints: In any order.
            errors: Says how many errors, or what error rate, a network with given weights has on dev; a rule that does
                not choose by it never calls it.

        Raises:
            FusionError: The checkpoints cannot be averaged, and why.
            CheckpointError: One cannot be read.
        """


class RescoringSettings(Section):
    """How pooled hypotheses are scored: sum of w log P_CTC + alpha ln P_LM + beta words, in nats.

    Attributes:
        n_best: Hypotheses of an utterance that a member puts into the pool at most.
        alpha: Weight of the language model.
        beta: Bonus for every word.
    """

    n_best: int = Field(30, ge=1, le=1000)
    alpha: float = Field(0.3, ge=0, le=20)
    beta: float = Field(3.0, ge=-50, le=50)
