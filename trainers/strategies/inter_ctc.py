"""Intermediate CTC: a second head half-way up the encoder learns the same labels, and is gone when training ends.

L = (1 - weight) * CTC(output) + weight * CTC(half-way) (Lee & Watanabe 2021). Recognition costs what it costs without.
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from search_spaces.axes.section import Section
from search_spaces.schema import StrategySchema
from trainers.augmentation import augment
from trainers.data.batches import Batch
from trainers.data.sets import Corpus
from trainers.model.network import Network, classify, with_encoder
from trainers.strategy import TrainingStrategy

_HEAD = "intermediate_head"


class InterCtcSettings(Section):
    """A second head.

    Attributes:
        weight: Weight of its loss, 0.1 to 0.5 as a rule.
        layer: Encoder layer it stands on, from 1; 0 is the middle one.
    """

    weight: float = Field(0.3, ge=0, lt=1)
    layer: int = Field(0, ge=0, le=64)


class InterCtc(TrainingStrategy):
    """CTC at two heights."""

    schema = StrategySchema(
        name="inter_ctc",
        summary="a second CTC head half-way up, free at inference",
        axes=("units", "features", "model", "train", "inter_ctc"),
        sections={"inter_ctc": InterCtcSettings},
        taps=True,
    )

    def prepare(self, network: Network, corpus: Corpus) -> None:
        """Put the second head on; its weights are drawn aside, so that the rest starts as the baseline does."""
        network = with_encoder(network)
        with torch.random.fork_rng(devices=[]):
            network.add_module(_HEAD, nn.Linear(network.encoder.outputs, len(corpus.alphabet)))

    def release(self, network: Network) -> None:
        """Take the second head off."""
        delattr(network, _HEAD)

    def step(self, network: Network, batch: Batch) -> Tensor:
        """The losses of both heads, weighed."""
        settings = self.trial.settings.section("inter_ctc", InterCtcSettings)
        layers = self.trial.settings.model.layers
        batch = augment(batch, network, self.trial.settings.train, self.trial.settings.features.blocks)
        layer = settings.layer or (layers + 1) // 2
        log_probs, lengths, tapped = with_encoder(network).forward_with_tap(batch.features, batch.lengths, layer)
        halfway = classify(network.get_submodule(_HEAD), tapped)
        upper, lower = self.loss(log_probs, lengths, batch), self.loss(halfway, lengths, batch)
        return (1 - settings.weight) * upper + settings.weight * lower
