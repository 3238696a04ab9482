"""Posteriors of another program as a trial of a campaign."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from orchestrator.home import Home
from orchestrator.import_study import Import, refuse_name, with_import
from search_spaces.axes.features import Units
from search_spaces.campaign import Campaign
from search_spaces.errors import DataError, Mistake, StoreError, UserError, some
from trainers.artifacts import Utterance
from trainers.data.audio import duration
from trainers.data.labels import Alphabet
from trainers.data.manifest import read_manifest
from trainers.data.matrix_sets import SUFFIXES, MatrixSet, open_matrices
from trainers.data.sealed import SealedSet
from trainers.exchange.given_posteriors import TOLD, Given, Survey, arrange, survey, write_split
from trainers.exchange.imported_posteriors import describe, keep_imported, load_imported
from trainers.exchange.labels import find_units, name_columns, read_names
from trainers.exchange.log_probabilities import KINDS, Kind
from trainers.exchange.posterior_files import LABELS
from trainers.store import Store, reason

SPLITS = ("dev", "train", "test")
_UNLIKE = 1.5  # times the usual seconds a frame: more than what is lost at an utterance's ends
_AGREE = 0.1  # of the seconds a frame that are declared and those that durations tell


@dataclass(frozen=True, slots=True)
class PosteriorsOrigin:
    """Where posteriors come from, and what the user says of them; what is not said is found out.

    Attributes:
        place: A folder with one entry a split, or the file or folder of one split.
        splits: Names of the splits to take; empty for all that are there.
        labels: File with the label of every column.
        blank: Name of the blank among the labels; empty for the empty one.
        units: What the labels stand for.
        kind: What the values are.
        frame_seconds: How long a frame lasts.
    """

    place: Path
    splits: tuple[str, ...] = ()
    labels: Path | None = None
    blank: str = ""
    units: Units | None = None
    kind: Kind | None = None
    frame_seconds: float | None = None


def prepare_posteriors(campaign: Campaign, name: str, origin: PosteriorsOrigin, home: Home) -> Import:
    """Put posteriors into the store, and a study of them into the campaign; nothing is run.

    Args:
        campaign: The campaign.
        name: Name of the study.
        origin: The posteriors.
        home: Where results go.

    Raises:
        UserError: The posteriors, their labels or what is said of them do not fit, or the name is taken.
    """
    refuse_name(campaign, name)
    told = _told(origin.place)
    places = _places(origin)
    sets = {split: open_matrices(place) for split, place in places.items()}
    names = {split: _names(origin, matrices) for split, matrices in sets.items()}
    units = origin.units or told.get("units") or find_units(names["dev"][1], origin.blank)
    alphabet, columns = _one_alphabet(names, units, origin.blank)
    given = {split: _given(campaign, split, matrices) for split, matrices in sets.items()}
    found = {
        split: survey(one, len(alphabet), origin.kind or one.matrices.kind or told.get("kind"))
        for split, one in given.items()
    }
    warnings = [note for one in given.values() for note in one.notes]
    notes = [f"{one.matrices.place}: {found[split].kind}, units: {units}" for split, one in given.items()]
    frame_seconds, odd = _frame_seconds(campaign, found["dev"], origin.frame_seconds, given["dev"])
    frame_seconds = origin.frame_seconds or told.get("frame_seconds") or frame_seconds
    store = Store(home.store)
    try:
        with tempfile.TemporaryDirectory(dir=store.root) as beside:
            folder = Path(beside)
            for split, one in given.items():
                write_split(folder / split, one, found[split], columns[split], alphabet.labels)
            kinds = {split: one.kind for split, one in found.items()}
            describe(folder, alphabet, tuple(given), frame_seconds, {"kinds": kinds, "blank": origin.blank})
            _, kept = keep_imported(store, load_imported(folder))
    except OSError as error:
        raise StoreError(f"cannot keep the posteriors in {store.root}: {reason(error)}") from error
    return with_import(campaign, name, kept, [*warnings, *odd], notes)


def _told(place: Path) -> Mapping[str, Any]:
    """What `orchestrator export-posteriors` wrote beside posteriors that it exported."""
    path = place / TOLD
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        units, kind, frame_seconds = (found[key] for key in ("units", "kind", "frame_seconds"))
        if units not in get_args(Units) or kind not in KINDS or not (frame_seconds is None or 0 < frame_seconds < 60):
            raise ValueError(f"units {units!r}, kind {kind!r}, frame_seconds {frame_seconds!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(path, [Mistake(0, "", f"is no description of exported posteriors: {error!r}")]) from error
    return {"units": units, "kind": kind, "frame_seconds": frame_seconds}


def _places(origin: PosteriorsOrigin) -> dict[str, Path]:
    """Where the matrices of every split lie, dev first.

    Raises:
        UserError: A split is missing, or there twice.
    """
    place = origin.place
    if not place.exists():
        raise UserError(f"no such file or folder: {place}")
    found = {split: one for split in SPLITS if (one := _entry(place, split)) is not None}
    if place.is_file() or (not found and any(place.glob("*.npy"))):
        if len(origin.splits) > 1:
            raise UserError(f"{place} holds one split; put {' and '.join(origin.splits)} beside each other in a folder")
        found = {origin.splits[0] if origin.splits else "dev": place}
    listed = f"{'|'.join(SPLITS)} as a folder of .npy files or with {', '.join(SUFFIXES)}"
    absent = [split for split in origin.splits or ("dev",) if split not in found]
    if absent:
        has = f"it has {', '.join(found)}" if found else "it has none"
        raise UserError(
            f"{place} has no posteriors of {', '.join(absent)}: one entry a split is wanted, {listed}; {has}"
        )
    chosen = {split: one for split, one in found.items() if split in (origin.splits or SPLITS)}
    if "dev" not in chosen:
        raise UserError(f"{place}: posteriors of dev are needed too, by which the import is scored; add --split dev")
    return chosen


def _entry(place: Path, split: str) -> Path | None:
    """The file or folder of a split; a list of places goes before the archive it leads into."""
    there = [one for one in (place / split, *(place / f"{split}{suffix}" for suffix in SUFFIXES)) if one.exists()]
    if [one.suffix for one in there] == [".scp", ".ark"]:
        there.pop()
    if len(there) > 1:
        raise UserError(f"{place} has {' and '.join(one.name for one in there)}; keep one of them")
    return there[0] if there else None


def _names(origin: PosteriorsOrigin, matrices: MatrixSet) -> tuple[Path, Sequence[str]]:
    """The names of the columns, and where they stand."""
    beside = origin.place / LABELS
    path = origin.labels or (beside if beside.is_file() else None)
    if path is not None:
        return path, read_names(path)
    if matrices.labels is None:
        said = f"does not name its columns; name them with --labels FILE, in {beside}, or as 'labels' of an .npz"
        raise DataError(matrices.place, [Mistake(0, "", said)])
    return matrices.place, matrices.labels


def _one_alphabet(
    names: Mapping[str, tuple[Path, Sequence[str]]], units: Units, blank: str
) -> tuple[Alphabet, dict[str, list[int]]]:
    """The labels that all splits have, in alphabetical order as those of a transcript are; and of each their columns.

    Raises:
        DataError: A split has other labels.
    """
    alphabet: Alphabet | None = None
    columns = {}
    for split, (place, lines) in names.items():
        found, column = name_columns(place, lines, units, blank)
        order = [column, *(number for number in range(len(lines)) if number != column)]
        column_of = dict(zip(found.labels, order, strict=True))
        alphabet = alphabet or Alphabet(units, ("", *sorted(found.labels[1:])))
        odd = sorted(set(alphabet.labels) ^ set(found.labels))
        if odd:
            said = f"the labels of {split} are not those of dev; only one of them has {odd[:10]}"
            raise DataError(place, [Mistake(0, "", said)])
        columns[split] = [column_of[label] for label in alphabet.labels]
    assert alphabet is not None  # dev is always there
    return alphabet, columns


def _given(campaign: Campaign, split: str, matrices: MatrixSet) -> Given:
    """The matrices of a split, in its order; transcripts of the test set are not looked at.

    Raises:
        DataError: They are not those of the split.
        UserError: The campaign has no such split.
    """
    if split == "test":
        if campaign.data.test is None:
            raise UserError(f"{matrices.place}: campaign {campaign.name} has no test set")
        recordings = SealedSet(campaign.data.test).recordings
        return arrange(replace(matrices, references=None), recordings, str(campaign.data.test))
    manifest = campaign.data.dev if split == "dev" else campaign.data.train
    return arrange(matrices, read_manifest(manifest), str(manifest))


def _frame_seconds(
    campaign: Campaign, found: Survey, declared: float | None, given: Given
) -> tuple[float | None, tuple[str, ...]]:
    """How long a frame lasts by the durations of dev's utterances, None where they are not known; and what is odd.

    Raises:
        UserError: It is declared, and durations say otherwise.
    """
    known = [_seconds(utterance) for utterance in read_manifest(campaign.data.dev)]
    rates = np.array([np.nan if one is None else one for one in known]) / found.lengths
    if np.isnan(rates).all():
        return None, ()
    usual = round(float(np.nanmedian(rates)), 4)
    place = given.matrices.place
    if declared is not None and abs(declared / usual - 1) > _AGREE:
        raise UserError(
            f"--frame-seconds {declared:g}: {place} has a frame every {usual:g} s by the durations of its utterances"
        )
    unlike = [
        f"{name} ({frames} frames for {long:.2f} s)"
        for name, frames, long, rate in zip(given.ids, found.lengths, known, rates, strict=True)
        if long is not None and not 1 / _UNLIKE < rate / usual < _UNLIKE
    ]
    if not unlike:
        return usual, ()
    said = (
        f"{place}: at {usual:g} s a frame, {len(unlike)} utterances have frames that do not go with their durations, "
        f"as if they were padded, or others: {some(unlike)}"
    )
    return usual, (said,)


def _seconds(utterance: Utterance) -> float | None:
    """How long an utterance is, by its manifest or its recording; None where neither says."""
    if utterance.duration is not None or utterance.kind == "features":
        return utterance.duration
    try:
        return duration(utterance.source)
    except ValueError:
        return None
