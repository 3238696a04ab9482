"""The command that reproduces a row of the leaderboard."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from orchestrator.leaderboard.cost import behind
from orchestrator.record import StudyRecord, TrialRecord
from search_spaces.campaign import StudyDefinition

HOME = "reproduced"
"""Folder of the results: where the trial has been run already, nothing would be."""


def command(study: StudyRecord, studies: Mapping[str, StudyRecord], definitions: Mapping[str, StudyDefinition]) -> str:
    """What to type to run the trial that stands for a study again, and those it takes something from.

    Every study in it tries the point of its own result alone, as that stands now, behind the references that its
    strategy begins with. At the row's commit the trial has the same key, and so, on the same device, the same result.

    Args:
        study: The study; its result is read whole.
        studies: All stored studies by name, likewise.
        definitions: Of the campaign's studies.

    Returns:
        A line for a shell; empty where there is no result.
    """
    if study.result is None:
        return ""
    if study.name not in definitions:
        sources = [source for needed in study.result.needs.values() for source in needed]
        return shlex.join(["orchestrator", "import", *sources, "--into", study.campaign, "--name", study.name])
    changes: dict[str, Any] = dict(study.changes)
    for name in behind(study.name, definitions):
        result = studies[name].result if name in studies else None
        if result is not None:
            changes |= {f"studies.{name}.{key}": value for key, value in _alone(result, definitions[name]).items()}
    words = ["orchestrator", "run", f"{study.campaign}/{study.name}", "--trials", "1"]
    words += [word for key, value in changes.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    return f"ORCHESTRATOR_HOME={HOME} {shlex.join(words)}"


def _alone(trial: TrialRecord, definition: StudyDefinition) -> dict[str, Any]:
    """What lets a study try the point of a trial alone, without what its strategy laid over it.

    A fresh seed is in no space: of a run that confirms its configuration the whole point is fixed.
    """
    point = {name: value for name, value in trial.params.items() if name not in trial.overrides}
    unconfirmed = {"confirm": "none"} if definition.confirm and definition.confirm.top else {}
    if trial.confirms is None:
        return {"enqueue": [point], **unconfirmed}
    fixed = {**definition.fixed, **point, **trial.overrides}
    return {"space": {}, "enqueue": [], "sampler": "random", "fixed": fixed, **unconfirmed}
