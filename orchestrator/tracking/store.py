"""MLflow's store: its experiments, runs, artifacts and registered models.

Calls are few and synchronous, and states are written explicitly: what is left to MLflow's fluent interface is lost
when a process is killed.
"""

import shutil
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from alembic.util import CommandError
from filelock import FileLock
from sqlalchemy.engine import make_url

from orchestrator.home import Home
from orchestrator.sqlite import tune_connections
from orchestrator.tracking.database import relocate, runs_of, tables
from orchestrator.tracking.files import link_folder, place_text
from orchestrator.tracking.projection import ENDED, Projection
from orchestrator.tracking.quiet_mlflow import (
    FAILURES,
    Metric,
    MlflowClient,
    MlflowException,
    Param,
    Run,
    RunTag,
    database_tools,
    first_line,
    get_artifact_repository,
)
from search_spaces.errors import StoreError

DIGEST = "digest"
CURVE = "dev_wer_epoch"
_KIND = "custom_model_development"  # or else the UI asks whether this is about language models
_METRICS_AT_ONCE = 500  # MLflow takes 1000 metrics, params and tags together
_SEEN_TAGS = ("record", "key", "promoted", DIGEST)


@dataclass(frozen=True, slots=True)
class Seen:
    """A run as one look over all runs of an experiment shows it.

    Attributes:
        run_id: Its id.
        status: MLflow's word for its state.
        tags: Those that tell which record it shows, and how much of it.
    """

    run_id: str
    status: str
    tags: dict[str, str] = field(default_factory=dict)


def choose_run(runs: Sequence[Seen], run_id: str, key: str) -> Seen | None:
    """Of the runs that show one record: the one it names, or one that shows the same attempt."""
    named = [run for run in runs if run.run_id == run_id]
    same = [run for run in runs if run.tags.get("key", "") in ("", key)]
    return next(iter([*named, *same]), None)


