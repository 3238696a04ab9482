"""Freeing the weights of trials that need not keep them. Their records stay."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.engines.engine import Engine
from orchestrator.home import Home
from orchestrator.observer import Observer
from orchestrator.promotion import Champions
from orchestrator.record import StudyRecord, TrialRecord
from orchestrator.restoring import restore
from orchestrator.retention import Needed, Surplus, begun_with, pools, surplus, weightless
from orchestrator.sampling import Sampling
from orchestrator.tracking import Tracker, trial_folders
from search_spaces.campaign import Campaign
from search_spaces.errors import UserError
from trainers.checkpoint import DESCRIPTION
from trainers.store import Store
from trainers.strategies import catalogue

_CHECKPOINTS, _POSTERIORS = "checkpoints", "posteriors"


@dataclass(frozen=True, slots=True)
class Freed:
    """What a trial gave up, or would give up.

    Attributes:
        trial: The trial.
        size: Bytes on disk; what MLflow shows of them are the same files.
    """

    trial: TrialRecord
    size: int


class Freeing:
    """Frees what trials of a campaign need not keep.

    Whenever this is killed, the next call finishes it: an entry of the store is renamed away before it is deleted, and
    what a record says of its weights is what the store holds.

    Args:
        campaign: The campaign, as its file has it.
        home: Where its results are.
        sampling: Its studies.
        tracker: Who shows them.
    """

    def __init__(self, campaign: Campaign, home: Home, sampling: Sampling, tracker: Tracker) -> None:
        self._campaign = campaign
        self._home = home
        self._sampling = sampling
        self._tracker = tracker
        self._champions = Champions(home, tracker)
        self._store = Store(home.store)

    def look(self, keep: Mapping[str, int]) -> list[Freed]:
        """What would be freed.

        Args:
            keep: How many of the best trials keep their weights, of the studies that give some up.
        """
        return [Freed(one.trial, self._size(one)) for one in self._surplus(self._studies(), keep)]

    def free(self, keep: Mapping[str, int]) -> list[Freed]:
        """Free it.

        Args:
            keep: As `look` takes it.

        Returns:
            What was freed, trial by trial.

        Raises:
            StoreError: Something cannot be deleted.
        """
        studies = self._studies()
        found = []
        for kind in (_CHECKPOINTS, _POSTERIORS):
            self._store.sweep(kind)
        for one in self._surplus(studies, keep):
            found.append(Freed(one.trial, self._size(one)))
            for kind, keys in ((_CHECKPOINTS, one.checkpoints), (_POSTERIORS, one.posteriors)):
                for key in keys:
                    self._store.remove(kind, key)
        self._note(studies, keep)
        return found

    def restore(self, study: str, number: int, engine: Engine, observer: Observer) -> None:
        """Train a trial once more whose weights were freed; unless they are needed by then, they can be freed again.

        Args:
            study: Name of its study.
            number: Its number there.
            engine: Where it runs.
            observer: Told its epochs.

        Raises:
            UserError: There is no such trial, its weights are there, or it cannot be trained to the same weights.
        """
        studies = self._studies()
        found = [one for one in studies if (one.campaign, one.name) == (self._campaign.name, study)]
        trial = next((trial for one in found for trial in one.trials if trial.number == number), None)
        if trial is None or not trial.freed:
            there = ", ".join(str(trial.number) for one in found for trial in one.trials if trial.freed)
            raise UserError(f"{study}#{number} has no weights that were freed; of this study: {there or 'none'}")
        restore(self._campaign, found[0], trial, self._home, engine, observer)
        self._note(studies, [study])

    def _studies(self) -> list[StudyRecord]:
        """Every study of the home: a checkpoint may be shared across campaigns."""
        return [study for name in self._sampling.campaigns() for study in self._sampling.records(name)]

    def _surplus(self, studies: Sequence[StudyRecord], keep: Mapping[str, int]) -> list[Surplus]:
        ours = [study for study in studies if study.campaign == self._campaign.name]
        keys = begun_with(studies) | self._champions.keys()
        needed = Needed(keys, pools(self._campaign, catalogue(), ours))
        paths = {f"{self._campaign.name}/{name}": count for name, count in keep.items()}
        return surplus(studies, paths, needed, self._makers())

    def _makers(self) -> dict[str, str]:
        """Every checkpoint in the store, and the trial that made it; no name where it is a copy of another's."""
        found = {}
        for key in self._store.keys(_CHECKPOINTS):
            try:
                text = (self._store.path(_CHECKPOINTS, key) / DESCRIPTION).read_text(encoding="utf-8")
                made = json.loads(text)["training"]
                ours = made.get("key") == key  # a copy has the key of its content
                found[key] = f"{made['campaign']}/{made['study']}#{made['trial']}" if ours else ""
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                found[key] = ""
        return found

    def _size(self, one: Surplus) -> int:
        kinds = ((_CHECKPOINTS, one.checkpoints), (_POSTERIORS, one.posteriors))
        return sum(self._store.size(kind, key) for kind, keys in kinds for key in keys)

    def _note(self, studies: Sequence[StudyRecord], names: Collection[str]) -> None:
        """Let records and MLflow say whose weights are gone, of some of the campaign's studies."""
        there = set(self._store.keys(_CHECKPOINTS))
        for study in studies:
            if study.campaign != self._campaign.name or study.name not in names:
                continue
            gone = set(weightless(study, there))
            changed = [trial for trial in study.trials if trial.freed != (trial.number in gone)]
            for trial in changed:
                shown = replace(trial, freed=trial.number in gone)
                self._tracker.finish(shown, study.run_id, trial_folders(self._home, shown))
            if changed:  # last, so that a call which is killed is made up for by the next
                self._sampling.load(study.campaign, study.name).note("freed", sorted(gone))
