"""Studies and what they recognised, made by hand."""

import numpy as np

from orchestrator.leaderboard import Evidence
from orchestrator.record import StudyRecord, TrialRecord, TrialState
from trainers.artifacts import Score
from trainers.outcomes import UtteranceErrors
from trainers.spec import TrialOutcome

WORDS = 10  # of an utterance

# errors of utterances: a system, one that is better, one that is not to be told from it, and one that is worse
BASE = [2, 3, 1, 4, 2, 3, 2, 1, 3, 2] * 4
BETTER = [max(0, errors - 1) for errors in BASE]
TIED = [errors + (1 if number % 4 == 0 else -1 if number % 4 == 2 else 0) for number, errors in enumerate(BASE)]
WORSE = [errors + 1 for errors in BASE]


def wer(errors):
    """Percent of the words of utterances that have these errors."""
    return 100 * sum(errors) / (WORDS * len(errors))


def recognised(errors, prefix="u"):
    """Utterances of ten words each, the first few of which were taken for others."""
    said = [f"w{number}" for number in range(WORDS)]
    texts = tuple((" ".join(said), " ".join(["x"] * wrong + said[wrong:])) for wrong in errors)
    ids = tuple(f"{prefix}{number}" for number in range(len(errors)))
    return UtteranceErrors(ids, np.array(errors, np.int64), np.full(len(errors), WORDS), texts)


def study(name, *wers, utterances=30, promoted=None, **parts):
    """A study whose complete trials have these dev WERs, percent."""
    words = WORDS * utterances
    trials = tuple(
        TrialRecord(
            "c",
            name,
            parts.get("strategy", name),
            number,
            TrialState.COMPLETE,
            {"train.lr": 0.1 * number},
            outcome=TrialOutcome(
                score=Score(round(wer * words / 100), 0, 0, words),
                scorer="levenshtein-1",
                decoder="greedy",
                weights=parts.get("weights", 10),
                cpu_seconds=parts.get("cpu_seconds", 36.0),
                seconds=50.0,
                computed_on=parts.get("computed_on", "cpu, fp32"),
            ),
            key=f"{name}{number}",
            promoted=number == promoted,
        )
        for number, wer in enumerate(wers)
    )
    return StudyRecord("c", name, parts.get("strategy", name), trials, promoted)


def alone(errors):
    """Evidence of a study of one trial, which nothing was chosen among."""
    return Evidence(recognised(errors))
