import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from search_spaces.axes.decoding import DecodingSettings
from trainers.artifacts import Posteriors
from trainers.decoding.adjust import adjust, adjust_set

NEUTRAL = DecodingSettings()
PRIOR = np.array([0.7, 0.2, 0.05, 0.05])

frames = arrays(np.float64, st.tuples(st.integers(1, 6), st.just(4)), elements=st.floats(-12, 3))


def log_softmax(logits):
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


def test_neutral_settings_give_back_the_very_same_array():
    log_probs = log_softmax(np.random.default_rng(0).standard_normal((5, 4)))
    assert adjust(log_probs, NEUTRAL, PRIOR) is log_probs
    posteriors = Posteriors(("a",), log_probs, np.array([0, 5]), ("", "A", "B", "C"))
    assert adjust_set(posteriors, NEUTRAL, PRIOR) is posteriors
    others = DecodingSettings(alpha=2, beta=-3, token_min_logp=-9, unknown_offset=-1, beam_width=7, method="beam")
    assert adjust(log_probs, others) is log_probs


@given(
    logits=frames,
    temperature=st.floats(0.2, 5),
    prior_scale=st.floats(0, 2),
    blank_bias=st.floats(-5, 5),
)
def test_frames_sum_to_one_and_labels_differ_as_the_formula_says(logits, temperature, prior_scale, blank_bias):
    log_probs = log_softmax(logits)
    settings = DecodingSettings(temperature=temperature, prior_scale=prior_scale, blank_bias=blank_bias)
    found = adjust(log_probs, settings, PRIOR).astype(np.float64)
    assert np.logaddexp.reduce(found, axis=1) == pytest.approx(np.zeros(len(found)), abs=1e-5)
    expected = log_probs / temperature - prior_scale * np.log(PRIOR) + blank_bias * np.array([1, 0, 0, 0])
    assert np.diff(found, axis=1) == pytest.approx(np.diff(expected, axis=1), abs=1e-3)


@given(logits=frames, first=st.floats(-3, 3), second=st.floats(-3, 3))
def test_blank_biases_add_up(logits, first, second):
    log_probs = log_softmax(logits)
    twice = adjust(adjust(log_probs, DecodingSettings(blank_bias=first)), DecodingSettings(blank_bias=second))
    assert twice == pytest.approx(adjust(log_probs, DecodingSettings(blank_bias=first + second)), abs=1e-4)


def test_each_setting_moves_what_it_is_named_after():
    log_probs = log_softmax(np.array([[2.0, 1.0, 0.0, -1.0]]))
    hot = adjust(log_probs, DecodingSettings(temperature=100.0))
    assert hot == pytest.approx(np.full((1, 4), -np.log(4)), abs=0.03)
    quiet = adjust(log_probs, DecodingSettings(blank_bias=-50.0))
    assert np.exp(quiet[0, 0]) < 1e-15
    divided = adjust(log_softmax(np.log(PRIOR)[None]), DecodingSettings(prior_scale=1.0), PRIOR)
    assert divided == pytest.approx(np.full((1, 4), -np.log(4)), abs=1e-6)


def test_the_blank_is_the_column_that_the_posteriors_name():
    log_probs = log_softmax(np.zeros((2, 4)))
    posteriors = Posteriors(("a",), log_probs, np.array([0, 2]), ("A", "B", "C", ""), blank=3)
    found = adjust_set(posteriors, DecodingSettings(blank_bias=1.0))
    assert found.log_probs.argmax(axis=1).tolist() == [3, 3]
    assert (found.ids, found.labels, found.blank) == (posteriors.ids, posteriors.labels, 3)


def test_a_prior_scale_without_a_prior_is_refused():
    with pytest.raises(ValueError, match="needs the label prior"):
        adjust(log_softmax(np.zeros((2, 4))), DecodingSettings(prior_scale=0.3))
