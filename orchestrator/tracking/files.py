"""Files that a run shows, made from what a trial left behind."""

import csv
import io
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orchestrator.home import Home
from orchestrator.record import TrialRecord
from trainers.outcomes import HYPOTHESES
from trainers.store import Store

Fill = Callable[[Path], None]
"""Puts files into an empty folder."""

_COLUMNS = ("errors", "words", "reference", "hypothesis", "substitutions", "deletions", "insertions", "id")


@dataclass(frozen=True, slots=True)
class TrialFolders:
    """What a trial left behind.

    Attributes:
        checkpoint: Folder of the checkpoint that it trained; None when it trained none.
        outcome: Folder with what it recognised; None when it recognised nothing.
        log: What it printed.
    """

    checkpoint: Path | None = None
    outcome: Path | None = None
    log: Path | None = None


def trial_folders(home: Home, record: TrialRecord) -> TrialFolders:
    """Where what a trial left lies in a home."""
    store, outcome = Store(home.store), record.outcome
    trained = outcome is not None and outcome.checkpoint == record.key
    return TrialFolders(
        checkpoint=store.path("checkpoints", outcome.checkpoint) if outcome and trained else None,
        outcome=store.path("outcomes", record.key) if store.has("outcomes", record.key) else None,
        log=home.logs / record.campaign / record.study / f"{record.number}.log",
    )


def plain(value: Any) -> Any:
    """A value as JSON would give it back."""
    return json.loads(json.dumps(value, default=str))


def to_yaml(value: Mapping[str, Any]) -> str:
    """A mapping as a YAML file, in its own order."""
    return yaml.safe_dump(plain(dict(value)), sort_keys=False, allow_unicode=True)


def hypotheses_csv(folder: Path) -> str:
    """What a trial recognised beside what was said, as a table, the worst utterance first.

    Args:
        folder: An outcome's folder.
    """
    lines = (folder / HYPOTHESES).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    for row in rows:
        row["errors"] = row["substitutions"] + row["deletions"] + row["insertions"]
    rows.sort(key=lambda row: -row["errors"])
    names = [
        *_COLUMNS,
        *(name for name in ("acoustic", "language", "part") if any(row.get(name) is not None for row in rows)),
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def place_text(text: str, place: Path) -> None:
    """Write a text so that whoever looks sees the old one or the new one."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(place)


def link_folder(folder: Path, place: Path) -> None:
    """Let files appear in another folder too.

    On one disk they are linked, not copied: files of our store are never changed in place.
    """
    for source in sorted(path for path in folder.rglob("*") if path.is_file()):
        _link(source, place / source.relative_to(folder))


def _link(source: Path, place: Path) -> None:
    if place.exists() and place.samefile(source):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    try:
        os.link(source, beside)
    except OSError:
        shutil.copyfile(source, beside)
    beside.replace(place)
