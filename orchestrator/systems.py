"""The system that a command line names: a campaign's champion, or a folder."""

import os
from pathlib import Path

from search_spaces.errors import UserError
from trainers.ensemble_recogniser import load_system
from trainers.system import System

CHAMPION = "champion"


def find_system(model: str, campaign: str | None) -> System:
    """The system to use.

    Args:
        model: ``champion``, or the folder of an exported system.
        campaign: Whose champion; None where there is one alone.

    Raises:
        UserError: There is no such system, or more than one.
        CheckpointError: It cannot be read.
    """
    if model != CHAMPION:
        if campaign is not None:
            raise UserError("--campaign says whose champion is meant; it does not go with --model and a folder")
        return load_system(Path(model))
    root = Path(os.environ.get("ORCHESTRATOR_HOME") or "mlruns") / "champions"
    there = sorted(path.name for path in root.iterdir() if path.is_symlink()) if root.is_dir() else []
    if campaign is None and len(there) == 1:
        campaign = there[0]
    listed = ", ".join(there)
    if not there:
        raise UserError(f"there is no champion in {root}; run a campaign first, or name a folder with --model")
    if campaign is None:
        raise UserError(f"several campaigns have a champion: {listed}; choose one with --campaign")
    if campaign not in there:
        raise UserError(f"campaign {campaign} has no champion; those that have one: {listed}")
    return load_system(root / campaign)
