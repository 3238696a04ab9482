"""Label smoothing, mixup and curriculum together, beside the masks that every strategy has.

Smoothing is defined in `trainers.losses.smoothing`, mixup in `trainers.losses.mixup`; the curriculum shows the first
epochs from short utterances to long ones (Platanios et al. 2019; for CTC: Amodei et al. 2016). With all three at zero
this is the baseline, loss for loss.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from search_spaces.schema import StrategySchema
from trainers.augmentation import disguise, rescale
from trainers.data.batches import Batch
from trainers.losses.mixup import mix_features, mixup_loss, pair_utterances
from trainers.model.network import Network
from trainers.strategy import TrainingStrategy


class Augmentation(TrainingStrategy):
    """Targets softened, utterances mixed, short ones first."""

    schema = StrategySchema(
        name="augmentation",
        summary="label smoothing, mixup and a curriculum by length",
        axes=("units", "features", "model", "train", "augmentation"),
        fixed={"augmentation.smoothing": 0.02, "augmentation.mixup": 0.2},
    )

    def step(self, network: Network, batch: Batch) -> Tensor:
        """The loss of a batch some of whose utterances are mixed."""
        settings = self.trial.settings.augmentation
        if settings.mixup == 0:
            return super().step(network, batch)
        rng = np.random.default_rng(int(torch.randint(2**31, (1,))))
        batch = rescale(batch, network, self.trial.settings.train)
        mix = pair_utterances(batch.lengths, settings.mixup, settings.mixup_concentration, rng)
        features, lengths = mix_features(batch.features, batch.lengths, mix)
        mixed = replace(batch, features=features, lengths=lengths)
        mixed = disguise(mixed, self.trial.settings.train, self.trial.settings.features.blocks)
        log_probs, lengths = network(mixed.features, mixed.lengths)
        loss = mixup_loss(log_probs, lengths, batch.targets, batch.target_lengths, mix)
        return self.smoothed(loss, log_probs, lengths)
