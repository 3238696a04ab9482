import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers.combining import likelihood
from trainers.combining.likelihood import log_likelihoods

LABELS = 4  # the blank and three others


@pytest.fixture(scope="module", autouse=True)
def _built():
    """Without the forward algorithm in C these tests fail, and do not pass by way of numpy."""
    assert likelihood._compiled() is not None


def log_softmax(logits):
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def frames_of(seed, count, sharpness):
    return log_softmax(sharpness * np.random.default_rng(seed).standard_normal((count, LABELS))).astype(np.float32)


def torch_log_likelihood(frames, labels):
    loss = torch.nn.functional.ctc_loss(
        torch.from_numpy(frames).double()[:, None],
        torch.tensor([labels], dtype=torch.int64),
        torch.tensor([len(frames)]),
        torch.tensor([len(labels)]),
        reduction="sum",
    )
    return -float(loss)


sequence = st.lists(st.integers(1, LABELS - 1), max_size=9)
utterance = st.tuples(
    st.integers(0, 2**20), st.integers(1, 12), st.sampled_from([0.0, 1.0, 10.0, 300.0]), st.lists(sequence, max_size=8)
)


@pytest.mark.parametrize("in_c", [True, False])
@given(st.lists(utterance, min_size=1, max_size=5))
def test_likelihoods_are_those_of_torch_s_ctc_loss(in_c, utterances):
    frames = [frames_of(seed, count, sharpness) for seed, count, sharpness, _ in utterances]
    targets = [lists for *_, lists in utterances]
    with pytest.MonkeyPatch.context() as patch:
        if not in_c:
            patch.setattr(likelihood, "_compiled", lambda: None)
        found = log_likelihoods(frames, targets)
    for matrix, lists, values in zip(frames, targets, found, strict=True):
        wanted = [torch_log_likelihood(matrix, labels) for labels in lists]
        assert values.tolist() == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("labels", [[], [1], [1, 1], [1, 2, 1]])
def test_a_likelihood_is_the_sum_over_all_alignments(labels):
    frames = frames_of(3, 4, 1.0)
    total = -np.inf
    for path in itertools.product(range(LABELS), repeat=4):
        spelled = [label for label, _ in itertools.groupby(path) if label]
        if spelled == labels:
            total = np.logaddexp(total, frames[range(4), path].astype(np.float64).sum())
    assert log_likelihoods([frames], [[labels]])[0][0] == pytest.approx(total, abs=1e-12)


def test_the_probabilities_of_all_sequences_sum_to_one():
    every = [labels for length in range(5) for labels in itertools.product(range(1, LABELS), repeat=length)]
    (values,) = log_likelihoods([frames_of(1, 4, 2.0)], [every])
    assert np.logaddexp.reduce(values) == pytest.approx(0, abs=1e-6)


def test_a_sequence_that_needs_more_frames_than_there_are_is_impossible():
    values = log_likelihoods([frames_of(0, 3, 1.0)], [[[1, 1], [1, 2, 3], [1, 1, 2], [1, 2, 3, 1]]])[0]
    assert np.isneginf(values).tolist() == [False, False, True, True]


def test_a_likelihood_too_small_for_a_float_is_computed_all_the_same():
    frames = np.full((100, LABELS), -60.0, np.float32)
    frames[:, 0] = np.log1p(-3 * np.exp(-60.0))
    (values,) = log_likelihoods([frames], [[[], [1], [1, 2] * 25]])
    assert values[2] < -2000
    assert values.tolist() == pytest.approx([torch_log_likelihood(frames, labels) for labels in ([], [1], [1, 2] * 25)])


def test_results_do_not_depend_on_how_utterances_are_batched(monkeypatch):
    rng = np.random.default_rng(5)
    frames = [frames_of(seed, 5 + 3 * seed, 1.0) for seed in range(8)]
    targets = [[rng.integers(1, LABELS, rng.integers(0, 5)).tolist() for _ in range(6)] for _ in frames]
    together = log_likelihoods(frames, targets)
    monkeypatch.setattr(likelihood, "_CELLS", 1)
    for one, other in zip(together, log_likelihoods(frames, targets), strict=True):
        assert one.tolist() == other.tolist()


def test_c_adds_what_numpy_adds(monkeypatch):
    rng = np.random.default_rng(8)
    frames = [frames_of(seed, 30, 3.0) for seed in range(6)]
    targets = [[rng.integers(1, LABELS, rng.integers(0, 12)).tolist() for _ in range(20)] for _ in frames]
    found = log_likelihoods(frames, targets)
    monkeypatch.setattr(likelihood, "_compiled", lambda: None)
    for one, other in zip(found, log_likelihoods(frames, targets), strict=True):
        assert one.tolist() == other.tolist()


def test_the_blank_may_be_another_column():
    frames = frames_of(2, 6, 1.0)
    rolled = np.roll(frames, -1, axis=1)
    (wanted,), (found,) = log_likelihoods([frames], [[[1, 2]]]), log_likelihoods([rolled], [[[0, 1]]], LABELS - 1)
    assert found.tolist() == wanted.tolist()


def test_no_utterances_have_no_likelihoods():
    assert log_likelihoods([], []) == []
