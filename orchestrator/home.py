"""The one folder that holds everything a campaign leaves behind."""

import os
from dataclasses import dataclass
from pathlib import Path

from search_spaces.errors import StoreError
from trainers.store import reason


@dataclass(frozen=True, slots=True)
class Home:
    """Where things are.

    Attributes:
        root: The folder, ``mlruns/`` unless ORCHESTRATOR_HOME says otherwise.
        storage_url: Optuna's database; ORCHESTRATOR_STORAGE, or a SQLite file in the folder.
        tracking_uri: MLflow's store; MLFLOW_TRACKING_URI, or a SQLite file in the folder.
    """

    root: Path
    storage_url: str
    tracking_uri: str

    @classmethod
    def here(cls) -> "Home":
        """The folder that the environment names, made if it is missing.

        Raises:
            StoreError: It cannot be made or written.
        """
        root = Path(os.environ.get("ORCHESTRATOR_HOME") or "mlruns").absolute()
        try:
            for folder in (root, root / "locks"):
                folder.mkdir(parents=True, exist_ok=True)
                probe = folder / f".writable.{os.getpid()}"
                probe.touch()
                probe.unlink()
        except OSError as error:
            raise StoreError(
                f"cannot write to {root}: {reason(error)}; results need a folder of yours: set ORCHESTRATOR_HOME"
            ) from error
        storage = os.environ.get("ORCHESTRATOR_STORAGE") or f"sqlite:///{root / 'optuna.db'}"
        tracking = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlflow.db'}"
        return cls(root, storage, tracking)

    @property
    def store(self) -> Path:
        """Artifacts by content."""
        return self.root / "store"

    @property
    def artifacts(self) -> Path:
        """What MLflow shows of each run."""
        return self.root / "artifacts"

    @property
    def champions(self) -> Path:
        """Promoted systems, ready to be used."""
        return self.root / "champions"

    @property
    def logs(self) -> Path:
        """What trials print."""
        return self.root / "logs"

    def lock(self, name: str) -> Path:
        """The file whose lock guards something."""
        return self.root / "locks" / f"{name}.lock"
