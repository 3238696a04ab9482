"""A decoding study whose points have errors by utterance that were made by hand."""

import numpy as np

from orchestrator.record import TrialRecord, TrialState
from orchestrator.surface import find_surface
from search_spaces.space import Axis, Categorical, Float, Space
from trainers.artifacts import Score
from trainers.outcomes import UtteranceErrors
from trainers.spec import TrialOutcome

UTTERANCES = 12
WORDS = np.full(UTTERANCES, 5, np.int64)
ALPHA, BETA = Axis("decoding.alpha", Float(0.0, 2.0)), Axis("decoding.beta", Float(-2.0, 6.0))
BEAM = Axis("decoding.beam_width", Categorical((10, 50)))
SPACE = Space((ALPHA, BETA, BEAM))
WIDER = {"decoding.token_min_logp": -7.0, "decoding.beam_prune_logp": -20.0, "decoding.beam_width": 100}


class Study:
    """Trials and their errors by utterance."""

    def __init__(self):
        self.trials = []
        self.errors = {}

    def add(self, errors, *, overrides=None, repeats=None, source="a", **params):
        counts = np.resize(np.asarray(errors, np.int64), UTTERANCES)
        point = {f"decoding.{name}": value for name, value in params.items()}
        number = len(self.trials)
        self.errors[number] = counts
        self.trials.append(
            TrialRecord(
                "c",
                "decoding",
                "decoding",
                number,
                TrialState.COMPLETE,
                params={**point, **(overrides or {})},
                needs={"posteriors": (source,)},
                outcome=TrialOutcome(score=Score(int(counts.sum()), 0, 0, int(WORDS.sum()))),
                overrides=overrides or {},
                repeats=repeats,
            )
        )
        return number

    def errors_of(self, trial):
        return UtteranceErrors(tuple(map(str, range(UTTERANCES))), self.errors[trial.number], WORDS)

    def surface(self, space=SPACE, trials=None):
        return find_surface(space, self.trials if trials is None else trials, self.errors_of)
