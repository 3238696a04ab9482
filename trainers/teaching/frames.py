"""What a teacher says of the frames of a batch, as the student reads it."""

import numpy as np
from torch import Tensor

from search_spaces.errors import CheckpointError
from trainers.data.batches import Batch
from trainers.data.sets import Corpus
from trainers.data.warp import rescale_time
from trainers.model.network import Network
from trainers.teaching.teacher import Teacher
from trainers.teaching.top_posteriors import TopPosteriors

_SMALLEST = 1e-30  # of a probability whose logarithm is taken


class TeacherFrames:
    """What a teacher says of every frame of the training set.

    The student's masks do not change it: the teacher read every utterance whole. Where the student's utterances are
    rescaled in time, its posteriors are rescaled alike.

    Args:
        teacher: The teacher.
        network: The student.
        corpus: What it is trained on.

    Raises:
        CheckpointError: The teacher has no posteriors, or its alphabet or frame rate is not the student's.
    """

    def __init__(self, teacher: Teacher, network: Network, corpus: Corpus) -> None:
        _refuse_other_alphabet(teacher, corpus)
        self._posteriors = teacher.posteriors()
        _refuse_other_rate(teacher.name, self._posteriors, network, corpus)
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


def _refuse_other_alphabet(teacher: Teacher, corpus: Corpus) -> None:
    theirs, ours = teacher.alphabet, corpus.alphabet
    if theirs == ours:
        return
    odd = sorted(set(theirs.labels) ^ set(ours.labels))
    raise CheckpointError(
        f"{teacher.name}: the teacher's alphabet is not the student's; "
        f"{f'only one of them has {odd[:10]}' if odd else 'the order differs'}"
    )


def _refuse_other_rate(name: str, frames: TopPosteriors, network: Network, corpus: Corpus) -> None:
    theirs, ours = np.diff(frames.offsets), network.output_lengths(corpus.train.features.lengths)
    if not np.array_equal(theirs, ours):
        index = int(np.flatnonzero(theirs != ours)[0])
        raise CheckpointError(
            f"{name}: the teacher's frame rate is not the student's: of {corpus.train.utterances[index].id} "
            f"it makes {theirs[index]} frames, the student {ours[index]}; match features.subsample, features.stack and "
            "model.subsampling"
        )
