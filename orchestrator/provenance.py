"""Where a result comes from: code, libraries, machine, data."""

import platform
import socket
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_LIBRARIES = ("ctc-orchestrator", "torch", "optuna", "mlflow", "pyctcdecode", "kenlm", "numpy", "kaldi-native-fbank")


def provenance(data: Mapping[str, str]) -> dict[str, str]:
    """What every trial of a run is tagged with.

    Args:
        data: Fingerprints of the data, by name.
    """
    found = {"host": socket.gethostname(), "python": platform.python_version(), "system": platform.platform()}
    commit = _git("rev-parse", "HEAD")
    if commit:
        found["commit"] = commit
        found["dirty"] = "yes" if _git("status", "--porcelain", "--untracked-files=no") else "no"
    for name in _LIBRARIES:
        try:
            found[name.replace("-", "_")] = version(name)
        except PackageNotFoundError:
            continue
    return found | {f"data_{name}": key for name, key in data.items()}


def _git(*words: str) -> str:
    """What git says of the folder this program's source lies in; empty without git or outside a repository."""
    folder = Path(__file__).resolve().parent
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
