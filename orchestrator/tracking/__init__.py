"""MLflow as a projection of the records, one that can be written again at any time."""

from orchestrator.tracking.files import Fill, TrialFolders, trial_folders
from orchestrator.tracking.tracker import Tracker
from orchestrator.tracking.ui import serve_ui

__all__ = ["Fill", "Tracker", "TrialFolders", "serve_ui", "trial_folders"]
