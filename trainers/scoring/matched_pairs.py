"""The matched pairs test of word errors by sentence segments (MAPSSWE), as NIST's sc_stats computes it.

The alignments of two systems with the same references are cut into segments that hold errors and are bounded by two
words that both have right, or by the utterance: errors of different segments then hardly depend on one another. The
differences of the two systems' errors by segment are tested for mean zero (Gillick and Cox 1989):

    Z = mean / (standard deviation / sqrt(segments))

Segments, mean, deviation and Z are those of sc_stats to every digit that it prints. The normal approximation behind p
asks for some tens of segments; of 130 utterances each, 5.6 % of 1,000 pairs of equal systems are called different at
5 % (``python benchmarks/significance.py``).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from search_spaces.errors import ScoringError
from trainers.scoring.alignment import Kind, Step

BOUNDARY = 2  # words that both have right


@dataclass(frozen=True, slots=True)
class MatchedPairs:
    """Outcome of the test.

    Attributes:
        segments: How many segments hold an error of either system.
        mean: Mean difference of errors a segment; below zero where the first system is better.
        deviation: Standard deviation of the differences.
        z: Mean over its standard error; 0 where all differences are the same, as sc_stats has it.
        p: Two-sided probability of such a z or a larger one if the systems were equal.
    """

    segments: int
    mean: float
    deviation: float
    z: float
    p: float


def matched_pairs(
    first: Sequence[Sequence[Step]], second: Sequence[Sequence[Step]], boundary: int = BOUNDARY
) -> MatchedPairs:
    """Test whether two systems make the same number of errors.

    Args:
        first: Alignments of the one system, an utterance each.
        second: Alignments of the other, of the same utterances in the same order.
        boundary: Correct words that end a segment.

    Raises:
        ScoringError: The references of the two differ, by their wordings for one.
        ValueError: One has more utterances than the other.
    """
    differences = [
        one - other
        for steps, others in zip(first, second, strict=True)
        for one, other in segment_errors(steps, others, boundary)
    ]
    count = len(differences)
    mean = sum(differences) / count if count else 0.0
    spread = sum((difference - mean) ** 2 for difference in differences)
    if not spread:
        return MatchedPairs(count, mean, 0.0, 0.0, 1.0)
    deviation = math.sqrt(spread / (count - 1))
    z = mean / (deviation / math.sqrt(count))
    return MatchedPairs(count, mean, deviation, z, math.erfc(abs(z) / math.sqrt(2)))


def segment_errors(
    first: Sequence[Step], second: Sequence[Step], boundary: int = BOUNDARY
) -> Iterator[tuple[int, int]]:
    """Errors of both systems in each segment of an utterance.

    Raises:
        ScoringError: The references differ.
    """
    if [step.reference for step in first if step.kind is not Kind.INSERTION] != [
        step.reference for step in second if step.kind is not Kind.INSERTION
    ]:
        raise ScoringError("two systems are compared by words, and the references of these alignments differ")
    one = other = correct = 0
    for (inserted, wrong), (also_inserted, also_wrong) in zip(_by_word(first), _by_word(second), strict=True):
        one, other = one + inserted + wrong, other + also_inserted + also_wrong
        if wrong or also_wrong:
            correct = 0
        else:
            correct = 1 if inserted or also_inserted else correct + 1
        if correct == boundary and (one or other):
            yield one, other
            one = other = 0
    if one or other:
        yield one, other


def _by_word(steps: Sequence[Step]) -> Iterator[tuple[int, int]]:
    """Words inserted before each reference word, and whether that is wrong; the last for the end of the utterance."""
    inserted = 0
    for step in steps:
        if step.kind is Kind.INSERTION:
            inserted += 1
        else:
            yield inserted, int(step.kind is not Kind.CORRECT)
            inserted = 0
    yield inserted, 0
