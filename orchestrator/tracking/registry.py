"""MLflow's registered models: a model a campaign, a version a champion."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.tracking.store import RunStore
from trainers.store import digest_files

_CHAMPION = "champion"


class Registry:
    """The registered models of a tracking store.

    Args:
        store: The store.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def version(self, model: str, run: Any, folder: Path, description: str, tags: Mapping[str, str]) -> int:
        """A version of a model made of a folder's files; the same files of the same run are one version."""
        client = self._store.client
        if self._find(model) is None:
            client.create_registered_model(model, description=f"The best system of campaign {model}.")
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        name = f"{_CHAMPION}/{digest_files(files)[:8]}"
        source = f"runs:/{run.info.run_id}/{name}"  # where the run's artifacts lie, wherever that will be
        for version in client.search_model_versions(f"name = '{model}'"):
            if version.source == source:
                return int(version.version)
        self._store.log_folder(run, folder, name)
        made = client.create_model_version(
            model, source, run.info.run_id, dict(tags), description=description or None, await_creation_for=0
        )
        return int(made.version)

    def point(self, model: str, version: int) -> None:
        """Let the alias ``champion`` name a version."""
        self._store.client.set_registered_model_alias(model, _CHAMPION, str(version))

    def pointed(self, model: str) -> int | None:
        """The version that the alias ``champion`` names; None when there is none."""
        found = self._find(model)
        version = None if found is None else found.aliases.get(_CHAMPION)
        return None if version is None else int(version)

    def _find(self, model: str) -> Any | None:
        return next(iter(self._store.client.search_registered_models(f"name = '{model}'")), None)
