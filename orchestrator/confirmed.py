r"""What a study's trials say of its configurations, beside the single run with which each was found.

The lowest dev WER of a search is the luckiest too. So configurations are trained again with fresh seeds and ranked by
the mean of these runs alone. With the variance s² of a run pooled over the configurations, ν = Σ (n_i - 1), two means
differ by less than

.. math:: t_{0.975,\, \nu} \, s \, \sqrt{1/n_1 + 1/n_2}

in 95 of 100 cases where the configurations are equal (Student 1908).
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from scipy.special import stdtrit

from orchestrator.record import StudyRecord, TrialRecord, TrialState
from search_spaces.axes.settings import overlay
from search_spaces.replicates import SEED


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A configuration that was trained again with fresh seeds, each time to the end.

    Attributes:
        origin: The trial of the search that found it.
        trials: Those that confirm it, two at least, by number.
    """

    origin: TrialRecord
    trials: tuple[TrialRecord, ...]

    @property
    def wers(self) -> tuple[float, ...]:
        """Their dev WERs, percent."""
        return tuple(trial.dev_wer or 0.0 for trial in self.trials)

    @property
    def mean(self) -> float:
        """Percent."""
        return fmean(self.wers)

    @property
    def variance(self) -> float:
        """Of a single run, with n - 1; squared points of percent."""
        return variance(self.wers)

    @property
    def typical(self) -> TrialRecord:
        """The trial whose dev WER is nearest to the mean; of equals, as two trials always are, the lower.

        The lowest of more would be one more choice on dev, and the figure shown with it too good again; this one shows
        what the configuration is worth.
        """
        return min(self.trials, key=lambda trial: (round(abs((trial.dev_wer or 0.0) - self.mean), 9), _rank(trial)))

    @property
    def lowest(self) -> TrialRecord:
        """The trial of the lowest dev WER; of equals the earlier."""
        return min(self.trials, key=lambda trial: (trial.dev_wer, trial.number))


def configuration_of(trial: TrialRecord) -> str:
    """All that decides a trial's result, its seed left out."""
    settings = overlay(trial.settings, {SEED: None})
    return json.dumps([settings, {name: list(sources) for name, sources in trial.needs.items()}], sort_keys=True)


def ranking(study: StudyRecord) -> list[Confirmed]:
    """The configurations that were confirmed, the lowest mean first; of equals that which the search found better.

    One of which a confirmation has not come to its end is left out: the mean of the others is one over survivors.
    """
    found: dict[str, list[TrialRecord]] = {}
    for trial in study.trials:
        if trial.confirms is not None:
            found.setdefault(configuration_of(study.origin(trial)), []).append(trial)
    whole = [trials for trials in found.values() if all(trial.dev_wer is not None for trial in trials)]
    ranked = [
        Confirmed(min(map(study.origin, trials), key=_rank), tuple(trials)) for trials in whole if len(trials) > 1
    ]
    return sorted(ranked, key=lambda one: (one.mean, _rank(one.origin)))


def run_variance(ranked: Sequence[Confirmed]) -> float:
    """Variance of a single run about the mean of its configuration, pooled; squared points of percent."""
    freedom = [len(one.trials) - 1 for one in ranked]
    return sum(part * one.variance for part, one in zip(freedom, ranked, strict=True)) / sum(freedom)


def alike(ranked: Sequence[Confirmed]) -> list[Confirmed]:
    """Those behind the first that seed noise does not tell apart from it.

    Args:
        ranked: The lowest mean first, one at least.
    """
    first, *others = ranked
    spread = math.sqrt(run_variance(ranked))
    far = float(stdtrit(sum(len(one.trials) - 1 for one in ranked), 0.975)) * spread
    return [
        one for one in others if one.mean - first.mean <= far * math.sqrt(1 / len(first.trials) + 1 / len(one.trials))
    ]


def undecided(study: StudyRecord) -> bool:
    """Whether a study has trials that confirm and has not promoted the one that they speak for."""
    again = [trial for trial in study.trials if trial.confirms is not None]
    ranked = ranking(study)
    running = any(not trial.state.finished for trial in again)
    return running or (bool(ranked) and ranked[0].typical.number != study.promoted)


def replicates(study: StudyRecord) -> tuple[TrialRecord, ...]:
    """The trials whose mean speaks for a study's configuration, by number.

    Those that confirm the promoted one; or all trials of a study that has trained one configuration, each to the end
    and with a seed of its own. None of them was chosen for its own WER.

    Returns:
        None, or two at least.
    """
    result = study.result
    if result is None:
        return ()
    if result.confirms is not None:
        configuration = configuration_of(study.origin(result))
        return next((one.trials for one in ranking(study) if configuration_of(one.origin) == configuration), ())
    searched = study.searched
    seeds = {trial.seed for trial in searched} - {None}
    if not len(seeds) == len(searched) > 1 or any(trial.state is not TrialState.COMPLETE for trial in searched):
        return ()
    return searched if len(set(map(configuration_of, searched))) == 1 else ()


def by_configuration(trials: Iterable[TrialRecord]) -> dict[str, TrialRecord]:
    """The best complete trial of every configuration, the lowest dev WER first."""
    found: dict[str, TrialRecord] = {}
    for trial in sorted((trial for trial in trials if trial.dev_wer is not None), key=_rank):
        found.setdefault(configuration_of(trial), trial)
    return found


def _rank(trial: TrialRecord) -> tuple[float, int]:
    return trial.dev_wer or 0.0, trial.number
