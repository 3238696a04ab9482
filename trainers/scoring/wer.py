"""Word errors by Levenshtein alignment, all three kinds of error weighing the same."""

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from trainers.artifacts import Score


def score_words(reference: Sequence[str], hypothesis: Sequence[str]) -> Score:
    """Errors of one utterance in words, or in characters: whatever stands in the sequences.

    Args:
        reference: What was said.
        hypothesis: What was recognised.
    """
    counts = {"replace": 0, "delete": 0, "insert": 0}
    for operation in Levenshtein.editops(reference, hypothesis):
        counts[operation.tag] += 1
    return Score(counts["replace"], counts["delete"], counts["insert"], len(reference))
