"""A frozen teacher, and what it says of the training set: it reads every utterance once, whole, and it is kept."""

from abc import ABC, abstractmethod

from search_spaces.axes.model import ModelSettings
from search_spaces.errors import CheckpointError
from search_spaces.schema import Need
from trainers.artifacts import Hypothesis
from trainers.checkpoint import Checkpoint
from trainers.data.labels import Alphabet
from trainers.store import Store
from trainers.teaching.n_best import n_best_lists
from trainers.teaching.top_posteriors import Emitter, TopPosteriors, top_posteriors

NEED = Need("teacher", "the study whose promoted checkpoint teaches, or a checkpoint's folder")


class Teacher(ABC):
    """What students learn from.

    Attributes:
        name: What messages call it.
    """

    name: str

    @property
    @abstractmethod
    def alphabet(self) -> Alphabet:
        """Names of the columns of its posteriors.

        Raises:
            CheckpointError: It has none.
        """

    @abstractmethod
    def posteriors(self) -> TopPosteriors:
        """What it says of every frame of the training set.

        Raises:
            CheckpointError: It says nothing of frames.
        """

    @abstractmethod
    def n_best(self, count: int) -> list[list[Hypothesis]]:
        """What it may have heard in every utterance of the training set, the likeliest first.

        Args:
            count: Hypotheses an utterance at most; some teachers know one alone.
        """


class FrameTeacher(Teacher):
    """Whatever says something of frames: a network, posteriors that were imported, a mean of several.

    Args:
        name: What messages call it.
        store: Where what it says is kept.
        source: Where its posteriors come from.
    """

    def __init__(self, name: str, store: Store, source: Emitter) -> None:
        self.name = name
        self._store = store
        self._source = source

    @property
    def alphabet(self) -> Alphabet:
        """The source's."""
        return self._source.alphabet

    def posteriors(self) -> TopPosteriors:
        """What the source says of every frame."""
        return top_posteriors(self._store, self._source, "train")

    def n_best(self, count: int) -> list[list[Hypothesis]]:
        """The likeliest hypotheses by acoustic score."""
        return n_best_lists(self._store, self.posteriors(), self.alphabet, count)


def refuse_other_architecture(teacher: Checkpoint, student: ModelSettings) -> None:
    """Refuse a teacher that is not built like the student; dropout is no part of that.

    Args:
        teacher: The teacher.
        student: The student's model settings.

    Raises:
        CheckpointError: They differ; the message says how.
    """
    theirs, ours = teacher.model.architecture, student.architecture
    odd = [name for name, value in ours.items() if theirs.get(name) != value]
    if odd:
        shown = ", ".join(f"{name} {theirs.get(name)} against {ours[name]}" for name in odd)
        raise CheckpointError(
            f"{teacher.folder}: self_distillation needs a teacher of the student's own architecture; it has {shown}; "
            "strategy distillation takes a teacher of any size"
        )
