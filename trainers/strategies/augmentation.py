r"""Label smoothing, mixup and curriculum together, beside the masks that every strategy has.

.. math::

    L = (1 - \epsilon) M + \epsilon KL(u \| p), \qquad M = \lambda CTC(p, y_i) + (1 - \lambda) CTC(p, y_j)

Smoothing, :math:`\epsilon`, is defined in `trainers.losses.smoothing`, mixup, :math:`\lambda`, in
`trainers.losses.mixup`. What is mixed, by ``augmentation.mixup_at``, with f the encoder and g attention and head:

==========  ========================================================================================================
``input``   :math:`p = g(f(\lambda x_i + (1 - \lambda) x_j))`: the features (Zhang et al. 2018)
``hidden``  :math:`p = g(\lambda f(x_i) + (1 - \lambda) f(x_j))`: the encoder's frames (manifold mixup, Verma et al.
            2019); the encoder itself sees utterances as they are, each behind its own masks
==========  ========================================================================================================

The curriculum shows the first epochs from short utterances to long ones (Platanios et al. 2019; for CTC: Amodei et al.
2016). With all three at zero this is the baseline, loss for loss.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from search_spaces.schema import StrategySchema
from trainers.augmentation import disguise, rescale
from trainers.data.batches import Batch
from trainers.losses.mixup import mix_features, mixup_loss, pair_utterances
from trainers.model.network import Network, with_encoder
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
        if settings.mixup_at == "hidden":
            seen = self._disguised(batch)
            log_probs, lengths = with_encoder(network).forward_with_change(
                seen.features, seen.lengths, lambda hidden, lengths: mix_features(hidden, lengths, mix)
            )
        else:
            features, lengths = mix_features(batch.features, batch.lengths, mix)
            seen = self._disguised(replace(batch, features=features, lengths=lengths))
            log_probs, lengths = network(seen.features, seen.lengths)
        loss = mixup_loss(log_probs, lengths, batch.targets, batch.target_lengths, mix)
        return self.smoothed(loss, log_probs, lengths)

    def _disguised(self, batch: Batch) -> Batch:
        return disguise(batch, self.trial.settings.train, self.trial.settings.features.blocks)
