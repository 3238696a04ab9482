"""Self-distillation: a fresh student of the teacher's own architecture learns from transcript and teacher.

The loss is that of `trainers.distilling`. The teacher reads every utterance once, unmasked, and its posteriors are
kept; the student reads the utterances masked. Born-again networks: Furlanello et al. 2018; for CTC: Kurata & Audhkhasi
2018.
"""

from search_spaces.axes.distillation import DistillationSettings
from search_spaces.schema import StrategySchema
from trainers.checkpoint import load_checkpoint
from trainers.data.sets import Corpus
from trainers.distilling import DistillingStrategy
from trainers.model.network import Network
from trainers.teacher import NEED, refuse_other_architecture


class SelfDistillation(DistillingStrategy):
    """Same architecture, fresh student, frozen teacher."""

    schema = StrategySchema(
        name="self_distillation",
        summary="a fresh student of the same architecture learns from a teacher's posteriors too",
        axes=("train", "distillation", "model.dropout", "augmentation.smoothing", "augmentation.curriculum"),
        uses=("units", "features", "model", "train", "distillation", "augmentation"),
        sections={"distillation": DistillationSettings},
        needs=(NEED,),
    )

    def prepare(self, network: Network, corpus: Corpus) -> None:
        """Run the teacher over the training set, once.

        Raises:
            CheckpointError: The teacher has another architecture, alphabet or frame rate.
        """
        (source,) = self.trial.spec.needs[NEED.name]
        refuse_other_architecture(load_checkpoint(source.checkpoint), self.trial.settings.model)
        super().prepare(network, corpus)
