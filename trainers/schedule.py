"""The learning rate over a run, and when a run is over before its budget is.

All of it follows from the settings and the reports of the epochs so far, so that there is no state to be kept.
"""

import math
from collections.abc import Sequence

from search_spaces.axes.train import TrainSettings
from trainers.spec import EpochReport

_START, _END = 1 / 25, 1e-4  # of the peak
_BLANK_EPOCHS = 5  # that even a good run may say nothing but blank


def rate_factor(settings: TrainSettings, reports: Sequence[EpochReport], done: float) -> float:
    """Factor of the peak learning rate for a step.

    Args:
        settings: Which schedule.
        reports: The epochs before the step's own.
        done: Epochs done, fractions included.
    """
    if settings.schedule == "one_cycle":
        return one_cycle(done, settings.epochs, settings.warmup)
    warm = settings.warmup * settings.epochs
    rise = one_cycle(done, settings.epochs, settings.warmup) if done < warm else 1.0
    return rise * settings.plateau_factor ** steps_down(reports, settings.plateau_patience, warm)


def one_cycle(done: float, total: float, warmup: float) -> float:
    """Up along a half cosine, and down along another (Smith & Topin 2019).

    Args:
        done: Epochs done, fractions included.
        total: Epochs in all.
        warmup: Share of them that goes up.
    """
    top = warmup * total
    if done < top:
        return _START + (1 - _START) * (1 - math.cos(math.pi * done / top)) / 2
    return _END + (1 - _END) * (1 + math.cos(math.pi * (done - top) / (total - top))) / 2


def steps_down(reports: Sequence[EpochReport], patience: int, warm: float = 0.0) -> int:
    """How often the dev WER has got no better for so many epochs, each count beginning anew after a step down.

    Epochs of the warm-up do not count, nor those in which the network says nothing but blank: their WER stands still at
    100 % even in a good run, and a lower rate would keep it there.

    Args:
        reports: One an epoch.
        patience: Epochs without a better WER that make a step down.
        warm: Epochs of the warm-up.
    """
    best, waited, steps = math.inf, 0, 0
    for report in reports:
        if report.dev_wer < best:
            best, waited = report.dev_wer, 0
        elif report.epoch > warm and not report.on_plateau:
            waited += 1
            if waited == patience:
                waited, steps = 0, steps + 1
    return steps


def out_of_patience(reports: Sequence[EpochReport], patience: int) -> bool:
    """Whether the dev WER has got no better for so many epochs, those of nothing but blank not counted.

    Args:
        reports: One an epoch.
        patience: How many; 0 is for ever.
    """
    return bool(patience) and steps_down(reports, patience) > 0


def on_plateau(reports: Sequence[EpochReport], epochs: int) -> bool:
    """Whether a run still says nothing but blank after three tenths of its epochs, when it should have begun.

    The first epochs of a good run may be all blank, a convolutional one's one or two, a recurrent one's five or more.

    Args:
        reports: One an epoch.
        epochs: How many there may be.
    """
    allowed = max(0.3 * epochs, _BLANK_EPOCHS)
    return len(reports) >= allowed and all(report.on_plateau for report in reports)
