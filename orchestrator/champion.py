"""Which system is a campaign's champion, as the link in a home says; reading it needs nothing else."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from orchestrator.home import Home
from orchestrator.record import StudyRecord, TrialRecord
from search_spaces.errors import CheckpointError
from trainers.recogniser import PROVENANCE


def champion_folder(home: Home, campaign: str) -> Path | None:
    """Folder of a campaign's champion; None before there is one."""
    link = home.champions / campaign
    return link.resolve() if link.is_symlink() and link.exists() else None


def read_provenance(folder: Path) -> dict[str, Any]:
    """Where an exported system comes from.

    Raises:
        CheckpointError: The folder does not say.
    """
    try:
        found = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder} is not a whole system: {error}") from error
    return dict(found)


def champion_among(home: Home, campaign: str, studies: Iterable[StudyRecord]) -> TrialRecord | None:
    """The trial that is champion; None before there is one, or where it is none of these studies'."""
    folder = champion_folder(home, campaign)
    if folder is None:
        return None
    origin = read_provenance(folder)
    named = (origin["study"], origin["trial"])
    for study in studies:
        for trial in study.trials:
            # a record that was read in brief has no key
            if (trial.study, trial.number) == named and trial.key in ("", origin["key"]):
                return trial
    return None
