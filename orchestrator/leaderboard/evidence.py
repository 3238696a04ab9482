"""What was recognised, utterance by utterance: what a comparison needs beside the records.

Read of the trials that stand for their studies, and of a sample of those among which each was chosen.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.leaderboard.competition import competitors
from orchestrator.record import StudyRecord, TrialRecord
from search_spaces.errors import StoreError, UserError
from trainers.data.manifest import read_manifest
from trainers.outcomes import UtteranceErrors, load_errors

SAMPLE = 20
"""Trials of a study whose errors by utterance are read; 20 tell a standard deviation to a sixth."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a study by utterance.

    Attributes:
        dev: Of the trial that stands for it; None where it is not there.
        missing: Why it is not there.
        sample: Of some of the trials among which that one was chosen, on dev.
        confirmed: Of trainings with fresh seeds, which chose nothing, on dev.
        test: On test; None before that is opened.
        looks: How often test has been looked at.
    """

    dev: UtteranceErrors | None = None
    missing: str = ""
    sample: Sequence[UtteranceErrors] = ()
    confirmed: Sequence[UtteranceErrors] = ()
    test: UtteranceErrors | None = None
    looks: int = 0


def looked_at(study: StudyRecord) -> set[int]:
    """Numbers of the trials that a leaderboard looks at closely."""
    shown = [trial.number for trial in (study.best, study.result) if trial is not None]
    return {*shown, *(trial.number for trial in _sample(study))}


def _sample(study: StudyRecord) -> list[TrialRecord]:
    trials = competitors(study)
    step = max(1, -(-len(trials) // SAMPLE))
    return trials[::step]


def read_evidence(studies: Iterable[StudyRecord], outcomes: Path) -> dict[str, Evidence]:
    """What the store holds of each study, by its name.

    Args:
        studies: With the trials that `looked_at` names read whole.
        outcomes: Folder of the outcomes, by the trials' keys.
    """
    return {study.name: _read(study, outcomes) for study in studies}


def _read(study: StudyRecord, outcomes: Path) -> Evidence:
    result = study.result
    if result is None:
        return Evidence(missing="no trial is complete")
    dev = _load(result, outcomes)
    if dev is None:
        return Evidence(missing=f"what trial {result.number} recognised is not in the store of this folder")
    sample = [errors for trial in _sample(study) if (errors := _load(trial, outcomes)) is not None]
    return Evidence(dev, sample=[errors for errors in sample if errors.comparable(dev)])


def _load(trial: TrialRecord, outcomes: Path) -> UtteranceErrors | None:
    try:
        return load_errors(outcomes / trial.key) if trial.key else None
    except StoreError:
        return None


def read_speakers(manifest: Path) -> Mapping[str, str]:
    """Speakers of a set, by utterance.

    Raises:
        UserError: An utterance has none, or the set cannot be read.
    """
    found = {utterance.id: utterance.speaker for utterance in read_manifest(manifest)}
    silent = [name for name, speaker in found.items() if not speaker]
    if silent:
        raise UserError(
            f"--speakers needs the speaker of every utterance; {manifest} does not name that of {len(silent)} of "
            f"{len(found)}, {silent[0]} for one"
        )
    return {name: speaker for name, speaker in found.items() if speaker}
