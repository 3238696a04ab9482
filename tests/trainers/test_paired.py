import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.errors import ScoringError
from trainers.scoring.paired import gain_of_counts, paired_gain
from trainers.scoring.scorer import PLAIN

words = st.lists(st.sampled_from("ABC"), min_size=1, max_size=5).map(" ".join)
triples = st.lists(st.tuples(words, words, words), min_size=2, max_size=12)


@given(triples)
def test_the_gain_is_the_difference_of_the_pooled_rates_and_its_error_that_of_a_ratio_of_sums(rows):
    references, before, after = zip(*rows, strict=True)
    found = paired_gain(references, before, after)
    one, other = PLAIN.score_set(references, before), PLAIN.score_set(references, after)
    assert found.points == pytest.approx(one.wer - other.wer)
    rate = found.points / 100
    residuals = [
        PLAIN.score_set([said], [a]).errors - PLAIN.score_set([said], [b]).errors - rate * len(said.split())
        for said, a, b in rows
    ]
    expected = 100 * math.sqrt(len(rows) * np.var(residuals, ddof=1)) / one.words
    assert found.error == pytest.approx(expected)
    back = paired_gain(references, after, before)
    assert (back.points, back.error) == (pytest.approx(-found.points), pytest.approx(found.error))


def test_errors_that_both_make_cancel():
    references = ["A B", "A", "C C C", "B"]
    same = ["A", "B", "C", "B"]
    found = paired_gain(references, same, same)
    assert (found.points, found.error) == (0, 0)


def test_the_error_is_that_which_resampled_utterances_show():
    rng = np.random.default_rng(0)
    references = ["A B C D"] * 200
    before, after = ([" ".join("ABCD"[: rng.integers(low, 5)]) for _ in references] for low in (1, 2))
    found = paired_gain(references, before, after)
    gains = []
    for _ in range(400):
        chosen = rng.integers(0, 200, 200)
        gains.append(paired_gain(references, *([said[i] for i in chosen] for said in (before, after))).points)
    assert found.error == pytest.approx(np.std(gains), rel=0.15)


def test_one_utterance_shows_no_gain_and_sets_of_other_sizes_are_refused():
    assert paired_gain(["A B"], ["A"], ["A B"]).error == math.inf
    with pytest.raises(ValueError, match="shorter"):
        paired_gain(["A", "B"], ["A", "B"], ["A"])
    with pytest.raises(ScoringError, match="no word"):
        paired_gain(["", ""], ["A", "B"], ["A", "B"])


def test_the_gain_of_texts_is_that_of_their_counts():
    references, before, after = ["A B", "A", "C C C"], ["A", "B", "C C C"], ["A B", "B B", "C"]
    assert paired_gain(references, before, after) == gain_of_counts([1, 1, 0], [0, 2, 2], [2, 1, 3])


def test_counts_over_no_words_are_refused():
    with pytest.raises(ScoringError, match="no word"):
        gain_of_counts([1, 0], [0, 0], [0, 0])
