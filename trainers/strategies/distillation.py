"""Teacher-student distillation: a student of any size learns from transcript and a teacher of any size.

The loss is that of `trainers.teaching.distilling`. Alphabet and frame rate must be the teacher's but at the level
``sequence``. The teacher may be an ensemble (`trainers.teaching.ensemble_teacher`). The student starts from random
weights, or (``needs: {student: ...}``) from a checkpoint of its own shape.
"""

from dataclasses import replace

from search_spaces.axes.distillation import DistillationSettings
from search_spaces.schema import Need, StrategySchema
from trainers.data.sets import Corpus
from trainers.model.network import Network
from trainers.source import checkpoint_of
from trainers.teaching.distilling import DistillingStrategy
from trainers.teaching.teacher import NEED

_TEACHER = replace(
    NEED,
    summary="the study whose promoted checkpoint or ensemble teaches, or a checkpoint's folder",
    texts=("distillation.level", "sequence"),
)

# only a student of the teacher's own shape can teach the next
_HEEDED = tuple(f"distillation.{name}" for name in DistillationSettings.model_fields if name != "generations")


class Distillation(DistillingStrategy):
    """Teacher and student of any sizes."""

    schema = StrategySchema(
        name="distillation",
        summary="a student of any size learns from a teacher of any size",
        axes=("model", "train", *_HEEDED, "augmentation.smoothing", "augmentation.curriculum"),
        uses=("units", "features", "model", "train", "distillation", "augmentation"),
        sections={"distillation": DistillationSettings},
        needs=(_TEACHER, Need("student", "a checkpoint of the student's own shape to start from", optional=True)),
    )

    def prepare(self, network: Network, corpus: Corpus) -> None:
        """Run the teacher over the training set, once; give the student its first weights.

        Raises:
            CheckpointError: The teacher's alphabet or frame rate, or the shape of the first weights, does not fit.
        """
        super().prepare(network, corpus)
        for source in self.trial.spec.needs.get("student", ()):
            checkpoint = checkpoint_of(source)
            checkpoint.load_into(network)
            self.start = checkpoint.digest
