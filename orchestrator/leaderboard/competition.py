"""How much too good a trial looks because it was chosen among others on the set that it is shown on."""

from collections.abc import Sequence
from statistics import fmean, median

import numpy as np

from orchestrator.record import StudyRecord, TrialRecord
from trainers.outcomes import UtteranceErrors
from trainers.scoring.selection import measurement_noise, optimism

_FAR = 3 * 1.4826  # median absolute deviations: of a normal distribution, three standard deviations
_FEWEST = 8  # trials of which a median deviation tells what is far


def competitors(study: StudyRecord) -> list[TrialRecord]:
    """The complete trials that a winner was chosen among, by number.

    Of eight and more, those far above the rest (they diverged, or the weights of a search were absurd) are left out:
    they compete with nobody, and would make the others look as if they differed much.
    """
    complete = [trial for trial in study.trials if trial.dev_wer is not None]
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
    nearer to the mean of all, and its correction is smaller by as much.

    Args:
        study: The study.
        sample: Errors by utterance of some of its `competitors`.

    Returns:
        0 where there was no choice; None where there was one and the sample does not tell its noise.
    """
    result = study.result
    rates = [trial.dev_wer or 0.0 for trial in competitors(study)]
    if result is None or result.dev_wer is None or len(rates) < 2:
        return 0.0
    if len(sample) < 2 or len(sample[0].ids) < 2:
        return None
    noise = measurement_noise(np.stack([one.errors for one in sample]), sample[0].words)
    lowest, mean = min(rates), fmean(rates)
    share = (mean - result.dev_wer) / (mean - lowest) if mean > lowest else 1.0
    return optimism(rates, noise) * min(max(share, 0.0), 1.0)
