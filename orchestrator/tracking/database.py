"""MLflow's SQLite database, looked into without MLflow: where that is quicker, or MLflow would wait for minutes."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path


def tables(database: Path) -> int:
    """How many tables a database has."""
    if not database.exists():
        return 0
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])


def runs_of(database: Path, experiment: str, names: Sequence[str]) -> list[tuple[str, str, dict[str, str]]]:
    """Id, status and some tags of every run of an experiment that is not deleted.

    Args:
        database: The database.
        experiment: The experiment's id.
        names: The tags wanted.

    Raises:
        sqlite3.Error: The database cannot be read, or its tables are those of another MLflow.
    """
    query = f"""
        SELECT runs.run_uuid, runs.status, tags.key, tags.value FROM runs
        LEFT JOIN tags ON tags.run_uuid = runs.run_uuid AND tags.key IN ({", ".join("?" * len(names))})
        WHERE runs.experiment_id = ? AND runs.lifecycle_stage = 'active'
    """
    found: dict[str, tuple[str, str, dict[str, str]]] = {}
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        for run_id, status, name, value in connection.execute(query, (*names, int(experiment))):
            seen = found.setdefault(run_id, (run_id, status, {}))
            if name is not None:
                seen[2][name] = value
    return list(found.values())


def relocate(database: Path, artifacts: str) -> None:
    """Let the artifacts of all runs be where they are now: MLflow keeps absolute paths, a home can be moved.

    Args:
        database: The database.
        artifacts: The home's folder of artifacts, as MLflow writes paths.
    """
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        found = connection.execute("SELECT experiment_id, name, artifact_location FROM experiments").fetchall()
        for experiment, name, place in found:
            ours = f"{artifacts}/{name}"
            if place == ours or not place.endswith(f"/artifacts/{name}"):
                continue
            connection.execute(
                "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (ours, experiment)
            )
            connection.execute(
                "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) "
                "WHERE experiment_id = ? AND substr(artifact_uri, 1, ?) = ?",
                (ours, len(place) + 1, experiment, len(place) + 1, f"{place}/"),
            )
