"""Learning from a transcript and a teacher at once.

L = alpha * T + beta * CTC, with T by ``distillation.level``:

============  ======================================================================================================
``frame``     divergence frame by frame (`trainers.losses.distillation`; Hinton et al. 2015)
``span``      divergence of the means over each of the teacher's token spans (`trainers.losses.span`)
``guided``    the student's spikes are drawn to the frames of the teacher's (`trainers.losses.guided`; Kurata &
              Audhkhasi 2019); models that were trained apart and guided alike can be averaged frame by frame
``sequence``  CTC of the teacher's best label sequences, weighted (`trainers.losses.sequence`; Kim & Rush 2016); teacher
              and student may differ in units and in frame rate here, and nowhere else
============  ======================================================================================================

Smoothing, curriculum, masks, warps and time rescaling go beside it. Mixup does not: a teacher should read the mixture
that its student reads (Liang et al. 2021, MixKD; Beyer et al. 2022), and this one has read the utterances alone.

beta is 1 - alpha unless it is given; at the level ``guided``, whose T is a bonus and no divergence, it is 1.
"""

from torch import Tensor

from search_spaces.axes.distillation import DistillationSettings
from search_spaces.errors import UserError
from trainers.combining.kept_ensemble import DESCRIPTION, load_ensemble
from trainers.combining.rule import HypothesisRule, PosteriorRule
from trainers.data.batches import Batch
from trainers.data.sets import Corpus
from trainers.losses.distillation import frame_distillation_loss
from trainers.losses.guided import guided_loss
from trainers.losses.sequence import sequence_loss
from trainers.losses.span import span_loss
from trainers.model.network import Network
from trainers.source import open_source
from trainers.strategy import TrainingStrategy
from trainers.teaching.ensemble_teacher import Committee, HypothesisTeacher, MeanFrames
from trainers.teaching.frames import TeacherFrames
from trainers.teaching.hypotheses import TeacherHypotheses
from trainers.teaching.teacher import NEED, FrameTeacher, Teacher
from trainers.trial import Trial


class DistillingStrategy(TrainingStrategy):
    """A strategy whose student has a teacher; its settings are the section ``distillation``."""

    def prepare(self, network: Network, corpus: Corpus) -> None:
        """Run the teacher over the training set, once.

        Raises:
            UserError: The student is to read mixtures.
            CheckpointError: The teacher's alphabet or frame rate is not the student's, or it says nothing of frames,
                where that matters.
        """
        if self.trial.settings.augmentation.mixup:
            raise UserError(
                f"augmentation.mixup: {self.trial.settings.augmentation.mixup:g} does not go with a teacher, which has "
                "read no mixtures; set it in a study of strategy augmentation alone"
            )
        self._settings = self.trial.settings.section("distillation", DistillationSettings)
        teacher = open_teacher(self.trial)
        if self._settings.level == "sequence":
            self._said = TeacherHypotheses(teacher, corpus, self._settings.n_best)
            self.notes = self._said.notes
        else:
            self.teacher = TeacherFrames(teacher, network, corpus)

    def loss(self, log_probs: Tensor, lengths: Tensor, batch: Batch) -> Tensor:
        """The teacher's term and CTC, weighed."""
        settings = self._settings
        beta = settings.beta
        if beta is None:
            beta = 1.0 if settings.level == "guided" else 1 - settings.alpha
        ctc = super().loss(log_probs, lengths, batch)
        if settings.alpha == 0:
            return beta * ctc
        return settings.alpha * self._term(log_probs, lengths, batch) + beta * ctc

    def _term(self, student: Tensor, lengths: Tensor, batch: Batch) -> Tensor:
        settings, tokens = self._settings, batch.tokens
        match settings.level:
            case "sequence":
                return sequence_loss(student, lengths, self._said(batch), tokens).loss
            case "span":
                return span_loss(student, self.teacher(batch, lengths), lengths, tokens, settings.temperature)
            case "guided":
                return guided_loss(student, self.teacher(batch, lengths), lengths, tokens)
            case "frame":
                return frame_distillation_loss(
                    student,
                    self.teacher(batch, lengths),
                    lengths,
                    tokens,
                    frames=settings.frames,
                    dilate=settings.dilate,
                    temperature=settings.temperature,
                )


def open_teacher(trial: Trial) -> Teacher:
    """The teacher of a student's trial.

    Raises:
        CheckpointError: It cannot be read.
    """
    (ingredient,) = trial.spec.needs[NEED.name]
    name, store = ingredient.title, trial.store
    if not (ingredient.folder / DESCRIPTION).is_file():
        return FrameTeacher(name, store, open_source(trial, ingredient))
    kept = load_ensemble(ingredient.folder)
    if isinstance(kept.rule, PosteriorRule):
        return FrameTeacher(name, store, MeanFrames(Committee(trial, kept), kept.rule))
    assert isinstance(kept.rule, HypothesisRule)  # a rule of weights makes one network
    return HypothesisTeacher(trial, name, kept, kept.rule)
