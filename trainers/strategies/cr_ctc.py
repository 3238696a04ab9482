"""Consistency-regularised CTC: two augmented views of an utterance are each other's soft target.

L = (CTC(a) + CTC(b)) / 2 + weight * CR(a, b), with CR defined in `trainers.losses.consistency` (Yao et al. 2024). Both
views share their rescaling in time, so that their frames correspond; bands and masks are drawn for each. A step reads
every utterance twice: half the epochs cost what the baseline's cost.
"""

import torch
from pydantic import Field
from torch import Tensor

from search_spaces.axes.section import Section
from search_spaces.schema import StrategySchema
from trainers.augmentation import disguise, rescale
from trainers.data.batches import Batch
from trainers.losses.consistency import consistent_ctc_loss
from trainers.model.network import Network
from trainers.strategy import TrainingStrategy


class CrCtcSettings(Section):
    """Two views of every utterance.

    Attributes:
        weight: Weight of the consistency; the paper's is 0.2.
    """

    weight: float = Field(0.2, ge=0, le=10)


class CrCtc(TrainingStrategy):
    """CTC of two views, and their agreement."""

    schema = StrategySchema(
        name="cr_ctc",
        summary="two augmented views of an utterance are each other's soft target",
        axes=("units", "features", "model", "train", "cr_ctc"),
        sections={"cr_ctc": CrCtcSettings},
    )

    def step(self, network: Network, batch: Batch) -> Tensor:
        """The loss of both views, which go through the network as one batch."""
        settings, blocks = self.trial.settings.train, self.trial.settings.features.blocks
        batch = rescale(batch, network, settings)
        views = [disguise(batch, settings, blocks) for _ in range(2)]
        features = torch.cat([view.features for view in views])
        log_probs, lengths = network(features, batch.lengths.repeat(2))
        first, second = log_probs.chunk(2)
        weight = self.trial.settings.section("cr_ctc", CrCtcSettings).weight
        half = lengths[: len(batch.lengths)]
        return consistent_ctc_loss(first, second, half, batch.targets, batch.target_lengths, weight)
