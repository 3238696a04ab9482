import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.errors import ScoringError
from trainers.artifacts import Score
from trainers.scoring import bootstrap
from trainers.scoring.bootstrap import bootstrap_difference, bootstrap_rate
from trainers.scoring.multiplicity import holm
from trainers.scoring.power import detectable_difference, difference_error, difference_error_of_counts
from trainers.scoring.selection import expected_maximum, measurement_noise, optimism

probabilities = st.lists(st.floats(0, 1), max_size=8)
counts = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 9)), min_size=2, max_size=20)


def drawn(utterances=200, rate=0.2, seed=0):
    rng = np.random.default_rng(seed)
    words = 1 + rng.poisson(5, utterances)
    difficulty = rng.gamma(2.0, 0.5, utterances)
    return [rng.poisson(rate * difficulty * words) for _ in range(3)], words


@given(counts)
@settings(max_examples=40)
def test_swapping_two_systems_mirrors_their_difference(rows):
    first, second, words = zip(*rows, strict=True)
    there = bootstrap_difference(first, second, words, resamples=200)
    back = bootstrap_difference(second, first, words, resamples=200)
    assert (back.points, back.low, back.high) == pytest.approx((-there.points, -there.high, -there.low))
    assert back.p == there.p


@given(counts)
@settings(max_examples=40)
def test_the_rate_is_that_of_pooled_counts_and_lies_where_utterances_allow(rows):
    errors, _, words = zip(*rows, strict=True)
    found = bootstrap_rate(errors, words, resamples=200)
    rates = [100 * one / length for one, length in zip(errors, words, strict=True)]
    assert found.points == pytest.approx(100 * sum(errors) / sum(words))
    assert min(rates) - 1e-9 <= found.low <= found.high <= max(rates) + 1e-9


def test_a_system_does_not_differ_from_itself():
    (errors, *_), words = drawn()
    found = bootstrap_difference(errors, errors, words, resamples=500)
    assert (found.points, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_the_interval_is_that_of_a_loop_over_resamples():
    (one, other, _), words = drawn()
    rng = np.random.default_rng(1)
    values = []
    for _ in range(4000):
        chosen = rng.integers(0, len(words), len(words))
        values.append(100 * (one[chosen].sum() - other[chosen].sum()) / words[chosen].sum())
    found = bootstrap_difference(one, other, words)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=0.25)


def test_memory_is_bounded_by_blocks_of_resamples_that_hold_all(monkeypatch):
    (errors, *_), words = drawn()
    monkeypatch.setattr(bootstrap, "CELLS", 7 * len(words))
    found = bootstrap_rate(errors, words, resamples=2000)
    monkeypatch.undo()
    whole = bootstrap_rate(errors, words, resamples=2000)
    assert (found.low, found.high) == pytest.approx((whole.low, whole.high), abs=0.5)
    assert found.points == whole.points


def test_a_seed_gives_the_same_interval_again():
    (errors, *_), words = drawn()
    assert bootstrap_rate(errors, words, seed=3) == bootstrap_rate(errors, words, seed=3)
    assert bootstrap_rate(errors, words, seed=3) != bootstrap_rate(errors, words, seed=4)


def test_seeds_that_are_the_same_count_as_one_and_seeds_that_differ_widen_the_interval():
    (errors, *_), words = drawn()
    one = bootstrap_rate(errors, words)
    same = bootstrap_rate(np.stack([errors] * 3), words)
    assert (same.points, same.low, same.high) == pytest.approx((one.points, one.low, one.high), abs=0.3)
    apart = bootstrap_rate(np.stack([errors, 2 * errors]), words)
    assert apart.points == pytest.approx(1.5 * one.points)
    assert apart.high - apart.low > 2 * (one.high - one.low)


def test_two_systems_may_have_seeds_of_different_number():
    (one, other, third), words = drawn()
    found = bootstrap_difference(np.stack([one, other]), third, words)
    assert found.points == pytest.approx(100 * ((one + other).sum() / 2 - third.sum()) / words.sum())


def test_few_seeds_vary_as_much_as_their_spread_says():
    words = np.full(4000, 10)
    systems = np.stack([np.full(4000, rate) for rate in (1.0, 2.0, 4.0)])
    found = bootstrap_rate(systems, words, level=0.6827)
    expected = np.std([10, 20, 40], ddof=1) / np.sqrt(3)
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.25)


def test_utterances_of_a_speaker_that_resemble_each_other_widen_the_interval():
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(20), 30)
    words = np.full(600, 8)
    errors = rng.poisson(1.6 * rng.gamma(4, 0.25, 20)[speakers])
    alone = bootstrap_rate(errors, words)
    together = bootstrap_rate(errors, words, [f"speaker {name}" for name in speakers])
    assert together.points == pytest.approx(alone.points)
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_blocks_of_one_utterance_are_utterances():
    (errors, *_), words = drawn(20)
    names = [f"{index:02}" for index in range(20)]
    assert bootstrap_rate(errors, words, names) == bootstrap_rate(errors, words)


def test_resamples_without_a_word_are_left_out():
    found = bootstrap_rate([1, 0, 0, 0], [2, 0, 0, 0], resamples=200)
    assert (found.low, found.high) == (50, 50)


