"""A frozen teacher: it reads the training set once, and what it says of every frame is kept."""

import numpy as np
from torch import Tensor

from search_spaces.axes.model import ModelSettings
from search_spaces.errors import CheckpointError
from search_spaces.schema import Need
from trainers.checkpoint import Checkpoint
from trainers.data.batches import Batch
from trainers.data.sets import Corpus
from trainers.data.warp import rescale_time
from trainers.model.network import Network
from trainers.source import Source, open_source
from trainers.spec import Ingredient
from trainers.top_posteriors import TopPosteriors, top_posteriors
from trainers.trial import Trial

NEED = Need("teacher", "the study whose promoted checkpoint teaches, or a checkpoint's folder")

_SMALLEST = 1e-30  # of a probability whose logarithm is taken


class Teacher:
    """What a teacher says of every frame of the training set.

    The student's masks do not change it: the teacher read every utterance whole. Where the student's utterances are
    rescaled in time, its posteriors are rescaled alike.

    Args:
        trial: The student's trial.
        network: The student.
        corpus: What it is trained on.

    Raises:
        CheckpointError: The teacher's alphabet or frame rate is not the student's.
    """

    def __init__(self, trial: Trial, network: Network, corpus: Corpus) -> None:
        (ingredient,) = trial.spec.needs[NEED.name]
        source = open_source(trial, ingredient)
        _refuse_other_alphabet(ingredient, source, corpus)
        self._posteriors = top_posteriors(trial.store, source, "train")
        _refuse_other_rate(ingredient, self._posteriors, network, corpus)
        self._output_lengths = network.lengths_after

    def __call__(self, batch: Batch, lengths: Tensor) -> Tensor:
        """Log-probabilities for a batch.

        Args:
            batch: As the student reads it.
            lengths: Frames at the student's output, (batch,).

        Returns:
            (batch, frames, labels), float32; zero behind an utterance's end.
        """
        found = self._posteriors.gather(batch.indices).to(lengths.device)
        if batch.original_lengths is not None:
            before = self._output_lengths(batch.original_lengths)
            # probabilities are mixed between frames, not their logarithms, so that they still sum to one
            found = rescale_time(found.exp(), before, lengths).clamp(min=_SMALLEST).log()
        return found


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


def _refuse_other_alphabet(ingredient: Ingredient, teacher: Source, corpus: Corpus) -> None:
    if teacher.alphabet == corpus.alphabet:
        return
    odd = sorted(set(teacher.alphabet.labels) ^ set(corpus.alphabet.labels))
    raise CheckpointError(
        f"{ingredient.folder}: the teacher's alphabet is not the student's; "
        f"{f'only one of them has {odd[:10]}' if odd else 'the order differs'}"
    )


def _refuse_other_rate(ingredient: Ingredient, frames: TopPosteriors, network: Network, corpus: Corpus) -> None:
    theirs, ours = np.diff(frames.offsets), network.output_lengths(corpus.train.features.lengths)
    if not np.array_equal(theirs, ours):
        index = int(np.flatnonzero(theirs != ours)[0])
        raise CheckpointError(
            f"{ingredient.name}: the teacher's frame rate is not the student's: of {corpus.train.utterances[index].id} "
            f"it makes {theirs[index]} frames, the student {ours[index]}; match features.subsample, features.stack and "
            "model.subsampling"
        )
