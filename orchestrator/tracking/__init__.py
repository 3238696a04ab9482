"""MLflow as a projection of the records, one that can be written again at any time."""

from orchestrator.tracking.files import TrialFolders, trial_folders
from orchestrator.tracking.tracker import Tracker
from orchestrator.tracking.ui import serve_ui

__all__ = ["Tracker", "TrialFolders", "serve_ui", "trial_folders"]
