"""Which trials keep their weights: the best of each study, and whatever something else still needs.

Plain functions over records and the names of what lies in the store; `orchestrator.freeing` does what they say.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.confirmed import undecided
from orchestrator.record import StudyRecord, TrialRecord, TrialState
from search_spaces.campaign import Campaign, study_of
from search_spaces.schema import Catalogue


@dataclass(frozen=True, slots=True)
class Needed:
    """What is kept beside the best trials of each study.

    Attributes:
        keys: Checkpoints that a study has begun with, and trials whose system was champion, by their keys.
        studies: Studies of which every trial is needed, as ``campaign/study``.
    """

    keys: frozenset[str] = frozenset()
    studies: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Surplus:
    """What a trial need not keep.

    Attributes:
        trial: The trial.
        checkpoints: Keys of the checkpoints that it made.
        posteriors: Keys of their posteriors of dev.
    """

    trial: TrialRecord
    checkpoints: tuple[str, ...]
    posteriors: tuple[str, ...] = ()


def surplus(
    studies: Sequence[StudyRecord], keep: Mapping[str, int], needed: Needed, checkpoints: Mapping[str, str]
) -> list[Surplus]:
    """The trials that need not keep their weights.

    A checkpoint stays if one of its trials does: those that made it, trained it to the same key, decoded it. Every
    trial stays of a study that `keep` does not name. Of the others those stay that have not ended, the promoted one,
    the best, and those that confirm until one of them is promoted.

    Args:
        studies: Every study of the home, whatever its campaign.
        keep: How many of the best trials stay, of the studies that give some up, by ``campaign/study``.
        needed: What stays beside them.
        checkpoints: Every checkpoint in the store: its key, and the name of the trial that made it, if that is known.
    """
    staying = [trial for study in studies for trial in _staying(study, keep, needed)]
    names = {trial.name for trial in staying}
    held = {key for trial in staying for key in (trial.key, trial.outcome.checkpoint if trial.outcome else "")}
    held |= needed.keys | {key for key, maker in checkpoints.items() if maker in names}
    shown = {trial.outcome.posteriors for trial in staying if trial.outcome}
    found = []
    for trial in (trial for study in studies for trial in study.trials if trial.name not in names):
        made = [key for key, maker in checkpoints.items() if (key == trial.key or maker == trial.name)]
        free = tuple(key for key in made if key not in held)
        if free:
            heard = trial.outcome.posteriors if trial.outcome and trial.outcome.checkpoint in free else ""
            found.append(Surplus(trial, free, (heard,) if heard and heard not in shown else ()))
    return found


def _staying(study: StudyRecord, keep: Mapping[str, int], needed: Needed) -> Iterator[TrialRecord]:
    """The trials of a study that keep their weights."""
    path = f"{study.campaign}/{study.name}"
    if path not in keep or path in needed.studies:
        yield from study.trials
        return
    complete = [trial for trial in study.trials if trial.dev_wer is not None]
    best = {trial.number for trial in sorted(complete, key=lambda trial: (trial.dev_wer, trial.number))[: keep[path]]}
    result, open_ = study.result, undecided(study)
    for trial in study.trials:
        if (
            not trial.state.finished
            or trial.number in best
            or trial.promoted
            or (result is not None and trial.number == result.number)
            or trial.key in needed.keys
            or (trial.confirms is not None and open_)
        ):
            yield trial


def weightless(study: StudyRecord, checkpoints: Collection[str]) -> list[int]:
    """Numbers of the complete trials of a study whose checkpoints are not in the store."""
    return [
        trial.number
        for trial in study.trials
        if trial.state is TrialState.COMPLETE and trial.outcome
        if trial.outcome.checkpoint and trial.outcome.checkpoint not in checkpoints
    ]


def begun_with(studies: Iterable[StudyRecord]) -> frozenset[str]:
    """Keys of the checkpoints that studies have begun with: their trials are comparable only with these."""
    keys = set()
    for study in studies:
        again = study.start.get("configuration") or {}
        for needs in (study.start.get("needs", {}), again.get("needs", {})):
            keys |= {source["key"] for sources in needs.values() for source in sources}
    return frozenset(keys)


def pools(campaign: Campaign, catalogue: Catalogue, studies: Iterable[StudyRecord]) -> frozenset[str]:
    """Studies of which every trial will be needed, as ``campaign/study``: by one that has not begun.

    Args:
        campaign: The campaign, as its file has it.
        catalogue: The strategies there are.
        studies: What is stored of it.
    """
    begun = {study.name for study in studies if study.start}
    found = set()
    for study in campaign.studies.values():
        if study.name in begun:
            continue
        for need in catalogue[study.strategy].needs:
            if need.every_trial:
                found |= {f"{campaign.name}/{study_of(name)}" for name in study.needs.get(need.name, ())}
    return frozenset(found)
