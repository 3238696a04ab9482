"""Several hypotheses of an utterance in one network of words, as NIST's rover aligns them (Fiscus 1997).

The first hypothesis is a network of one word a slot. Each further one is aligned with the network and put into it, one
after another, so that their order matters. A substitution costs 4, a deletion or insertion 3, a word in a slot that may
be empty 1, leaving such a slot empty .001. A pair is preferred to a gap, and of gaps of equal cost an insertion to a
deletion. rover breaks some ties otherwise: it adds in single precision, and one random alignment of three hypotheses in
hundreds differs.

rover aligns recordings piece by piece: it cuts them where the first hypothesis is silent for a second, or has ended,
and the others have a gap of any length. Utterances are aligned as a whole here.
"""

from collections.abc import Sequence
from typing import NamedTuple

SUBSTITUTION, GAP, NULL_PAIR, NULL_GAP = 4000, 3000, 1000, 1  # thousandths: integers add up exactly


class Vote(NamedTuple):
    """What one hypothesis has in a slot.

    Attributes:
        word: The word; empty for none.
        confidence: Between 0 and 1.
        weight: How much the hypothesis counts.
    """

    word: str
    confidence: float
    weight: float


Slot = list[Vote]


class _Cell(NamedTuple):
    """The cheapest alignment that ends here, and the cell before on it."""

    cost: int
    row: int
    column: int


def word_network(
    hypotheses: Sequence[Sequence[tuple[str, float]]], weights: Sequence[float], null_confidence: float
) -> list[Slot]:
    """Align hypotheses with each other.

    Args:
        hypotheses: The words of each, and how sure it is of them.
        weights: How much each counts.
        null_confidence: Confidence of an empty place.

    Returns:
        Slots in the order of speech, each with a vote of every hypothesis in their order; but where a hypothesis adds a
        slot, its word comes before the empty places of those that were there.
    """
    network: list[Slot] = []
    nulls: list[Vote] = []
    for words, weight in zip(hypotheses, weights, strict=True):
        null = Vote("", null_confidence, weight)
        network = _merge(network, [Vote(word, confidence, weight) for word, confidence in words], null, nulls)
        nulls.append(null)
    return network


def _merge(network: Sequence[Slot], votes: Sequence[Vote], null: Vote, nulls: Sequence[Vote]) -> list[Slot]:
    """A network with one more hypothesis: its votes, and its empty place; and the empty places of those before it."""
    table = [[_Cell(GAP * column, 0, column - 1) for column in range(len(votes) + 1)]]
    owners = [-1]  # the slot of each row: a slot has one for each of its different words
    before = [0]
    for number, slot in enumerate(network):
        reached = [min((table[row][column].cost, row) for row in before) for column in range(len(votes) + 1)]
        before = []
        for word in dict.fromkeys(vote.word for vote in slot):
            before.append(len(table))
            table.append(_row(word, votes, reached, len(table)))
            owners.append(number)
    row, column = min(before, key=lambda row: table[row][-1].cost), len(votes)
    merged: list[Slot] = []
    while row or column:
        _, row_before, column_before = table[row][column]
        if row_before == row:
            merged.append([votes[column - 1], *nulls])
        else:
            merged.append([*network[owners[row]], null if column_before == column else votes[column - 1]])
        row, column = row_before, column_before
    return merged[::-1]


def _row(word: str, votes: Sequence[Vote], reached: Sequence[tuple[int, int]], number: int) -> list[_Cell]:
    """The cells of a word of a slot.

    Args:
        word: The word; empty for none.
        votes: What is aligned with the network.
        reached: At every column the least cost before the slot, and its row.
        number: Of this row.
    """
    gap = GAP if word else NULL_GAP
    cells = [_Cell(reached[0][0] + gap, reached[0][1], 0)]
    for column, vote in enumerate(votes, 1):
        pair = reached[column - 1][0] + (0 if vote.word == word else SUBSTITUTION if word else NULL_PAIR)
        delete, insert = reached[column][0] + gap, cells[-1].cost + GAP
        if pair <= min(delete, insert):
            cells.append(_Cell(pair, reached[column - 1][1], column - 1))
        elif delete < insert:
            cells.append(_Cell(delete, reached[column][1], column))
        else:
            cells.append(_Cell(insert, number, column - 1))
    return cells
