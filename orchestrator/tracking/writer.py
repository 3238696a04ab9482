"""Lets the run of a record show the record."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from orchestrator.record import StudyRecord, TrialRecord, TrialState
from orchestrator.tracking.files import Fill, TrialFolders, hypotheses_csv, to_yaml
from orchestrator.tracking.projection import PARENT, milliseconds, project_study, project_trial, study_path
from orchestrator.tracking.store import DIGEST, RunStore
from trainers.outcomes import HYPOTHESES
from trainers.store import digest

_CHECKPOINT = "checkpoint"


class Writer:
    """Writes records into a tracking store.

    Args:
        store: The store.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._ids: dict[str, str] = {}

    def known(self, name: str, run_id: str) -> str:
        """Id of a record's run as far as it is known without asking; empty if it is not."""
        return run_id or self._ids.get(name, "")

    def note(self, name: str, run_id: str) -> None:
        """Remember the run of a record."""
        self._ids[name] = run_id

    def write(self, record: TrialRecord, parent: str | None, folders: TrialFolders, *, search: bool = True) -> str:
        """Let a trial's run show its record, and make it if need be.

        Args:
            record: The trial.
            parent: Its study's run; None leaves it under the one it has.
            folders: What it left behind.
            search: Look for a run that a killed process left, if the record does not name one.

        Returns:
            The run's id.
        """
        run = self._find(record.campaign, record.name, record.run_id, record.key, search)
        if parent is None:
            parent = run.data.tags.get(PARENT, "") if run is not None else ""
        shown = project_trial(record, parent)
        if run is None:
            run = self._store.create(record.campaign, shown, milliseconds(record.started))
        self._ids[record.name] = run.info.run_id
        if run.info.status != shown.status or run.data.tags.get(DIGEST) != shown.digest:
            self._write_files(run, record, folders)
            self._store.bring(run, shown, milliseconds(record.finished))
        return str(run.info.run_id)

    def _write_files(self, run: Any, record: TrialRecord, folders: TrialFolders) -> None:
        if record.settings and not run.data.params:
            self._store.log_text(run, to_yaml(record.settings), "settings.yaml")
        if record.freed:
            self._store.delete_folder(run, _CHECKPOINT)
        elif folders.checkpoint is not None and folders.checkpoint.is_dir():
            self._store.log_folder(run, folders.checkpoint, _CHECKPOINT)
        if folders.outcome is not None and (folders.outcome / HYPOTHESES).is_file():
            self._store.log_text(run, hypotheses_csv(folders.outcome), "hypotheses.csv")
        if record.state is TrialState.FAILED and folders.log is not None and folders.log.is_file():
            self._store.log_text(run, folders.log.read_text(encoding="utf-8", errors="replace"), "trial.log")

    def write_study(
        self, study: StudyRecord, definition: Mapping[str, Any] | None, status: str, fill: Fill | None = None
    ) -> str:
        """Let a study's run show its record in a given state, and return its id.

        Args:
            study: The study.
            definition: What its trials are made from; None leaves what is shown of it.
            status: The state.
            fill: Makes the files that it shows beside the record; None if there are none.
        """
        path = study_path(study)
        run = self._find(study.campaign, path, study.run_id, "", search=True)
        shown = replace(project_study(study), status=status)
        if run is None:
            started = min((trial.started for trial in study.trials if trial.started is not None), default=None)
            run = self._store.create(study.campaign, shown, milliseconds(started))
        run_id = str(run.info.run_id)
        self._ids[path] = run_id
        if definition and run.data.tags.get("definition") != digest(dict(definition)):
            self._store.log_text(run, to_yaml(definition), "definition.yaml")
            self._store.tag(run_id, "definition", digest(dict(definition)))
        if run.info.status != shown.status or run.data.tags.get(DIGEST) != shown.digest:
            if fill is not None:
                with TemporaryDirectory() as folder:
                    fill(Path(folder))
                    self._store.log_folder(run, Path(folder), "")
            self._store.bring(run, shown)
        return run_id

    def _find(self, campaign: str, name: str, run_id: str, key: str, search: bool) -> Any | None:
        """The run of a record: the one it names, the one we made for it, or one that a killed process left."""
        run_id = self.known(name, run_id)
        run = self._store.run(run_id) if run_id else None
        if run is None and search:
            left = self._store.search(campaign, {"record": name})
            run = next((one for one in left if one.data.tags.get("key", "") in ("", key)), None)
        return run

    def mark(self, record: TrialRecord) -> None:
        """Mark a trial as promoted for its study, and no other one of the study."""
        run_id = self.known(record.name, record.run_id)
        marked = self._store.search(record.campaign, {"study": record.study, "promoted": "true"})
        for run in marked:
            if run.info.run_id != run_id:
                self._store.tag(run.info.run_id, "promoted", "false")
        if run_id and run_id not in [run.info.run_id for run in marked]:
            self._store.tag(run_id, "promoted", "true")
