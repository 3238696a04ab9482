"""Word errors by Levenshtein alignment, all three kinds of error weighing the same."""

from collections.abc import Iterable, Sequence

from rapidfuzz.distance import Levenshtein

from trainers.artifacts import Score

SCORER = "levenshtein-1"  # goes into every record: two scorers may count the same hypotheses differently


def score_pair(reference: str, hypothesis: str) -> Score:
    """Word errors of one utterance.

    Words are what stands between white space, compared as they are: no case folding, no normalisation.

    Args:
        reference: What was said.
        hypothesis: What was recognised.
    """
    return score_words(reference.split(), hypothesis.split())


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


def score_set(references: Iterable[str], hypotheses: Iterable[str]) -> Score:
    """Pooled word errors of a set: the sum of its utterances' counts.

    Raises:
        ValueError: There are more references than hypotheses or the other way round.
    """
    pairs = zip(references, hypotheses, strict=True)
    return sum((score_pair(reference, hypothesis) for reference, hypothesis in pairs), Score())
