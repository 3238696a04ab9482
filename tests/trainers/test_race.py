"""The test that stops a losing system: what it promises of every list of differences, and how often it errs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.scoring.race import Deficit

differences = st.lists(st.integers(-6, 6), min_size=1, max_size=60)
levels = st.floats(1e-4, 0.5)


@given(differences, st.integers(0, 60))
def test_the_deficits_of_parts_add_up_to_that_of_the_whole(values, cut):
    assert Deficit.of(values[:cut]) + Deficit.of(values[cut:]) == Deficit.of(values)


@given(differences, st.integers(1, 200), levels)
def test_a_system_with_no_more_errors_than_its_rival_has_not_lost(values, more, level):
    values = [-abs(value) for value in values]
    assert not Deficit.of(values).lost(len(values) + more, level)


@given(differences, levels)
def test_nothing_is_decided_by_a_test_when_all_is_decoded(values, level):
    assert not Deficit.of(values).lost(len(values), level)


@given(differences, st.integers(1, 200), levels, levels)
def test_whoever_has_lost_at_one_level_has_lost_at_every_laxer_one(values, more, one, other):
    deficit, whole = Deficit.of(values), len(values) + more
    if deficit.lost(whole, min(one, other)):
        assert deficit.lost(whole, max(one, other))


@given(differences, st.integers(1, 200), levels)
def test_few_utterances_decide_nothing_however_many_errors_they_hold(values, more, level):
    deficit, whole = Deficit.of(values), len(values) + more
    if deficit.lost(whole, level):
        differing = sum(value != 0 for value in values)
        assert differing > whole / len(values) * math.log(1 / level) / 2


@pytest.mark.parametrize("level", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("looks", [16, 300])
def test_equal_systems_are_stopped_as_seldom_as_the_level_says_however_often_one_looks(level, looks):
    rng = np.random.default_rng(1)
    values = np.zeros(300, int)
    values[:60], values[60:120] = 1, -1
    values[120:130], values[130:135] = 1, -2
    assert values.sum() == 0
    ends = np.unique(np.linspace(0, 300, looks + 1).astype(int))[1:]
    stopped = 0
    for _ in range(1000):
        shuffled = rng.permutation(values)
        sums, squares = shuffled.cumsum()[ends - 1], (shuffled**2).cumsum()[ends - 1]
        seen = zip(ends.tolist(), sums.tolist(), squares.tolist(), strict=True)
        stopped += any(Deficit(*one).lost(300, level) for one in seen)
    chance = 3 * math.sqrt(level * (1 - level) / 1000)
    assert level / 5 < stopped / 1000 < level + chance


def test_a_system_that_errs_more_in_every_third_utterance_is_stopped_before_half_of_the_set():
    values = [1, 0, 0] * 100
    assert Deficit.of(values[:150]).lost(300, 0.01)
    assert not Deficit.of(values[:9]).lost(300, 0.01)
