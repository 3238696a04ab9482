import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.exchange.log_probabilities import KINDS, as_log_probs, fits, sums

shapes = {"frames": st.integers(1, 6), "labels": st.integers(2, 9), "seed": st.integers(0, 9999)}


def log_probs_of(frames, labels, seed, sharpness=4.0):
    logits = sharpness * np.random.default_rng(seed).standard_normal((frames, labels))
    return logits, logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


@given(**shapes, shift=st.floats(-300, 300))
def test_the_three_kinds_of_one_network_are_the_same_log_probabilities(frames, labels, seed, shift):
    logits, wanted = log_probs_of(frames, labels, seed)
    given_as = {"logits": logits + shift, "log-probs": wanted, "probs": np.exp(wanted)}
    for kind in KINDS:
        found = as_log_probs(given_as[kind], kind)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
        assert fits(sums(given_as[kind], kind)).all()


@given(**shapes)
def test_what_is_normalised_in_single_precision_is_kept_bit_for_bit(frames, labels, seed):
    wanted = log_probs_of(frames, labels, seed)[1].astype(np.float32)
    assert as_log_probs(wanted, "log-probs").tobytes() == wanted.tobytes()


@given(**shapes)
def test_half_precision_is_normalised_again_and_stays_then(frames, labels, seed):
    found = as_log_probs(log_probs_of(frames, labels, seed)[1].astype(np.float16), "log-probs")
    assert np.abs(np.exp(found.astype(np.float64)).sum(axis=1) - 1).max() < 2e-4
    assert as_log_probs(found, "log-probs").tobytes() == found.tobytes()


def test_a_probability_of_zero_has_a_finite_logarithm():
    found = as_log_probs(np.array([[0.0, 1.0], [0.25, 0.75]]), "probs")
    assert found[0, 0] == pytest.approx(np.log(np.finfo(np.float32).tiny))
    np.testing.assert_allclose(found[1], np.log([0.25, 0.75]), rtol=1e-6)


def test_a_frame_that_is_no_distribution_does_not_fit():
    assert fits(sums(np.array([[0.5, 0.5], [0.5, 0.6], [-0.5, 1.5]]), "probs")).tolist() == [True, False, False]
    assert fits(sums(np.log([[0.5, 0.5], [0.5, 0.6]]), "log-probs")).tolist() == [True, False]
    assert not fits(sums(np.array([[1e6, 0.0]]), "log-probs")).any()
    assert fits(sums(np.array([[1e6, -1e6]]), "logits")).all()