class RunStore:
    """The tracking store of a home.

    Args:
        home: Where it is; a SQLite store is made, or brought to the installed MLflow's version.

    Attributes:
        client: MLflow's own.

    Raises:
        StoreError: It cannot be opened.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._server = home.tracking_uri.startswith(("http:", "https:"))
        self._artifacts = str(home.artifacts).replace("%", "%25")  # MLflow reads a path as it reads an address
        self._database = Path(make_url(home.tracking_uri).database or "") if _is_sqlite(home) else None
        try:
            self.client: Any = self._open()
        except (*FAILURES, CommandError) as error:
            place = make_url(home.tracking_uri).render_as_string(hide_password=True)
            raise StoreError(f"cannot open MLflow's store {place}: {first_line(error)}") from error
        self._experiments: dict[str, str] = {}
        self._drawn: dict[str, dict[int, float]] = {}

    def _open(self) -> MlflowClient:
        uri = self._home.tracking_uri
        if self._database is None:
            client = MlflowClient(uri, uri)
            client.search_experiments(max_results=1)
            return client
        tune_connections()
        lock = self._home.lock("mlflow")
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, timeout=300):
            if tables(self._database):
                _migrate(uri)
                relocate(self._database, self._artifacts)
            else:
                _make(self._database)
            return MlflowClient(uri, uri)

    def forget(self) -> None:
        """Ask MLflow again for what was known: something has changed."""
        self._experiments.clear()
        self._drawn.clear()

    # runs

    def run(self, run_id: str) -> Run | None:
        """A run by its id, restored if someone has deleted it or its experiment; None when it does not exist."""
        try:
            run: Run = self.client.get_run(run_id)
        except MlflowException as error:
            if not _missing(error):
                raise
            return None
        if run.info.lifecycle_stage == "deleted":
            if self.client.get_experiment(run.info.experiment_id).lifecycle_stage == "deleted":
                self.client.restore_experiment(run.info.experiment_id)
            self.client.restore_run(run_id)
            run = self.client.get_run(run_id)
        return run

    def search(self, campaign: str, tags: Mapping[str, str]) -> list[Run]:
        """The runs of a campaign that carry all these tags."""
        words = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        return list(self.client.search_runs([self._experiment(campaign)], words, max_results=100))

    def create(self, campaign: str, shown: Projection, started: int | None) -> Run:
        """A new run with its tags; its digest is written with the rest."""
        experiment = self._experiment(campaign)
        run: Run = self.client.create_run(experiment, started, dict(shown.tags), shown.name)
        return run

    def bring(self, run: Run, shown: Projection, ended: int | None = None) -> None:
        """Write what a run lacks, and what is different; last of all its state.

        A param cannot be changed in MLflow: another value becomes the tag ``changed.NAME``.
        """
        run_id = run.info.run_id
        now = int(time.time() * 1000)
        found = run.data.params
        params = [Param(name, value) for name, value in shown.params.items() if name not in found]
        changed = {f"changed.{name}": new for name, new in shown.params.items() if found.get(name, new) != new}
        tags = {**shown.tags, **changed, DIGEST: shown.digest}
        metrics = [
            Metric(name, new, now, 0) for name, new in shown.metrics.items() if run.data.metrics.get(name) != new
        ]
        if shown.points:
            drawn = self.drawn(run_id)
            for point in shown.points:
                if drawn.get(point.step) != point.metrics.get(CURVE):
                    time_of_point = run.info.start_time + int(point.elapsed * 1000)
                    metrics += [Metric(name, new, time_of_point, point.step) for name, new in point.metrics.items()]
                    if CURVE in point.metrics:
                        drawn[point.step] = point.metrics[CURVE]
        rest = [RunTag(name, value) for name, value in tags.items() if run.data.tags.get(name) != value]
        if len(metrics) > _METRICS_AT_ONCE:
            self.client.log_batch(run_id, metrics=metrics)
            metrics = []
        self.client.log_batch(run_id, metrics=metrics, params=params, tags=rest)
        for name in shown.obsolete(run.data.tags):
            self.client.delete_tag(run_id, name)
        if shown.status in ENDED:
            if run.info.status != shown.status or (ended is not None and run.info.end_time != ended):
                self.client.set_terminated(run_id, shown.status, ended)
        elif run.info.status != shown.status:
            self.client.update_run(run_id, shown.status)

    def draw(
        self, run_id: str, points: Sequence[tuple[float, int, Mapping[str, float]]], tags: Mapping[str, str]
    ) -> None:
        """Add epochs to a run's curves: for each the time in seconds, the epoch, and its values."""
        metrics = [
            Metric(name, value, int(when * 1000), step) for when, step, one in points for name, value in one.items()
        ]
        self.client.log_batch(run_id, metrics=metrics, tags=[RunTag(*tag) for tag in tags.items()])
        self.drawn(run_id).update({step: one[CURVE] for _, step, one in points if CURVE in one})

    def drawn(self, run_id: str) -> dict[int, float]:
        """Dev WER of the epochs that a run's curves have; an epoch is drawn on all curves or on none."""
        if run_id not in self._drawn:
            history = self.client.get_metric_history(run_id, CURVE)
            self._drawn[run_id] = {point.step: point.value for point in sorted(history, key=lambda one: one.timestamp)}
        return self._drawn[run_id]

    def tag(self, run_id: str, name: str, value: str) -> None:
        """Set one tag."""
        self.client.set_tag(run_id, name, value)

    def delete(self, run_id: str) -> None:
        """Delete a run the way MLflow does: it can be restored."""
        self.client.delete_run(run_id)

    def look(self, campaign: str) -> list[Seen]:
        """Every run of a campaign: one query for the local store, where MLflow's search takes 0.5 ms a run."""
        experiment = self._experiment(campaign)
        if self._database is not None:
            # a later MLflow may arrange its tables in another way: its own search then serves, slower
            with suppress(sqlite3.Error):
                return [Seen(*run) for run in runs_of(self._database, experiment, _SEEN_TAGS)]
        found: list[Seen] = []
        token: str | None = None
        while token != "":
            page = self.client.search_runs([experiment], max_results=1000, page_token=token)
            for run in page:
                tags = {name: run.data.tags[name] for name in _SEEN_TAGS if name in run.data.tags}
                found.append(Seen(run.info.run_id, run.info.status, tags))
            token = page.token or ""
        return found

    def _experiment(self, campaign: str) -> str:
        """Id of a campaign's experiment, made or restored if need be."""
        if campaign not in self._experiments:
            found = self.client.get_experiment_by_name(campaign)
            if found is None:
                self._experiments[campaign] = self._make_experiment(campaign)
                return self._experiments[campaign]
            if found.lifecycle_stage == "deleted":
                self.client.restore_experiment(found.experiment_id)
            self._experiments[campaign] = found.experiment_id
        return self._experiments[campaign]

    def _make_experiment(self, campaign: str) -> str:
        place = None if self._server else f"{self._artifacts}/{campaign}"
        try:
            return str(self.client.create_experiment(campaign, place, {"mlflow.experimentKind": _KIND}))
        except MlflowException:
            found = self.client.get_experiment_by_name(campaign)  # another process may have been faster
            if found is None:
                raise
            return str(found.experiment_id)

    # files

    def log_text(self, run: Run, text: str, name: str) -> None:
        """Make a text an artifact of a run."""
        place = self._place(run)
        if place is None:
            self.client.log_text(run.info.run_id, text, name)
        else:
            place_text(text, place / name)

    def log_folder(self, run: Run, folder: Path, name: str) -> None:
        """Make the files of a folder artifacts of a run, in a folder of that name; at the top where it is empty."""
        place = self._place(run)
        if place is None:
            self.client.log_artifacts(run.info.run_id, str(folder), name or None)
        else:
            link_folder(folder, place / name)

    def delete_folder(self, run: Run, name: str) -> None:
        """Delete the artifacts of a run that lie in a folder; where there is none, nothing happens."""
        place = self._place(run)
        if place is not None:
            shutil.rmtree(place / name, ignore_errors=True)
        elif self.client.list_artifacts(run.info.run_id, name):
            repository: Any = get_artifact_repository(run.info.artifact_uri, self._home.tracking_uri)
            repository.delete_artifacts(name)

    def _place(self, run: Run) -> Path | None:
        """Where a run's artifacts lie on this machine; None when a server keeps them."""
        local = not self._server and run.info.artifact_uri.startswith("/")
        return Path(unquote(run.info.artifact_uri)) if local else None


def _missing(error: MlflowException) -> bool:
    return bool(error.error_code == "RESOURCE_DOES_NOT_EXIST")


def _is_sqlite(home: Home) -> bool:
    return home.tracking_uri.startswith("sqlite:")


def _make(database: Path) -> None:
    """Make the database beside its place, so that a process that dies leaves none that is half made."""
    database.parent.mkdir(parents=True, exist_ok=True)
    beside = database.with_name(f".{database.name}.unfinished")
    for path in (beside, *(beside.with_name(f"{beside.name}{end}") for end in ("-wal", "-shm"))):
        path.unlink(missing_ok=True)
    engine = database_tools.create_sqlalchemy_engine(f"sqlite:///{beside}")
    try:
        database_tools._initialize_tables(engine)
    finally:
        engine.dispose()
    beside.replace(database)


def _migrate(uri: str) -> None:
    """Bring a database of an earlier MLflow to the schema of the installed one, as ``mlflow db upgrade`` does."""
    engine = database_tools.create_sqlalchemy_engine(uri)
    try:
        if database_tools._get_schema_version(engine) != database_tools._get_latest_schema_revision():
            database_tools._upgrade_db(engine)
    finally:
        engine.dispose()
