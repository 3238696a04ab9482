"""Posteriors that another program made: each matrix found, checked, and turned into our own form."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search_spaces.errors import DataError, Mistake, some
from trainers.artifacts import Utterance
from trainers.data.matrix_sets import MatrixSet
from trainers.emission import write_posteriors
from trainers.exchange.log_probabilities import KINDS, Kind, as_log_probs, fits, sums

TOLD = "posteriors.json"
"""The file in which `orchestrator export-posteriors` says what the posteriors beside it are."""


@dataclass(frozen=True, slots=True)
class Given:
    """The matrices of a split, in the order of its utterances.

    Attributes:
        matrices: Where they lie.
        ids: Of the utterances.
        numbers: Of their matrices in the set.
        notes: What a reader should know of how they were found.
    """

    matrices: MatrixSet
    ids: tuple[str, ...]
    numbers: tuple[int, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known of the matrices of a split once all of them have been looked at.

    Attributes:
        kind: What their values are.
        lengths: Frames of every utterance, (utterances,).
    """

    kind: Kind
    lengths: NDArray[np.int64]


def arrange(matrices: MatrixSet, utterances: Sequence[Utterance], manifest: str) -> Given:
    """Find the matrix of every utterance of a split.

    An id may also be the last part of the manifest's, after the last slash, where that is unambiguous. A set without
    ids is in the order of the manifest.

    Args:
        matrices: The matrices.
        utterances: The split.
        manifest: Its file, for messages.

    Raises:
        DataError: Utterances have no matrix; the message says which, and which matrices no utterance has.
    """
    ids = tuple(utterance.id for utterance in utterances)
    place = matrices.place
    if not matrices.ids:
        if matrices.count != len(ids):
            said = f"has {matrices.count} utterances without ids, and {manifest} has {len(ids)}; add their 'ids'"
            raise DataError(place, [Mistake(0, "", said)])
        _refuse_other_order(matrices, utterances, manifest)
        told = ", as the references say too" if matrices.references is not None else ""
        note = f"{place} has no ids: its utterances are taken in the order of {manifest}{told}"
        return Given(matrices, ids, tuple(range(len(ids))), (note,))
    found = {name: number for number, name in enumerate(matrices.ids)}
    parts = {part: found[whole] for part, whole in _last_parts(matrices.ids).items()}
    short = {whole: part for part, whole in _last_parts(ids).items()}
    numbers = [found.get(name, parts.get(short[name]) if name in short else None) for name in ids]
    missing = [name for name, number in zip(ids, numbers, strict=True) if number is None]
    taken = set(numbers)
    surplus = [name for number, name in enumerate(matrices.ids) if number not in taken]
    if missing:
        said = f"lacks {len(missing)} of the {len(ids)} utterances of {manifest}: {some(missing)}"
        if surplus:
            said += f"; instead it has {some(surplus)}"
        raise DataError(place, [Mistake(0, "", said)])
    notes = (f"{place}: {len(surplus)} utterances are not in {manifest} and left out: {some(surplus)}",)
    chosen = tuple(number for number in numbers if number is not None)
    return Given(matrices, ids, chosen, notes if surplus else ())


def survey(given: Given, columns: int, declared: Kind | None) -> Survey:
    """Look at every matrix: whether it can be used, and what its values are.

    What is declared must be so. Otherwise values are log-probabilities or probabilities where they sum to one in every
    frame, and logits where they do in less than half of them.

    Args:
        given: The matrices.
        columns: How many labels there are.
        declared: What the values are; None finds out.

    Raises:
        DataError: With every utterance that cannot be used and why.
    """
    mistakes: list[Mistake] = []
    lengths: list[int] = []
    frames = 0
    normal = dict.fromkeys(KINDS, 0)
    worst: dict[Kind, list[Mistake]] = {kind: [] for kind in KINDS}
    for name, number in zip(given.ids, given.numbers, strict=True):
        try:
            matrix = given.matrices.read(number)
            if matrix.shape[1] != columns:
                raise ValueError(f"has {matrix.shape[1]} columns, and there are {columns} labels")
        except ValueError as error:
            mistakes.append(Mistake(0, name, str(error)))
            continue
        lengths.append(len(matrix))
        frames += len(matrix)
        for kind in KINDS:
            totals = sums(matrix, kind)
            good = fits(totals)
            normal[kind] += int(good.sum())
            if not good.all():
                frame = int(np.argmin(good))
                worst[kind].append(Mistake(0, name, _wrong_sum(frame, float(totals[frame]))))
    if mistakes:
        raise DataError(given.matrices.place, mistakes)
    kind = declared or _kind(normal, frames)
    if worst[kind]:
        said = f"declared as {kind}" if declared else f"{normal[kind]} of {frames} frames are {kind}, the others not"
        hint = Mistake(0, "", f"{said}; say what they are with --kind {'|'.join(KINDS)}")
        raise DataError(given.matrices.place, [hint, *worst[kind]])
    return Survey(kind, np.array(lengths, np.int64))


def write_split(folder: Path, given: Given, found: Survey, columns: Sequence[int], labels: Sequence[str]) -> None:
    """Write the posteriors of a split into a folder that is made for it.

    Args:
        folder: Where to.
        given: The matrices.
        found: What they are.
        columns: For each label, its column in the matrices.
        labels: Names of the labels, the blank first.
    """
    folder.mkdir()
    offsets = np.concatenate([[0], np.cumsum(found.lengths)])
    write_posteriors(folder, given.ids, offsets, labels, _blocks(given, found.kind, columns))


def _blocks(given: Given, kind: Kind, columns: Sequence[int]) -> Iterator[NDArray[np.float32]]:
    for number in given.numbers:
        yield as_log_probs(given.matrices.read(number), kind)[:, columns]


def _kind(normal: dict[Kind, int], frames: int) -> Kind:
    likeliest = max((kind for kind in KINDS if kind != "logits"), key=lambda kind: normal[kind])
    return likeliest if 2 * normal[likeliest] >= frames else "logits"


def _wrong_sum(frame: int, total: float) -> str:
    if np.isnan(total):
        return f"has a negative value in frame {frame}, counted from 0: no probability"
    return f"sums to {total:.4g} in frame {frame}, counted from 0, and not to 1"


def _last_parts(names: Sequence[str]) -> dict[str, str]:
    """Names by what stands behind their last slash, where no two have the same."""
    parts: dict[str, list[str]] = {}
    for name in names:
        parts.setdefault(name.rpartition("/")[2], []).append(name)
    return {part: many[0] for part, many in parts.items() if len(many) == 1}


def _refuse_other_order(matrices: MatrixSet, utterances: Sequence[Utterance], manifest: str) -> None:
    for number, (said, utterance) in enumerate(zip(matrices.references or (), utterances, strict=False)):
        if " ".join(said.split()) != utterance.text:
            wrong = (
                f"utterance {number} has the reference {said!r}, where {manifest} has {utterance.text!r} "
                f"({utterance.id}): another order, or another set; add their 'ids'"
            )
            raise DataError(matrices.place, [Mistake(0, "", wrong)])
