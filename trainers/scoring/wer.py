"""Word errors by Levenshtein alignment, all three kinds of error weighing the same."""

from collections.abc import Iterable, Mapping, Sequence

from rapidfuzz.distance import Levenshtein

from trainers.artifacts import Hypothesis, Score

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


def score_hypotheses(references: Mapping[str, str], hypotheses: Iterable[Hypothesis]) -> Score:
    """Pooled word errors of the utterances whose references are given; those of others do not count.

    Args:
        references: What was said, by the utterance's id.
        hypotheses: Of these utterances, and perhaps of others.

    Raises:
        KeyError: There is no hypothesis of one of them.
    """
    texts = {hypothesis.id: hypothesis.text for hypothesis in hypotheses}
    return sum((score_pair(reference, texts[name]) for name, reference in references.items()), Score())
