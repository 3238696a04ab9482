"""Self-distillation: a fresh student of the teacher's own architecture learns from transcript and teacher.

L = alpha * KD + beta * CTC, with beta = 1 - alpha unless it is given; KD is defined in `trainers.losses.distillation`.
The teacher reads every utterance once, unmasked, and its posteriors are kept; the student reads them masked.
Born-again networks: Furlanello et al. 2018; for CTC: Kurata & Audhkhasi 2018.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search_spaces.axes.distillation import DistillationSettings
from search_spaces.errors import CheckpointError
from search_spaces.schema import Need, StrategySchema
from trainers.artifacts import Posteriors
from trainers.checkpoint import Checkpoint, load_checkpoint
from trainers.data.batches import Batch
from trainers.data.sets import Corpus
from trainers.data.warp import rescale_time
from trainers.emission import posteriors
from trainers.losses.distillation import frame_distillation_loss
from trainers.model.network import Network
from trainers.strategy import TrainingStrategy

_SMALLEST = 1e-30  # of a probability whose logarithm is taken


class SelfDistillation(TrainingStrategy):
    """Same architecture, fresh student, frozen teacher."""

    schema = StrategySchema(
        name="self_distillation",
        summary="a fresh student of the same architecture learns from a teacher's posteriors too",
        axes=("train", "distillation", "model.dropout"),
        uses=("units", "features", "model", "train", "distillation"),
        sections={"distillation": DistillationSettings},
        needs=(Need("teacher", "the study whose promoted checkpoint teaches, or a checkpoint's folder"),),
    )

    def prepare(self, network: Network, corpus: Corpus) -> None:
        """Run the teacher over the training set, once.

        Raises:
            CheckpointError: The teacher has another architecture, alphabet or frame rate.
        """
        (source,) = self.trial.spec.needs["teacher"]
        teacher = load_checkpoint(source.checkpoint)
        _refuse_other(teacher, self.trial.settings.model.model_dump(), corpus)
        train = self.trial.load("train", teacher.features)
        _, frames = posteriors(self.trial.store, source.key, teacher, train.features)
        if not np.array_equal(np.diff(frames.offsets), network.output_lengths(corpus.train.features.lengths)):
            raise CheckpointError(f"{source.name}: the teacher's frame rate is not the student's")
        self._teacher: Posteriors = frames
        self._output_lengths = network.encoder.output_lengths
        self._settings = self.trial.settings.section("distillation", DistillationSettings)

    def loss(self, log_probs: Tensor, lengths: Tensor, batch: Batch) -> Tensor:
        """The teacher's divergence and CTC, weighed."""
        settings = self._settings
        beta = 1 - settings.alpha if settings.beta is None else settings.beta
        ctc = super().loss(log_probs, lengths, batch)
        if settings.alpha == 0:
            return beta * ctc
        teacher = gather(self._teacher, batch.indices)
        if batch.original_lengths is not None:
            teacher = self._rescaled(teacher, batch.original_lengths, lengths)
        teacher = teacher.to(log_probs.device)
        divergence = frame_distillation_loss(
            log_probs,
            teacher,
            lengths,
            batch.tokens,
            frames=settings.frames,
            dilate=settings.dilate,
            temperature=settings.temperature,
        )
        return settings.alpha * divergence + beta * ctc

    def _rescaled(self, teacher: Tensor, original: Tensor, lengths: Tensor) -> Tensor:
        """The teacher's posteriors stretched as the student's features were: probabilities, linearly between frames."""
        before = self._output_lengths(original)
        return rescale_time(teacher.exp(), before, lengths).clamp(min=_SMALLEST).log()


def gather(posteriors: Posteriors, indices: NDArray[np.int64]) -> Tensor:
    """The posteriors of a batch, padded to the longest.

    Args:
        posteriors: Of the whole set.
        indices: Which utterances, (batch,).

    Returns:
        (batch, frames, labels), float32; zero behind an utterance's end.
    """
    found = [posteriors[int(index)] for index in indices]
    block = np.zeros((len(found), max(map(len, found)), len(posteriors.labels)), np.float32)
    for row, frames in enumerate(found):
        block[row, : len(frames)] = frames
    return torch.from_numpy(block)


def _refuse_other(teacher: Checkpoint, student: dict[str, object], corpus: Corpus) -> None:
    ours = {key: value for key, value in student.items() if key != "dropout"}
    theirs = {key: value for key, value in teacher.model.model_dump().items() if key != "dropout"}
    if ours != theirs:
        raise CheckpointError(
            f"{teacher.folder}: self_distillation needs a teacher of the student's own architecture; "
            f"the teacher is {theirs}, the student {ours}"
        )
    if teacher.alphabet != corpus.alphabet:
        odd = sorted(set(teacher.alphabet.labels) ^ set(corpus.alphabet.labels))
        raise CheckpointError(
            f"{teacher.folder}: the teacher's alphabet is not the student's; "
            f"{f'only one of them has {odd[:10]}' if odd else 'the order differs'}"
        )
