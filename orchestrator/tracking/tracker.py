"""Records shown in MLflow.

Optuna's storage is the truth. A run in MLflow shows what its record says, carries a digest of that, and is written
again whenever the two differ: nothing here decides anything, and nothing here can fail a trial.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.home import Home
from orchestrator.record import StudyRecord, TrialRecord, TrialState
from orchestrator.tracking.files import Fill, TrialFolders
from orchestrator.tracking.harmless import Harmless, harmless
from orchestrator.tracking.projection import epoch_metrics, project_study, project_trial, split_finite, study_path
from orchestrator.tracking.registry import Registry
from orchestrator.tracking.store import CURVE, DIGEST, RunStore, Seen, choose_run
from orchestrator.tracking.writer import Writer
from trainers.spec import EpochReport

_EPOCHS = 1.0  # seconds between two writes of a trial's curves


class Tracker(Harmless):
    """Shows records in MLflow.

    No method fails because of MLflow: what could not be written is written by the next `sync`.

    Args:
        home: Whose tracking store is used; a SQLite store is made, or brought to the installed MLflow's version.

    Raises:
        StoreError: The store cannot be opened.
    """

    def __init__(self, home: Home) -> None:
        super().__init__()
        self._store = RunStore(home)
        self._writer = Writer(self._store)
        self._registry = Registry(self._store)
        self._open: set[str] = set()
        self._pending: dict[str, list[tuple[float, EpochReport]]] = {}
        self._drawn: dict[str, float] = {}

    @harmless(lambda self, study, definition: self._writer.known(study_path(study), study.run_id))
    def study_run(self, study: StudyRecord, definition: Mapping[str, Any]) -> str:
        """Open the run of a study, the parent of its trials' runs.

        Args:
            study: The study; its run is made if it has none that exists.
            definition: What its trials are made from, shown as ``definition.yaml``.

        Returns:
            Its id; empty when MLflow cannot be reached.
        """
        self._open.add(study_path(study))
        return self._writer.write_study(study, definition, "RUNNING")

    @harmless(lambda self, record, parent: self._writer.known(record.name, record.run_id))
    def start(self, record: TrialRecord, parent: str) -> str:
        """Show that a trial runs; one that was interrupted goes on in its run.

        Args:
            record: The trial, claimed.
            parent: Its study's run.

        Returns:
            Its id; empty when MLflow cannot be reached.
        """
        first = not record.deaths and not record.curve
        return self._writer.write(record, parent, TrialFolders(), search=not first)

    @harmless(lambda self, run_id, report: None)
    def epoch(self, run_id: str, report: EpochReport) -> None:
        """Draw an epoch; one that is drawn already, because the trial was interrupted after it, stays as it is.

        Epochs of less than a second are drawn several at a time.
        """
        if not run_id:
            self.behind = True
            return
        self._pending.setdefault(run_id, []).append((time.time(), report))
        if time.monotonic() - self._drawn.get(run_id, -_EPOCHS) >= _EPOCHS:
            self._draw(run_id)

    def _draw(self, run_id: str) -> None:
        """Draw the epochs that wait for it."""
        pending = self._pending.pop(run_id, [])
        self._drawn[run_id] = time.monotonic()
        wers = dict(self._store.drawn(run_id)) if pending else {}
        points: list[tuple[float, int, dict[str, float]]] = []
        tags: dict[str, str] = {}
        for when, report in pending:
            if wers.get(report.epoch) == report.dev_wer:
                continue
            finite, odd = split_finite(epoch_metrics(report), report.epoch)
            tags |= odd
            if CURVE in finite:
                wers[report.epoch] = report.dev_wer
                finite["best_wer"] = min(wer for epoch, wer in wers.items() if epoch <= report.epoch)
            points.append((when, report.epoch, finite))
        if points:
            self._store.draw(run_id, points, tags)

    @harmless(lambda self, record, parent, folders: self._writer.known(record.name, record.run_id))
    def finish(self, record: TrialRecord, parent: str, folders: TrialFolders) -> str:
        """Show all of a trial that has ended, whatever its run lacks; a run that is complete is left as it is.

        Args:
            record: The trial.
            parent: Its study's run.
            folders: What it left behind.

        Returns:
            The run's id; empty when MLflow cannot be reached.
        """
        if record.outcome is not None and record.outcome.epochs:
            self._pending.pop(record.run_id, None)
        else:
            self._draw(record.run_id)
        return self._writer.write(record, parent, folders)

    @harmless(lambda self, record: None)
    def release(self, record: TrialRecord) -> None:
        """Show that an interrupted trial waits to be taken up again."""
        self._draw(record.run_id)
        self._writer.write(record, None, TrialFolders())

    @harmless(lambda self, study, finished, fill=None: None)
    def study_done(self, study: StudyRecord, finished: bool, fill: Fill | None = None) -> None:
        """Close the run of a study, and mark its promoted trial.

        Args:
            study: The study.
            finished: Whether it has come to its end; otherwise it can be continued, or others still work on it.
            fill: Makes the files that the run shows beside the record; None if there are none.
        """
        self._open.discard(study_path(study))
        open_status = "RUNNING" if study.count(TrialState.RUNNING) else "SCHEDULED"
        self._writer.write_study(study, None, "FINISHED" if finished else open_status, fill)
        for trial in study.trials:
            if trial.promoted:
                self._writer.mark(trial)

    @harmless(lambda self, campaign, run_id, folder, description="", tags=None: 0)
    def register(
        self, campaign: str, run_id: str, folder: Path, description: str = "", tags: Mapping[str, str] | None = None
    ) -> int:
        """Make a system a version of the campaign's registered model; the same files are the same version.

        Args:
            campaign: The model's name.
            run_id: The run of the trial it comes from; its files become artifacts of that run.
            folder: The files.
            description: Shown with the version.
            tags: Shown with the version.

        Returns:
            The version; 0 when MLflow cannot be reached or there is no such run.
        """
        run = self._store.run(run_id) if run_id else None
        if run is None:
            self.fell_behind(LookupError(f"no run {run_id} to register a model of"), 0.0)
            return 0
        return self._registry.version(campaign, run, folder, description, tags or {})

    @harmless(lambda self, campaign, folder, run_id, key, why=None: None)
    def follow_champion(
        self, campaign: str, folder: Path, run_id: str, key: str, why: Mapping[str, str] | None = None
    ) -> None:
        """Let the alias name the version made of a champion's folder, registered now if it is not.

        Args:
            campaign: The model's name.
            folder: The champion's files.
            run_id: The run of its trial; empty if MLflow was down when the champion was exported.
            key: Its trial's key.
            why: Why it is champion, shown with the version.
        """
        if not run_id:
            run_id = next((run.info.run_id for run in self._store.search(campaign, {"key": key})), "")
        version = self.register(campaign, run_id, folder, tags={"key": key, **(why or {})})
        if version and version != self._registry.pointed(campaign):
            self._registry.point(campaign, version)

    def sync(
        self,
        studies: Sequence[StudyRecord],
        folders: Callable[[TrialRecord], TrialFolders],
        fills: Callable[[StudyRecord], Fill | None] = lambda study: None,
    ) -> dict[str, str]:
        """Let MLflow say what the records say, run for run.

        Makes runs that are missing, after looking for one that a killed process left without telling anyone its id;
        mends those whose state or content is another; deletes (MLflow can restore it) a second run of the same
        attempt.

        Args:
            studies: Studies with all their trials.
            folders: What a trial left behind.
            fills: Makes the files that a study's run shows beside the record; None if there are none.

        Returns:
            Ids of the runs that the records do not know yet, by the trial's name, or ``campaign/study``.
        """
        self.start_afresh()
        made: dict[str, str] = {}
        looks: dict[str, dict[str, list[Seen]]] = {}
        for study in studies:
            if not study.trials:
                continue  # nobody has begun it
            if study.campaign not in looks:
                looks[study.campaign] = self._look(study.campaign)
            seen = looks[study.campaign]
            parent = self._sync_study(study, seen, fills(study))
            if not parent:
                continue
            if parent != study.run_id:
                made[study_path(study)] = parent
            for trial in study.trials:
                run_id = self._sync_trial(trial, parent, seen, folders)
                if run_id and run_id != trial.run_id:
                    made[trial.name] = run_id
        return made

    @harmless(lambda self, campaign: {})
    def _look(self, campaign: str) -> dict[str, list[Seen]]:
        """Every run of a campaign, by the record that it shows."""
        found: dict[str, list[Seen]] = {}
        for run in self._store.look(campaign):
            found.setdefault(run.tags.get("record", ""), []).append(run)
        return found

    @harmless(lambda self, study, seen, fill: "")
    def _sync_study(self, study: StudyRecord, seen: Mapping[str, list[Seen]], fill: Fill | None) -> str:
        path = study_path(study)
        run = choose_run(seen.get(path, []), study.run_id, "")
        shown = project_study(study)
        if run is None:
            return self._writer.write_study(study, None, shown.status, fill)
        self._writer.note(path, run.run_id)
        left = run.status == "RUNNING" and path not in self._open and shown.status != "RUNNING"
        status = shown.status if left else run.status
        if run.tags.get(DIGEST) != replace(shown, status=status).digest or status != run.status:
            self._writer.write_study(replace(study, run_id=run.run_id), None, status, fill)
        return run.run_id

    @harmless(lambda self, record, parent, seen, folders: self._writer.known(record.name, record.run_id))
    def _sync_trial(
        self,
        record: TrialRecord,
        parent: str,
        seen: Mapping[str, list[Seen]],
        folders: Callable[[TrialRecord], TrialFolders],
    ) -> str:
        runs = seen.get(record.name, [])
        run = choose_run(runs, record.run_id, record.key)
        for other in runs:
            if run is not None and other is not run and other.tags.get("key") == record.key:
                self._store.delete(other.run_id)
        shown = project_trial(record, parent)
        run_id = run.run_id if run is not None else record.run_id
        if run is None or run.status != shown.status or run.tags.get(DIGEST) != shown.digest:
            left = folders(record) if record.state.finished else TrialFolders()
            run_id = self._writer.write(replace(record, run_id=run_id), parent, left, search=False)
        if record.promoted != (run is not None and run.tags.get("promoted") == "true"):
            self._store.tag(run_id, "promoted", "true" if record.promoted else "false")
        self._writer.note(record.name, run_id)
        return run_id

    def forget(self) -> None:
        """Ask MLflow again for what was known of it."""
        self._store.forget()
