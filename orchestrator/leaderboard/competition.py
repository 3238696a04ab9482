"""How much too good a trial looks because it was chosen among others on the set that it is shown on."""

import math
from collections.abc import Sequence
from statistics import fmean, median

import numpy as np

from orchestrator.confirmed import Confirmed, ranking, run_variance
from orchestrator.record import StudyRecord, TrialRecord
from trainers.outcomes import UtteranceErrors
from trainers.scoring.selection import measurement_noise, optimism

_FAR = 3 * 1.4826  # median absolute deviations: of a normal distribution, three standard deviations
_FEWEST = 8  # trials of which a median deviation tells what is far


def competitors(study: StudyRecord) -> list[TrialRecord]:
    """The complete trials that a winner was chosen among, by number.

    Where it is a configuration that was confirmed, those that confirm it and its rivals. Otherwise, of eight and more,
    those far above the rest (they diverged, or the weights of a search were absurd) are left out: they compete with
    nobody, and would make the others look as if they differed much.
    """
    if study.result is not None and study.result.confirms is not None:
        return sorted((trial for one in ranking(study) for trial in one.trials), key=lambda trial: trial.number)
    complete = [trial for trial in study.searched if trial.dev_wer is not None]
    rates = [trial.dev_wer or 0.0 for trial in complete]
    if len(rates) < _FEWEST:
        return complete
    middle = median(rates)
    distances = [abs(rate - middle) for rate in rates]
    deviation = median(distances) or fmean(distances)  # half of them may be alike
    return [trial for trial, rate in zip(complete, rates, strict=True) if rate <= middle + _FAR * deviation]


def flattery(study: StudyRecord, sample: Sequence[UtteranceErrors]) -> float | None:
    """Points by which the dev WER of the trial that stands for a study is too low; to be added to it.

    The lowest of K is corrected as `trainers.scoring.selection` says. Another trial that stands for the study lies
    nearer to the mean of all, and its correction is smaller by as much. One that confirms its configuration is
    corrected as the mean is for which that was chosen.

    Args:
        study: The study.
        sample: Errors by utterance of some of its `competitors`.

    Returns:
        0 where there was no choice, or another part of dev made it; None where there was one and the sample does not
        tell its noise.
    """
    result = study.result
    if result is not None and result.parted:
        return 0.0
    if result is not None and result.confirms is not None:
        return _flattery_of_mean(ranking(study), sample)
    rates = [trial.dev_wer or 0.0 for trial in competitors(study)]
    if result is None or result.dev_wer is None or len(rates) < 2:
        return 0.0
    if len(sample) < 2 or len(sample[0].ids) < 2:
        return None
    noise = measurement_noise(np.stack([one.errors for one in sample]), sample[0].words)
    lowest, mean = min(rates), fmean(rates)
    share = (mean - result.dev_wer) / (mean - lowest) if mean > lowest else 1.0
    return optimism(rates, noise) * min(max(share, 0.0), 1.0)


def _flattery_of_mean(ranked: Sequence[Confirmed], sample: Sequence[UtteranceErrors]) -> float | None:
    """The same of the lowest of several means over seeds, whose noise is that of a run and that of its seed."""
    if len(ranked) < 2:
        return 0.0
    if len(sample) < 2 or len(sample[0].ids) < 2:
        return None
    noise = measurement_noise(np.stack([one.errors for one in sample]), sample[0].words)
    runs = min(len(one.trials) for one in ranked)
    return optimism([one.mean for one in ranked], math.sqrt((noise**2 + run_variance(ranked)) / runs))
