"""What lies in the folder of an outcome: the outcome itself, and what was recognised in every utterance."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search_spaces.errors import StoreError
from trainers.artifacts import Hypothesis
from trainers.data.parting import Part, part_of
from trainers.scoring.scorer import Scorer, find_scorer
from trainers.spec import TrialOutcome
from trainers.store import digest

FINALS = "finals"
"""Kind of the store's entries of trials on a test set, by `final_key`."""
OUTCOME = "outcome.json"
HYPOTHESES = "hypotheses.jsonl"


@dataclass(frozen=True, slots=True)
class UtteranceErrors:
    """Word errors by utterance, in the order of the set.

    Attributes:
        ids: The utterances.
        errors: Errors of each, (utterances,), int64.
        words: Reference words of each, (utterances,), int64.
        texts: Reference and hypothesis of each; empty where the counts are all that is needed.
    """

    ids: tuple[str, ...]
    errors: NDArray[np.int64]
    words: NDArray[np.int64]
    texts: tuple[tuple[str, str], ...] = ()

    def comparable(self, other: "UtteranceErrors") -> bool:
        """Whether another system was scored on the same utterances with the same references.

        Of several wordings of a reference it may have fitted another one; without texts the lengths tell.
        """
        alike = self.references == other.references if self.texts else np.array_equal(self.words, other.words)
        return self.ids == other.ids and alike

    @property
    def references(self) -> tuple[str, ...]:
        """The reference of each."""
        return tuple(reference for reference, _ in self.texts)


def final_key(test_set: str, trial: str) -> str:
    """Key of what a trial's system said of a test set.

    Args:
        test_set: Key of the set's content.
        trial: Key of the trial.
    """
    return digest([test_set, trial])


def write_outcome(
    folder: Path,
    outcome: TrialOutcome,
    hypotheses: Sequence[Hypothesis],
    references: Mapping[str, str],
    tuning: float | None = None,
) -> None:
    """Fill the folder of an outcome.

    Args:
        folder: Empty.
        outcome: What came of the trial.
        hypotheses: Of every utterance, in the order of the set.
        references: What was said, by the utterance's id.
        tuning: Share of the set that tunes; None where it is not parted.
    """
    scorer = find_scorer(outcome.scorer)
    lines = [_line(hypothesis, references[hypothesis.id], scorer, tuning) for hypothesis in hypotheses]
    (folder / HYPOTHESES).write_text("".join(lines), encoding="utf-8")
    (folder / OUTCOME).write_text(json.dumps(asdict(outcome), indent=1), encoding="utf-8")


def _line(hypothesis: Hypothesis, reference: str, scorer: Scorer, tuning: float | None) -> str:
    score = asdict(scorer.score(reference, hypothesis.text))
    entry = {"id": hypothesis.id, "reference": reference, "hypothesis": hypothesis.text, **score}
    entry |= {"acoustic": hypothesis.acoustic, "language": hypothesis.language}
    entry |= {} if tuning is None else {"part": part_of(hypothesis.id, tuning)}
    return json.dumps(entry, ensure_ascii=False) + "\n"


def load_outcome(folder: Path) -> TrialOutcome:
    """The outcome in its folder."""
    return TrialOutcome.of(json.loads((folder / OUTCOME).read_text(encoding="utf-8")))


def find_errors(folder: Path, part: Part | None = None) -> UtteranceErrors | None:
    """What `load_errors` gives; None where they are not there."""
    try:
        return load_errors(folder, part)
    except StoreError:
        return None


def load_errors(folder: Path, part: Part | None = None) -> UtteranceErrors:
    """The word errors of every utterance of an outcome.

    Args:
        folder: Of the outcome.
        part: The part of the set that is wanted; None is all of it. A set that is not parted is all in either.

    Raises:
        StoreError: They are not there.
    """
    try:
        lines = (folder / HYPOTHESES).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise StoreError(f"{folder / HYPOTHESES} cannot be read: {error.strerror}") from error
    rows = [row for row in map(json.loads, lines) if part is None or row.get("part", part) == part]
    errors = [row["substitutions"] + row["deletions"] + row["insertions"] for row in rows]
    return UtteranceErrors(
        tuple(row["id"] for row in rows),
        np.array(errors, np.int64),
        np.array([row["words"] for row in rows], np.int64),
        tuple((row["reference"], row["hypothesis"]) for row in rows),
    )
