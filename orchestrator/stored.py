"""Reading what is stored, without making a store where there is none."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.home import Home
from orchestrator.record import StudyRecord
from search_spaces.campaign import Campaign

if TYPE_CHECKING:
    from orchestrator.sampling import Choice  # it needs optuna

IMPORTED = "imported"
"""The strategy of studies that no campaign file need name."""


def stored_studies(campaign: str, whole: "Choice | None" = None) -> list[StudyRecord]:
    """The stored studies of a campaign with all their trials; none where nothing has been run.

    Args:
        campaign: Name of the campaign.
        whole: Which trials to read whole, as `Sampling.records` has it.
    """
    root = Path(os.environ.get("ORCHESTRATOR_HOME") or "mlruns")
    if "ORCHESTRATOR_STORAGE" not in os.environ and not (root / "optuna.db").is_file():
        return []
    from orchestrator.sampling import Sampling

    return Sampling(Home.here()).records(campaign, whole)


def in_order(campaign: Campaign, studies: list[StudyRecord]) -> list[StudyRecord]:
    """The stored studies that the campaign file still names, in its order, and behind them what was imported."""
    found = {study.name: study for study in studies}
    named = [found[name] for name in campaign.studies if name in found]
    return named + [study for study in studies if study.strategy == IMPORTED and study.name not in campaign.studies]
