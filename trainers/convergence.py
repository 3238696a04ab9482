"""What a reader should know of how a training run ended."""

import math
from collections.abc import Sequence

from search_spaces.axes.train import TrainSettings
from trainers.run_state import Progress
from trainers.spec import EpochReport


def still_improving(reports: Sequence[EpochReport], words: int) -> bool:
    """Whether a run was still getting better when its budget ended: it was judged before it had converged.

    It was if the last tenth of its epochs improved on all before by more than one standard error of a WER measured on
    so many words.

    Args:
        reports: One an epoch.
        words: Reference words of the set that was scored.
    """
    last = max(len(reports) // 10, 1)
    if len(reports) < 2 or reports[-1].epoch < reports[-1].epochs:
        return False
    before = min(report.dev_wer for report in reports[:-last])
    share = min(before / 100, 1.0)
    error = 100 * math.sqrt(max(share * (1 - share), 1 / words) / words)
    return min(report.dev_wer for report in reports[-last:]) < before - error


def remarks(progress: Progress, settings: TrainSettings, words: int) -> tuple[str, ...]:
    """Plain sentences for the record.

    Args:
        progress: How the run went.
        settings: How it was to be trained.
        words: Reference words of the dev set.
    """
    found = []
    done = len(progress.reports)
    if done < settings.epochs:
        found.append(f"stopped at epoch {done} of {settings.epochs}, best {progress.best_epoch}")
    if still_improving(progress.reports, words):
        found.append("still improving when the budget ended: more epochs may change the verdict")
    if settings.average_last:
        first = max(done - settings.average_last, 0) + 1
        found.append(f"its weights are the mean of those after epochs {first} to {done}")
    missed = [epoch for epoch in settings.keep_epochs if epoch > done]
    if missed:
        found.append(f"ended before epochs whose weights were to be kept: {', '.join(map(str, missed))}")
    if progress.dropped:
        found.append(f"{progress.dropped} training utterances were left out: their transcripts do not fit their frames")
    if progress.restarted:
        found.append("the state of an interrupted attempt could not be read: the run began anew")
    if len(progress.computed_on) > 1:
        found.append(f"not computed on one device throughout: {'; then '.join(progress.computed_on)}")
    if progress.bad_steps:
        found.append(f"{progress.bad_steps} steps were not taken: their loss or gradient was no number")
    return tuple(found)
