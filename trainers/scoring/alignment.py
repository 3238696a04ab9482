"""Alignments of a hypothesis with its reference, as NIST's sclite makes them.

A substitution costs 4, a deletion or insertion 3, and the cheapest alignment is taken; of equally cheap ones, from the
last word backwards, a pair is preferred to a gap and an insertion to a deletion. So a correct word is worth more gaps
than in Levenshtein's distance (``a b c d e`` recognised as ``d e x y z``: 3 deletions and 3 insertions here, 5
substitutions there), and the errors lie between the distance and 4/3 of it.

A reference may be a network of words (`trainers.scoring.network`): then the cheapest way through it is taken. ``@``
costs a thousandth. sclite adds in single precision, so that with several ``@`` rounding may break its ties otherwise.
"""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from trainers.artifacts import Score
from trainers.scoring.network import NULL, Arc, linear

SUBSTITUTION, GAP, OPTIONAL_GAP = 4000, 3000, 2000  # thousandths: integers add up exactly
NULL_GAP = 1


class Kind(Enum):
    """What became of a word."""

    CORRECT = "C"
    SUBSTITUTION = "S"
    DELETION = "D"
    INSERTION = "I"


class Step(NamedTuple):
    """One column of an alignment.

    Attributes:
        kind: What it is.
        reference: The reference's word; empty for an insertion.
        hypothesis: The hypothesis' word; empty for a deletion, and for an optional word that is missing, which counts
            as correct.
    """

    kind: Kind
    reference: str
    hypothesis: str


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Step]:
    """The cheapest alignment of two sequences of words, or of characters.

    Args:
        reference: What was said.
        hypothesis: What was recognised.
    """
    return align_network(linear(reference), hypothesis)


def align_network(reference: Sequence[Arc], hypothesis: Sequence[str]) -> list[Step]:
    """The cheapest alignment with a way through a network of reference words.

    Args:
        reference: The network, its head first and its end last, the others behind all that come before them.
        hypothesis: What was recognised.
    """
    costs: list[list[int]] = []
    reached: list[list[int]] = []  # cheapest cost before each arc, over the arcs before it
    for arc in reference:
        before = _cheapest([costs[index] for index in arc.before])
        reached.append(before)
        costs.append(_row(arc, before, hypothesis))
    return _trace(reference, hypothesis, costs, reached)


def count(steps: Sequence[Step]) -> Score:
    """The word errors of an alignment."""
    kinds = [step.kind for step in steps]
    substitutions, deletions, insertions = (
        kinds.count(kind) for kind in (Kind.SUBSTITUTION, Kind.DELETION, Kind.INSERTION)
    )
    return Score(substitutions, deletions, insertions, len(kinds) - insertions)


def _cheapest(rows: list[list[int]]) -> list[int]:
    if len(rows) < 2:
        return rows[0] if rows else []
    return [min(column) for column in zip(*rows, strict=True)]


def _gap(arc: Arc) -> int:
    if arc.word == NULL:
        return NULL_GAP
    return OPTIONAL_GAP if arc.optional else GAP


def _row(arc: Arc, before: list[int], hypothesis: Sequence[str]) -> list[int]:
    """Costs of ending at an arc with the first 0, 1, 2 ... words of the hypothesis."""
    if not arc.before:
        return [GAP * index for index in range(len(hypothesis) + 1)]
    if arc.word is None:
        return before
    word, gap = arc.word, _gap(arc)
    cost = before[0] + gap
    row = [cost]
    for index, other in enumerate(hypothesis):
        pair = before[index] if other == word else before[index] + SUBSTITUTION
        deleted, cost = before[index + 1] + gap, cost + GAP
        if deleted < cost:
            cost = deleted
        if pair < cost:
            cost = pair
        row.append(cost)
    return row


def _trace(
    reference: Sequence[Arc], hypothesis: Sequence[str], costs: list[list[int]], reached: list[list[int]]
) -> list[Step]:
    steps: list[Step] = []
    arc, column = len(reference) - 1, len(hypothesis)
    while arc or column:
        here, before = reference[arc], reached[arc]
        if here.word is None and here.before:
            arc = _first(here, costs, column, before[column])
            continue
        cost = costs[arc][column]
        if arc and column:
            other = hypothesis[column - 1]
            pair = before[column - 1] + (0 if other == here.word else SUBSTITUTION)
            if pair == cost:
                steps.append(Step(Kind.CORRECT if other == here.word else Kind.SUBSTITUTION, here.word or "", other))
                column -= 1
                arc = _first(here, costs, column, before[column])
                continue
        if column and cost == costs[arc][column - 1] + GAP:
            column -= 1
            steps.append(Step(Kind.INSERTION, "", hypothesis[column]))
            continue
        if here.word != NULL:
            steps.append(Step(Kind.CORRECT if here.optional else Kind.DELETION, here.word or "", ""))
        arc = _first(here, costs, column, before[column])
    return steps[::-1]


def _first(arc: Arc, costs: list[list[int]], column: int, cost: int) -> int:
    """The first of the arcs before one that costs no more than the cheapest."""
    return next(index for index in arc.before if costs[index][column] == cost)
