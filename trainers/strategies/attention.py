"""Attention: frames see their neighbours between encoder and head, and the rest is the baseline.

``model.attention: windowed``: h' = h + gamma * W Attention(LayerNorm h), with gamma = 0 at the start.
``model.attention: gate``: h' = h * 2 sigmoid(W [LayerNorm h; c]), c = Attention(LayerNorm h), with W = 0 at the start.

A frame sees ``model.attention_window`` frames on each side. Both start as the baseline, whose loss at the first step
they have exactly. Attention: Vaswani et al. 2017; over a window: Beltagy et al. 2020 (Longformer); for CTC: Salazar et
al. 2019 (SAN-CTC); a residual branch behind a zero: Bachlechner et al. 2020 (ReZero).
"""

from search_spaces.schema import StrategySchema
from trainers.strategy import TrainingStrategy


class Attention(TrainingStrategy):
    """CTC with windowed self-attention above the encoder."""

    schema = StrategySchema(
        name="attention",
        summary="windowed self-attention, or a gate that reads it, between encoder and head",
        axes=("units", "features", "model", "train"),
        fixed={"model.attention": "windowed"},
    )
