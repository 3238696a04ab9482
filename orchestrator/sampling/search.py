"""A study as samplers and pruners see it."""

from collections.abc import Container

import optuna
from optuna.trial import FrozenTrial

from orchestrator.sampling.point import confirms


class Search(optuna.Study):
    """A study without the trials that confirm.

    They lie at the best points by construction: as observations of a search that goes on later they would hold it
    there, and the median of the finished trials would be one of the best.
    """

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[optuna.trial.TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        trials = super()._get_trials(deepcopy, states, use_cache)
        return [trial for trial in trials if not confirms(trial.user_attrs)]
