"""Seeds: one configuration trained several times, with nothing changed but the seed.

Trial i has seed i + 1, so that the spread of the study is the noise of a seed and its trials are a pool for ensembles.
Without ``needs`` it is the campaign's own configuration, CTC alone; ``inherit: STUDY`` takes over the parameters that
won there. ``needs: {configuration: STUDY}`` repeats that study's promoted trial instead, whatever its strategy: with
its settings, parameters and teacher. The seed that such a trial was chosen with is left out, since it was chosen for
its luck too. No replicate is stopped early unless the study asks for a pruner: the mean over survivors is too low.
"""

from search_spaces.schema import Need, StrategySchema
from trainers.strategy import TrainingStrategy


class Seeds(TrainingStrategy):
    """The campaign's own configuration; replicates of another study's trial are trained by that study's strategy."""

    schema = StrategySchema(
        name="seeds",
        summary="one configuration with several seeds: how much of a difference is noise",
        axes=("units", "features", "model", "train"),
        needs=(
            Need("configuration", "the study whose promoted trial is trained again", optional=True, replicated=True),
        ),
        replicates=True,
    )
