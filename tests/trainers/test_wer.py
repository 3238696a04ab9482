import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.errors import ScoringError
from trainers.artifacts import Score
from trainers.scoring.scorer import PLAIN

texts = st.lists(st.sampled_from(["a", "b", "c", "ab"]), max_size=8).map(" ".join)


def distance(left, right):
    """Levenshtein distance, column by column, written without any library."""
    column = list(range(len(left) + 1))
    for j, word in enumerate(right, 1):
        above, column[0] = column[0], j
        for i, other in enumerate(left, 1):
            above, column[i] = column[i], min(column[i] + 1, column[i - 1] + 1, above + (word != other))
    return column[-1]


@pytest.mark.parametrize(
    ("reference", "hypothesis", "substitutions", "deletions", "insertions"),
    [
        ("GO ON NOW", "GO ON NOW", 0, 0, 0),
        ("GO ON NOW", "GO IN NOW", 1, 0, 0),
        ("GO ON NOW", "GO NOW", 0, 1, 0),
        ("GO ON NOW", "GO ON AND NOW", 0, 0, 1),
        ("GO ON NOW", "", 0, 3, 0),
        ("GO", "STOP IT NOW", 1, 0, 2),
        ("A B C D", "B C D E", 0, 1, 1),
        ("GO ON", "  GO \t ON\n", 0, 0, 0),
        ("GO", "go", 1, 0, 0),
        ("é", "e\u0301", 1, 0, 0),
        ("AB", "A B", 1, 0, 1),
    ],
)
def test_hand_made_cases(reference, hypothesis, substitutions, deletions, insertions):
    assert PLAIN.score(reference, hypothesis) == Score(substitutions, deletions, insertions, len(reference.split()))


@given(texts, texts)
def test_errors_are_the_levenshtein_distance_in_words(reference, hypothesis):
    assert PLAIN.score(reference, hypothesis).errors == distance(reference.split(), hypothesis.split())


@given(texts, texts)
def test_counts_add_up_to_the_words_of_both_sides(reference, hypothesis):
    score = PLAIN.score(reference, hypothesis)
    correct = score.words - score.substitutions - score.deletions
    assert correct >= 0
    assert score.words == len(reference.split())
    assert correct + score.substitutions + score.insertions == len(hypothesis.split())


@given(texts, texts)
def test_the_other_way_round_deletions_are_insertions(reference, hypothesis):
    there, back = PLAIN.score(reference, hypothesis), PLAIN.score(hypothesis, reference)
    assert there.errors == back.errors
    assert there.deletions - there.insertions == back.insertions - back.deletions


@given(st.lists(st.tuples(texts, texts), max_size=6))
def test_the_score_of_a_set_is_the_sum_of_its_utterances(pairs):
    total = PLAIN.score_set([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    scores = [PLAIN.score(*pair) for pair in pairs]
    for name in ("substitutions", "deletions", "insertions", "words", "errors"):
        assert getattr(total, name) == sum(getattr(score, name) for score in scores)


def test_the_rate_of_a_set_is_that_of_its_pooled_counts_and_no_mean_of_rates():
    total = PLAIN.score_set(["A", "A B C D E F G H I"], ["B", "A B C D E F G H I"])
    assert total.wer == pytest.approx(10.0)
    assert PLAIN.score("A", "B C D").wer == pytest.approx(300.0)


def test_a_hypothesis_too_few_or_too_many_is_refused():
    for hypotheses in (["A"], ["A", "B", "C"]):
        with pytest.raises(ValueError, match="zip"):
            PLAIN.score_set(["A", "B"], hypotheses)


def test_a_set_without_words_has_no_rate():
    with pytest.raises(ScoringError, match="no word"):
        _ = PLAIN.score_set([], []).wer
