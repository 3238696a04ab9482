"""One named study in Optuna: its queue, its reports, its records.

Optuna's storage is the truth about a campaign: what MLflow shows and what a leaderboard says is made from it. A
trial is claimed under a lock, so that no two workers get the same one, and carries the name of its owner: a trial
whose owner is dead goes back to the queue with its number and its parameters.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import optuna
from filelock import FileLock
from optuna.trial import FrozenTrial

from orchestrator.owner import Owner
from orchestrator.record import StudyRecord, TrialRecord
from orchestrator.sampling.choice import choose_pruner, choose_sampler, enqueue, suggest
from orchestrator.sampling.point import Claim, Point, confirms
from orchestrator.sampling.records import study_record, trial_record
from search_spaces.campaign import PrunerSettings, SamplerSettings
from search_spaces.errors import StudyMismatchError
from search_spaces.space import Space
from trainers.spec import EpochReport, TrialOutcome

MAX_DEATHS = 3


class SampledStudy:
    """One named study."""

    def __init__(
        self, study: optuna.Study, storage: optuna.storages.BaseStorage, lock: FileLock, campaign: str, name: str
    ) -> None:
        self._study = study
        self._storage = storage
        self._lock = lock
        self.campaign = campaign
        self.name = name
        self.space = Space()

    def refuse_other(self, definition: Mapping[str, Any]) -> None:
        """Compare the stored definition with another.

        Raises:
            StudyMismatchError: They differ; the message says where.
        """
        stored = self.attribute("definition") or {}
        wanted = json.loads(json.dumps(definition))
        if stored != wanted:
            changes = "\n".join(f"  {line}" for line in _differences(stored, wanted))
            raise StudyMismatchError(
                f"study {self.campaign}/{self.name} was made from another definition, so new trials could not be "
                f"compared with its old ones:\n{changes}\n"
                "give the study another name in the campaign file, or set ORCHESTRATOR_HOME to a new folder"
            )

    def attribute(self, key: str) -> Any:
        """What is noted of the study under a key; None if nothing is."""
        return self._study.user_attrs.get(key)

    def note(self, key: str, value: Any) -> None:
        """Note something of the study; plain values."""
        self._study.set_user_attr(key, value)

    def note_trial(self, number: int, key: str, value: Any) -> None:
        """Note something of a trial; plain values."""
        self._storage.set_trial_user_attr(self._id(number), key, value)

    def claim(
        self, owner: Owner, budget: int, sampler: SamplerSettings, seed: int, count: int = 1, kept: int = 0
    ) -> list[Claim]:
        """Take the next trials: those that wait, then new ones while the budget lasts.

        Args:
            owner: Who will run them.
            budget: Trials the study may have, without those that confirm.
            sampler: How a new point is chosen.
            seed: Seed of the choice; together with the trial's number it decides the point.
            count: How many to take at most.
            kept: Trials of the budget that are for repeats of its points.

        Returns:
            The claims; none when nothing is left to take.
        """
        with self._lock:
            trials = self._trials()
            waiting = sum(trial.state is optuna.trial.TrialState.WAITING for trial in trials)
            searched = [trial.user_attrs for trial in trials if not confirms(trial.user_attrs)]
            repeats = sum("repeats" in noted for noted in searched)
            room = budget - max(kept - repeats, 0) - len(searched)
            numbers = range(len(trials), len(trials) + max(room, 0))
            seeds = [*[len(trials)] * waiting, *numbers][:count]
            return [self._ask(owner, sampler, (seed * 1_000_003 + known) % 2**31) for known in seeds]

    def _ask(self, owner: Owner, sampler: SamplerSettings, seed: int) -> Claim:
        self._study.sampler = choose_sampler(sampler, self.space, seed)
        trial = self._study.ask()
        for axis in self.space:
            if all(trial.params.get(name) == value for name, value in axis.when.items()):
                suggest(trial, axis)
        trial.set_user_attr("owner", asdict(owner))
        noted = trial.user_attrs
        return Claim(trial.number, trial.params, noted.get("overrides", {}), noted.get("run_id", ""))

    def append(self, points: Sequence[Point], known: int) -> bool:
        """Put points at the end of the queue, unless the study has grown since they were chosen.

        Args:
            points: The points.
            known: Trials that the study had then.

        Returns:
            Whether there is something to claim now, of these points or of another process's.
        """
        with self._lock:
            if len(self._trials()) == known:
                for point in points:
                    enqueue(self._study, point)
            return bool(self._trials(optuna.trial.TrialState.WAITING))

    def beat(self, number: int, owner: Owner) -> None:
        """Renew the lease of a running trial."""
        if self._trial(number).state is optuna.trial.TrialState.RUNNING:
            self.note_trial(number, "owner", asdict(owner))

    def report(self, number: int, report: EpochReport, pruner: PrunerSettings) -> bool:
        """Note an epoch of a running trial and decide whether it goes on.

        A trial is judged only once it has left the plateau on which CTC models say nothing but blank: before that its
        WER is 100 whatever it will come to. One that confirms is not judged: the mean over survivors is too low.

        Returns:
            False when the trial is losing.
        """
        trial = self._trial(number)
        self._storage.set_trial_intermediate_value(trial._trial_id, report.epoch, report.dev_wer)
        left = trial.user_attrs.get("left_plateau", False)
        if not left and not report.on_plateau:
            left = True
            self.note_trial(number, "left_plateau", True)
        if not left or report.epoch >= report.epochs or confirms(trial.user_attrs):
            return True
        return not choose_pruner(pruner, report.epochs).prune(self._study, self._trial(number))

    def complete(self, number: int, outcome: TrialOutcome) -> None:
        """Close a trial that ran to its end or was stopped because it was losing; the first result of a trial stays."""
        if not self._take_back(number):
            return
        trial = self._trial(number)
        for report in outcome.epochs:
            # an epoch that was saved when a run was stopped, and never reported
            if report.epoch not in trial.intermediate_values:
                self._storage.set_trial_intermediate_value(trial._trial_id, report.epoch, report.dev_wer)
        self.note_trial(number, "outcome", asdict(outcome))
        if outcome.pruned or outcome.score is None:
            self._study.tell(number, state=optuna.trial.TrialState.PRUNED)
        else:
            self._study.tell(number, outcome.score.wer)

    def fail(self, number: int, error: str) -> None:
        """Close a trial that cannot be run; the first result of a trial stays."""
        if not self._take_back(number):
            return
        self.note_trial(number, "error", error)
        self._study.tell(number, state=optuna.trial.TrialState.FAIL)

    def _take_back(self, number: int) -> bool:
        """Make sure that a trial can be closed; False when it has been.

        A worker that was taken for dead may come back with a result after all: it counts, wherever the trial is now.
        """
        trial = self._trial(number)
        if trial.state is optuna.trial.TrialState.WAITING:
            self._storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.RUNNING)
        return not trial.state.is_finished()

    def release(self, number: int, *, died: bool = False) -> bool:
        """Put a running trial back into the queue, with its number and its point.

        Args:
            number: Which trial.
            died: Whether its process died; a trial that dies too often fails instead.

        Returns:
            Whether it waits again.
        """
        trial = self._trial(number)
        deaths = trial.user_attrs.get("deaths", 0) + died
        if died:
            self.note_trial(number, "deaths", deaths)
        if deaths >= MAX_DEATHS:
            self.fail(number, f"its process died {deaths} times; its log says what it printed last")
            return False
        self._storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.WAITING)
        return True

    def reap(self, now: float) -> list[int]:
        """Put trials whose owner is dead back into the queue.

        Args:
            now: Seconds since the epoch.

        Returns:
            Their numbers.
        """
        with self._lock:
            running = self._trials(optuna.trial.TrialState.RUNNING)
            owned = [(trial, trial.user_attrs.get("owner")) for trial in running]
            dead = [trial.number for trial, owner in owned if owner is None or not Owner(**owner).alive(now)]
            for number in dead:
                self.release(number)
        return dead

    def record(self) -> StudyRecord:
        """The study and its trials as frozen values."""
        return study_record(self.campaign, self.name, self._study.user_attrs, self._trials())

    def trial(self, number: int) -> TrialRecord:
        """One trial as a frozen value."""
        return trial_record(self.campaign, self.name, self._study.user_attrs, self._trial(number))

    def _trials(self, *states: optuna.trial.TrialState) -> list[FrozenTrial]:
        """All trials, those that confirm among them; or those in one of the states."""
        return self._storage.get_all_trials(self._study._study_id, deepcopy=False, states=states or None)

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)

    def _trial(self, number: int) -> FrozenTrial:
        return self._storage.get_trial(self._id(number))


def _differences(old: Any, new: Any, place: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = dict.fromkeys([*old, *new])
        return [line for key in keys for line in _differences(old.get(key), new.get(key), f"{place}.{key}".lstrip("."))]
    return [] if old == new else [f"{place}: was {json.dumps(old)}, is now {json.dumps(new)}"]
