"""An ensemble as something that later trials start from: its members, weights and rule under a key in the store.

The members themselves stay where they are; the entry names them.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search_spaces.axes.settings import Settings
from search_spaces.errors import CheckpointError
from trainers.combining.report import EnsembleReport, Part
from trainers.combining.rule import FusionRule
from trainers.combining.settings import EnsembleSettings, rule_of
from trainers.fusion import plain_rule, read_rule
from trainers.spec import ENSEMBLES
from trainers.store import Store, digest, write_text

DESCRIPTION = "members.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class KeptEnsemble:
    """Who was combined, and how.

    Attributes:
        rule: The rule, with its settings.
        n_best: Hypotheses of an utterance that a member puts into the pool at most.
        parts: The members with their shares.
    """

    rule: FusionRule
    n_best: int
    parts: tuple[Part, ...]


def keep_ensemble(store: Store, report: EnsembleReport, settings: Settings) -> tuple[str, Path]:
    """Put an ensemble into the store: the key of what it is made of, and where it lies.

    Args:
        store: Where its members are.
        report: Who was combined.
        settings: Of the trial that combined them.
    """
    rule = rule_of(settings)
    about: Mapping[str, Any] = {
        "format": _FORMAT,
        **plain_rule(rule),
        "n_best": settings.section("ensemble", EnsembleSettings).n_best,
        "members": [asdict(part) for part in report.members],
    }

    def make(folder: Path) -> None:
        write_text(folder / DESCRIPTION, json.dumps(about, indent=2, ensure_ascii=False) + "\n")

    key = digest(about)
    return key, store.entry(ENSEMBLES, key, make)


def load_ensemble(folder: Path) -> KeptEnsemble:
    """Read what an ensemble in the store is made of.

    Raises:
        CheckpointError: It is none that this version can read.
    """
    path = folder / DESCRIPTION
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != _FORMAT:
            raise CheckpointError(f"{path} has format {found['format']}; this version reads format {_FORMAT}")
        return KeptEnsemble(read_rule(found), int(found["n_best"]), tuple(Part(**part) for part in found["members"]))
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise CheckpointError(f"{path} cannot be read as an ensemble: {error}") from error