def test_references_without_a_word_are_refused_in_words():
    for call in (lambda: bootstrap_rate([1, 2], [0, 0]), lambda: difference_error([1, 2], [1, 2], [0, 0])):
        with pytest.raises(ScoringError, match="word"):
            call()


def test_two_systems_may_be_scored_with_references_of_other_lengths():
    (one, other, _), words = drawn()
    longer = words + np.arange(len(words)) % 2
    found = bootstrap_difference(one, other, [words, longer])
    assert found.points == pytest.approx(100 * (one.sum() / words.sum() - other.sum() / longer.sum()))
    again = bootstrap_difference(other, one, [longer, words])
    assert (again.points, again.low, again.high) == pytest.approx((-found.points, -found.high, -found.low))
    same = bootstrap_difference(one, other, [words, words])
    assert same == bootstrap_difference(one, other, words)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="broadcast"):
        bootstrap_difference([1, 2], [1, 2], [[1, 2]] * 3)
    with pytest.raises(ValueError, match="dimension"):
        bootstrap_rate([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="2 blocks of 3 utterances"):
        bootstrap_rate([1, 2, 3], [1, 2, 3], ["a", "b"])


@given(probabilities)
def test_corrected_probabilities_keep_their_order_and_never_shrink(found):
    corrected = holm(found)
    assert all(before <= after <= 1 for before, after in zip(found, corrected, strict=True))
    pairs = sorted(zip(found, corrected, strict=True))
    assert [after for _, after in pairs] == sorted(corrected)


@given(probabilities, st.randoms())
def test_a_correction_does_not_depend_on_the_order(found, rng):
    order = list(range(len(found)))
    rng.shuffle(order)
    assert holm([found[index] for index in order]) == [holm(found)[index] for index in order]


def test_holms_own_arithmetic():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.2]) == [0.2]
    with pytest.raises(ValueError, match="probabilities"):
        holm([1.2])


def test_the_error_of_a_difference_is_the_spread_of_its_resamples():
    (one, other, _), words = drawn(300)
    rng = np.random.default_rng(2)
    values = []
    for _ in range(3000):
        chosen = rng.integers(0, len(words), len(words))
        values.append(100 * (one[chosen].sum() - other[chosen].sum()) / words[chosen].sum())
    assert difference_error(one, other, words) == pytest.approx(np.std(values), rel=0.06)


def test_an_4s_test_set_cannot_tell_two_points_apart():
    error = difference_error_of_counts(Score(60, 10, 7, 773))
    assert error == pytest.approx(100 * np.sqrt(2 * 0.0996 * 0.9004 / 773), rel=1e-3)
    assert detectable_difference(error) == pytest.approx(2.802 * error, rel=1e-3)
    assert detectable_difference(error) > 2
    assert difference_error_of_counts(Score(60, 10, 7, 773), correlation=0.5) == pytest.approx(error / np.sqrt(2))


def test_the_expected_largest_of_normal_draws():
    assert expected_maximum(1) == pytest.approx(0, abs=1e-9)
    assert expected_maximum(2) == pytest.approx(1 / np.sqrt(np.pi), abs=1e-9)
    assert expected_maximum(3) == pytest.approx(1.5 / np.sqrt(np.pi), abs=1e-9)
    draws = np.random.default_rng(0).standard_normal((20_000, 50)).max(axis=1)
    assert expected_maximum(50) == pytest.approx(draws.mean(), abs=0.02)


def test_noise_is_what_the_same_trials_show_on_other_sets():
    rng = np.random.default_rng(0)
    words = 1 + rng.poisson(5, 400)

    def rates():
        difficulty = rng.gamma(2.0, 0.5, 400)
        errors = rng.poisson(np.linspace(0.18, 0.22, 20)[:, None] * difficulty * words)
        return errors, 100 * errors.sum(axis=1) / words.sum()

    errors, _ = rates()
    shown = np.stack([rates()[1] for _ in range(300)])
    own = shown - shown.mean(axis=1, keepdims=True)
    expected = np.sqrt(own.var(axis=0, ddof=1).mean() * 20 / 19)
    assert measurement_noise(errors, words) == pytest.approx(expected, rel=0.1)


def test_the_best_of_many_is_corrected_by_as_much_as_it_looks_too_good():
    rng = np.random.default_rng(0)
    naive, corrected = [], []
    for _ in range(600):
        truth = rng.normal(20, 0.5, 50)
        rates = truth + rng.normal(0, 0.5, 50)
        best = rates.argmin()
        naive.append(rates[best] - truth[best])
        corrected.append(naive[-1] + optimism(rates, 0.5))
    assert np.mean(naive) < -0.5
    assert abs(np.mean(corrected)) < 0.1


def test_one_trial_or_no_noise_needs_no_correction():
    assert optimism([20.0], 0.5) == 0
    assert optimism([20.0, 21.0, 22.0], 0) == 0
    assert optimism([20.0, 20.0], 0.5) == pytest.approx(0.5 * expected_maximum(2))


def test_noise_of_a_single_trial_cannot_be_told():
    with pytest.raises(ScoringError, match="two trials"):
        measurement_noise([[1, 2, 3]], [4, 4, 4])
