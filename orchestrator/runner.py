"""The loop of a run: claim, run, collect, tell, record, promote.

One process decides and writes; the trials themselves run in an engine. A free slot takes the next trial of any study
whose needs are met, so that no worker waits for a batch to end. Whatever happens to this process, the databases hold
what was finished, and the next run takes up what was running.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from orchestrator.crowning import announce, crown
from orchestrator.engines.engine import Decoded, Died, Engine, Event, Failed, Finished, Job, Reported
from orchestrator.freeing import Freeing
from orchestrator.home import Home
from orchestrator.observer import Observer
from orchestrator.owner import LEASE_SECONDS, Owner
from orchestrator.planning import feature_fingerprints, make_spec
from orchestrator.preparation import prepare
from orchestrator.promotion import Champions
from orchestrator.provenance import provenance
from orchestrator.record import StudyRecord
from orchestrator.sampling import Claim, Sampling
from orchestrator.start import schema_of
from orchestrator.study_run import StudyRun
from orchestrator.surface import errors_in
from orchestrator.surface_files import surface_files
from orchestrator.tables import size
from orchestrator.tracking import Fill, Tracker, trial_folders
from search_spaces.campaign import Campaign
from search_spaces.errors import UserError
from trainers.spec import TrialSpec
from trainers.store import Store


class Runner:
    """Runs studies of a campaign to their budgets.

    Args:
        campaign: The campaign.
        names: The studies to run, each after those it needs.
        home: Where results go.
        engine: Where trials run.
        observer: Who is told.
        budget: Trials a study may have in all; None takes each study's own.
        timeout: Seconds after which no further trial is started; None never.
    """

    def __init__(
        self,
        campaign: Campaign,
        names: Sequence[str],
        home: Home,
        engine: Engine,
        observer: Observer,
        *,
        budget: int | None = None,
        timeout: float | None = None,
    ) -> None:
        self._campaign = campaign
        self._names = names
        self._home = home
        self._engine = engine
        self._observer = observer
        self._budget = budget
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._store = Store(home.store)
        self._errors_of = errors_in(self._store)
        self._trials: dict[str, tuple[StudyRun, Claim]] = {}
        self._beat = 0.0
        self._shown = 0.0
        self._interrupted = False

    def interrupt(self) -> None:
        """Ask the run to stop; safe in a signal handler. `run` then raises KeyboardInterrupt within a second or two.

        A flag and not an exception: an exception could fall between a trial's claim and the note of it.
        """
        self._interrupted = True

    def run(self) -> list[StudyRecord]:
        """Prepare, run every study as far as its budget goes, promote.

        Returns:
            The studies as they stand at the end.

        Raises:
            UserError: Something does not fit; nothing has been started.
            KeyboardInterrupt: The run was interrupted; nothing is left running.
        """
        prepared = prepare(self._campaign, self._names, self._store, self._preparing)
        if prepared.parts:
            self._observer.note(prepared.parts)
        for warning in prepared.warnings:
            self._observer.warn(warning)
        self._data = prepared.data
        self._provenance = provenance(prepared.data)
        self._sampling = Sampling(self._home)
        studies = {
            name: StudyRun.open(self._campaign, name, self._sampling, self._data, self._budget) for name in self._names
        }
        self._tracker = Tracker(self._home)
        self._champions = Champions(self._home, self._tracker)
        self._freeing = Freeing(self._campaign, self._home, self._sampling, self._tracker)
        self._studies = studies
        self._reap()
        self._sync()
        try:
            self._loop()
        finally:
            self._stop()
            self._sync()
        records = self._records()
        self._crown()
        return records

    def _preparing(self, what: str, done: int, total: int) -> None:
        self._heed_interrupt()
        self._observer.preparing(what, done, total)

    def _heed_interrupt(self) -> None:
        if self._interrupted:
            self._observer.note("stopping; what is running goes back into the queue")
            raise KeyboardInterrupt

    def _loop(self) -> None:
        while True:
            self._heed_interrupt()
            self._show()
            self._fill()
            if self._close_finished():
                continue
            if not self._trials and all(study.closed or not self._startable(study) for study in self._studies.values()):
                self._show(now=True)
                return
            for event in self._engine.events(timeout=1.0):
                self._handle(event)
            self._keep_alive()

    def _records(self) -> list[StudyRecord]:
        return [study.sampled.record() for study in self._studies.values()]

    def _show(self, *, now: bool = False) -> None:
        if time.monotonic() - self._shown < 0.5 and not now:
            return
        self._shown = time.monotonic()
        self._observer.studies(self._records())

    # claiming

    def _fill(self) -> None:
        """Give every free place work."""
        for study in self._studies.values():
            while self._engine.free and self._startable(study) and not study.exhausted:
                self._begin(study, study.claim())

    def _startable(self, study: StudyRun) -> bool:
        """Whether a study may start a trial now."""
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return False
        names = study.definition.studies_before(self._campaign.studies)
        return study.settle({name: self._studies[name] for name in names}, self._store)

    def _begin(self, study: StudyRun, claims: Sequence[Claim]) -> None:
        """Start claimed trials in one process, all of them that can be run."""
        specs = [(self._note_start(study, claim), claim) for claim in claims]
        found = [(spec, claim) for spec, claim in specs if spec is not None]
        if not found:
            return
        self._trials |= {spec.name: (study, claim) for spec, claim in found}
        self._engine.start(Job(study.in_race(found), self._home.store, self._logs(study.definition.name)))
        for spec, _ in found:
            self._observer.started(study.sampled.trial(spec.number))

    def _note_start(self, study: StudyRun, claim: Claim) -> TrialSpec | None:
        """Note what a claimed trial runs with; None for one whose settings do not go together, which has failed."""
        assert study.start is not None  # settled before anything could be claimed
        try:
            spec = make_spec(self._campaign, study.definition, claim, study.start, self._data)
        except UserError as error:
            study.sampled.fail(claim.number, str(error))
            self._ended(study, claim.number)
            return None
        started = {
            "settings": spec.settings,
            "key": spec.key,
            "needs": study.start.named(spec),
            "provenance": self._provenance | feature_fingerprints(spec),
        }
        study.sampled.note_trial(claim.number, "started", started)
        if not study.run_id:
            study.run_id = self._tracker.study_run(study.sampled.record(), study.sampled.attribute("definition") or {})
            study.sampled.note("run_id", study.run_id)
        run_id = self._tracker.start(study.sampled.trial(claim.number), study.run_id)
        if run_id != claim.run_id:
            study.sampled.note_trial(claim.number, "run_id", run_id)
        return spec

    def _logs(self, study: str) -> Path:
        return self._home.logs / self._campaign.name / study

    # events

    def _handle(self, event: Event) -> None:
        study, claim = self._trials[event.trial]
        number = claim.number
        if isinstance(event, Reported):
            go_on = study.sampled.report(number, event.report, study.definition.pruner)
            self._engine.answer(event.trial, go_on)
            record = study.sampled.trial(number)
            self._tracker.epoch(record.run_id, event.report)
            self._observer.epoch(record, event.report)
            return
        if isinstance(event, Decoded):
            self._observer.decoded(study.sampled.trial(number), event.report)
            return
        del self._trials[event.trial]
        match event:
            case Finished(_, outcome):
                if not outcome.pruned:
                    study.pace = outcome.seconds
                study.sampled.complete(number, outcome)
            case Failed(_, error):
                study.sampled.fail(number, error)
            case Died(_, reason):
                self._observer.warn(f"{study.definition.name}#{number}: its process was {reason}; it is taken up again")
                if study.sampled.release(number, died=True):
                    study.exhausted = False
        self._ended(study, number)
        if isinstance(event, Finished) and study.definition.keep.best and schema_of(study.definition).trains:
            for freed in self._freeing.free(self._campaign.keeping(self._names)):
                self._observer.note(f"{freed.trial.study}#{freed.trial.number}: weights freed, {size(freed.size)}")

    def _ended(self, study: StudyRun, number: int) -> None:
        record = study.sampled.trial(number)
        if record.state.finished:
            self._tracker.finish(record, study.run_id, trial_folders(self._home, record))
        else:
            self._tracker.release(record)
        self._observer.ended(record)

    def _study_files(self, record: StudyRecord) -> Fill | None:
        return surface_files(self._studies[record.name].definition, record, self._errors_of)

    # the ends of studies and of the run

    def _close_finished(self) -> bool:
        """Promote a trial of every study that has come to its end; whether there is something new to do."""
        found = False
        for study in self._studies.values():
            exhausted = study.exhausted
            ending = study.close(self._errors_of)
            found = found or ending is not None or study.exhausted != exhausted
            if ending is not None:
                record = study.sampled.record()
                announce(ending, record, self._observer)
                self._tracker.study_done(record, True, self._study_files(record))
        return found

    def _crown(self) -> None:
        """Let the best promoted trial of the whole campaign challenge its champion, once every study has ended."""
        if not all(study.closed for study in self._studies.values()):
            return
        crown(self._campaign, self._home, self._sampling, self._champions, self._observer)

    def _keep_alive(self) -> None:
        """Renew the leases of our trials, and take over those of the dead, a few times a lease."""
        now = time.monotonic()
        if now - self._beat < LEASE_SECONDS / 4:
            return
        self._beat = now
        for study, claim in self._trials.values():
            study.sampled.beat(claim.number, Owner.me())
        self._reap()

    def _reap(self) -> None:
        for study in self._studies.values():
            for number in study.sampled.reap(time.time()):
                study.exhausted = False
                self._observer.note(f"{study.definition.name}#{number} was left by a process that died; taken up again")

    def _stop(self) -> None:
        """End what still runs and put it back into the queue."""
        self._engine.stop()
        for study, claim in self._trials.values():
            study.sampled.release(claim.number)
            self._ended(study, claim.number)
        self._trials.clear()
        for study in self._studies.values():
            if not study.closed and study.run_id:
                self._tracker.study_done(study.sampled.record(), False)

    def _sync(self) -> None:
        """Let MLflow say what the records say, and let the records know the runs that were made for it."""
        made = self._tracker.sync(self._records(), lambda record: trial_folders(self._home, record), self._study_files)
        for name, study in self._studies.items():
            run_id = made.get(f"{self._campaign.name}/{name}")
            if run_id:
                study.sampled.note("run_id", run_id)
            for trial in study.sampled.record().trials:
                # Optuna takes no note of a trial that has ended; such a run is found again by its record's name
                if trial.name in made and not trial.state.finished:
                    study.sampled.note_trial(trial.number, "run_id", made[trial.name])
