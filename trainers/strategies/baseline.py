"""Baseline: CTC alone, with masks and dropout; what every other strategy is compared with."""

from search_spaces.schema import StrategySchema
from trainers.strategy import TrainingStrategy


class Baseline(TrainingStrategy):
    """AdamW, one-cycle learning rate, gradient clipping, dropout, feature and time masks."""

    schema = StrategySchema(
        name="baseline",
        summary="CTC alone, with masks and dropout",
        axes=("units", "features", "model", "train"),
    )
