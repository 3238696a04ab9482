"""The study of an import: one trial, which scores what was imported."""

import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.display import Lines, Screen
from orchestrator.engines.local import LocalEngine
from orchestrator.home import Home
from orchestrator.record import StudyRecord
from orchestrator.runner import Runner
from orchestrator.stored import IMPORTED, stored_studies
from search_spaces.campaign import STUDY_NAME, Campaign, StudyDefinition
from search_spaces.errors import UserError


@dataclass(frozen=True, slots=True)
class Import:
    """A campaign with one more study, whose one trial is what was imported.

    Attributes:
        campaign: The campaign, with the study.
        study: Name of the study.
        folder: What was imported, in the store.
        warnings: What the user should think about.
        notes: What was found out and not said by the user.
    """

    campaign: Campaign
    study: str
    folder: Path
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def refuse_name(campaign: Campaign, name: str) -> None:
    """Refuse a name that no study can have, or that one of the campaign file has.

    Raises:
        UserError: It is such a name.
    """
    if not re.match(STUDY_NAME, name):
        raise UserError(f"--name {name}: a study's name has small letters, digits and _, a letter first")
    if name in campaign.studies:
        raise UserError(f"{campaign.path.name} has a study {name} already; give the import another --name")


def with_import(
    campaign: Campaign, name: str, folder: Path, warnings: Sequence[str], notes: Sequence[str] = ()
) -> Import:
    """A campaign with a study of what was imported; nothing is run.

    Args:
        campaign: The campaign.
        name: Name of the study.
        folder: What was imported, in the store.
        warnings: As in `Import`.
        notes: As in `Import`.

    Raises:
        UserError: Something else is stored under the name.
    """
    _refuse_other_import(campaign, name, folder)
    study = StudyDefinition(name, IMPORTED, needs={"checkpoint": (str(folder),)})
    return Import(
        replace(campaign, studies={**campaign.studies, name: study}), name, folder, tuple(warnings), tuple(notes)
    )


def run_import(found: Import, home: Home) -> StudyRecord:
    """Score what was imported, showing what the user should know; the study as it stands then."""
    with (Screen if sys.stdout.isatty() else Lines)(found.campaign.name) as observer:
        for note in found.notes:
            observer.note(note)
        for warning in found.warnings:
            observer.warn(warning)
        runner = Runner(found.campaign, [found.study], home, LocalEngine(1), observer)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: runner.interrupt())
        (record,) = runner.run()
    return record


def _refuse_other_import(campaign: Campaign, name: str, folder: Path) -> None:
    """Refuse a name under which something else is stored."""
    stored = next((study for study in stored_studies(campaign.name) if study.name == name), None)
    if stored is None:
        return
    held = {Path(place).name for trial in stored.trials for places in trial.needs.values() for place in places}
    if stored.strategy != IMPORTED or held - {folder.name}:
        raise UserError(
            f"study {campaign.name}/{name} is there already and holds "
            f"{'another import' if stored.strategy == IMPORTED else f'trials of strategy {stored.strategy}'}; "
            "give this import a name of its own: --name NAME"
        )
