"""What was recognised, utterance by utterance: what a comparison needs beside the records.

Read of the trials that stand for their studies, and of a sample of those among which each was chosen.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.confirmed import replicates
from orchestrator.leaderboard.competition import competitors, flattery
from orchestrator.record import StudyRecord, TrialRecord
from search_spaces.errors import UserError
from trainers.data.manifest import read_manifest
from trainers.outcomes import FINALS, UtteranceErrors, final_key, find_errors, load_errors
from trainers.scoring.bootstrap import Interval, bootstrap_rate

SAMPLE = 20
"""Trials of a study whose errors by utterance are read; 20 tell a standard deviation to a sixth."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a study by utterance.

    Attributes:
        dev: Of the trial that stands for it, in the part that judges if dev is parted; None where it is not there.
        missing: Why it is not there.
        sample: Of some of the trials among which that one was chosen, likewise.
        confirmed: Of the runs of its configuration with several seeds, none of them chosen for its own WER, likewise.
        flattered: Points by which the mean of these is too low, since it is the lowest of several such means.
        test: On test; None before that is opened.
        looks: Which look of its strategy at test that was; 0 before.
        tuned_on: Utterances of dev that chose and do not judge; 0 where dev is not parted.
    """

    dev: UtteranceErrors | None = None
    missing: str = ""
    sample: Sequence[UtteranceErrors] = ()
    confirmed: Sequence[UtteranceErrors] = ()
    flattered: float = 0.0
    test: UtteranceErrors | None = None
    looks: int = 0
    tuned_on: int = 0


def rate_interval(errors: UtteranceErrors, speakers: Mapping[str, str] | None) -> Interval | None:
    """The WER of a system and its interval; None where one utterance or speaker would be drawn, or no word is said.

    Args:
        errors: Of the system.
        speakers: Speakers of the utterances, which are then drawn together; None draws utterances.
    """
    blocks = list(errors.ids) if speakers is None else [speakers.get(name, name) for name in errors.ids]
    if len(set(blocks)) < 2 or not errors.words.sum():
        return None
    return bootstrap_rate(errors.errors, errors.words, None if speakers is None else blocks)


def looked_at(study: StudyRecord) -> set[int]:
    """Numbers of the trials that a leaderboard looks at closely."""
    shown = [trial.number for trial in (study.best, study.result) if trial is not None]
    return {*shown, *(trial.number for trial in (*_sample(study), *replicates(study)))}


def _sample(study: StudyRecord) -> list[TrialRecord]:
    trials = competitors(study)
    step = max(1, -(-len(trials) // SAMPLE))
    return trials[::step]


def read_evidence(studies: Iterable[StudyRecord], outcomes: Path) -> dict[str, Evidence]:
    """What the store holds of each study, by its name.

    Args:
        studies: With the trials that `looked_at` names read whole.
        outcomes: Folder of the outcomes, by the trials' keys; what was said of test sets lies beside it.
    """
    return {study.name: _read(study, outcomes) for study in studies}


def _read(study: StudyRecord, outcomes: Path) -> Evidence:
    result = study.result
    if result is None:
        return Evidence(missing="no trial is complete")
    dev = find_errors(outcomes / result.key, "selection") if result.key else None
    if dev is None:
        return Evidence(missing=f"what trial {result.number} recognised is not in the store of this folder")
    found = [find_errors(outcomes / trial.key, "selection") for trial in _sample(study) if trial.key]
    sample = [errors for errors in found if errors is not None and errors.comparable(dev)]
    tuned_on = len(load_errors(outcomes / result.key, "tuning").ids) if result.parted else 0
    known = Evidence(dev, sample=sample, tuned_on=tuned_on, **_confirmed(study, sample, dev, outcomes))
    if result.final is None:
        return known
    test = find_errors(outcomes.with_name(FINALS) / final_key(result.final.test_set, result.key))
    return replace(known, test=test, looks=result.final.look)


def _confirmed(
    study: StudyRecord, sample: Sequence[UtteranceErrors], dev: UtteranceErrors, outcomes: Path
) -> dict[str, Any]:
    """What is known of a configuration by its seeds; nothing where one of them or the noise of the choice is not."""
    found = [find_errors(outcomes / trial.key, "selection") for trial in replicates(study)]
    alike = [errors for errors in found if errors is not None and errors.comparable(dev)]
    chosen = study.result is not None and study.result.confirms is not None
    flattered = flattery(study, sample) if chosen else 0.0
    if len(alike) < len(found) or flattered is None:
        return {}
    return {"confirmed": alike, "flattered": flattered}


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
