"""Learning from a transcript and a teacher at once.

L = alpha * T + beta * CTC, with T by ``distillation.level``:

==========  ========================================================================================================
``frame``   divergence frame by frame (`trainers.losses.distillation`; Hinton et al. 2015)
``span``    divergence of the means over each of the teacher's token spans (`trainers.losses.span`)
``guided``  the student's spikes are drawn to the frames of the teacher's (`trainers.losses.guided`; Kurata & Audhkhasi
            2019); models that were trained apart and guided alike can be averaged frame by frame
==========  ========================================================================================================

beta is 1 - alpha unless it is given; at the level ``guided``, whose T is a bonus and no divergence, it is 1.
"""

from torch import Tensor

from search_spaces.axes.distillation import DistillationSettings
from trainers.data.batches import Batch
from trainers.data.sets import Corpus
from trainers.losses.distillation import frame_distillation_loss
from trainers.losses.guided import guided_loss
from trainers.losses.span import span_loss
from trainers.model.network import Network
from trainers.strategy import TrainingStrategy
from trainers.teacher import Teacher


class DistillingStrategy(TrainingStrategy):
    """A strategy whose student has a teacher; its settings are the section ``distillation``."""

    def prepare(self, network: Network, corpus: Corpus) -> None:
        """Run the teacher over the training set, once.

        Raises:
            CheckpointError: The teacher's alphabet or frame rate is not the student's.
        """
        self._settings = self.trial.settings.section("distillation", DistillationSettings)
        self.teacher = Teacher(self.trial, network, corpus)

    def loss(self, log_probs: Tensor, lengths: Tensor, batch: Batch) -> Tensor:
        """The teacher's term and CTC, weighed."""
        settings = self._settings
        beta = settings.beta
        if beta is None:
            beta = 1.0 if settings.level == "guided" else 1 - settings.alpha
        ctc = super().loss(log_probs, lengths, batch)
        if settings.alpha == 0:
            return beta * ctc
        return settings.alpha * self._term(log_probs, self.teacher(batch, lengths), lengths, batch.tokens) + beta * ctc

    def _term(self, student: Tensor, teacher: Tensor, lengths: Tensor, tokens: int) -> Tensor:
        settings = self._settings
        match settings.level:
            case "span":
                return span_loss(student, teacher, lengths, tokens, settings.temperature)
            case "guided":
                return guided_loss(student, teacher, lengths, tokens)
            case "frame":
                return frame_distillation_loss(
                    student,
                    teacher,
                    lengths,
                    tokens,
                    frames=settings.frames,
                    dilate=settings.dilate,
                    temperature=settings.temperature,
                )
