import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers.checkpoint import load_checkpoint
from trainers.data.sets import load_set
from trainers.emission import emit
from trainers.source import CheckpointSource
from trainers.store import Store
from trainers.teaching.top_posteriors import KIND, TOP, TopPosteriors, condense, expand, top_posteriors

FEW, MANY = TOP + 1, TOP + 30


def frames_of(labels, seed, sharpness=3.0, count=7):
    generator = torch.Generator().manual_seed(seed)
    logits = sharpness * torch.randn(count, labels, generator=generator, dtype=torch.float64)
    return logits.log_softmax(1).float()


def again(log_probs):
    return expand(*condense(log_probs), log_probs.shape[1])


shapes = {
    "labels": st.sampled_from([2, 5, FEW, FEW + 1, MANY, 300]),
    "seed": st.integers(0, 9999),
    "sharpness": st.sampled_from([0.0, 0.1, 3.0, 30.0, 1e4]),
}


@given(**shapes)
def test_frames_that_are_read_back_sum_to_one_and_are_finite(labels, seed, sharpness):
    found = again(frames_of(labels, seed, sharpness))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.exp(found.astype(np.float64)).sum(1), 1.0, atol=2e-6)


@given(**shapes)
def test_the_likeliest_labels_and_the_blank_come_back_exactly_up_to_half_precision(labels, seed, sharpness):
    log_probs = frames_of(labels, seed, sharpness)
    found = again(log_probs)
    best = log_probs[:, 1:].topk(min(TOP, labels - 1), dim=1).indices.numpy() + 1
    columns = np.concatenate([np.zeros((len(best), 1), np.int64), best], 1)
    kept, true = (np.take_along_axis(x, columns, 1) for x in (found, log_probs.numpy()))
    # half a unit in the last of eleven places, and as much for the sum that was made one again
    np.testing.assert_allclose(kept, np.maximum(true, np.finfo(np.float16).min), rtol=2**-11, atol=0.01)


@given(labels=st.integers(2, FEW), seed=st.integers(0, 9999), sharpness=st.sampled_from([0.1, 1.0, 3.0]))
def test_with_few_labels_nothing_is_lost_but_precision(labels, seed, sharpness):
    log_probs = frames_of(labels, seed, sharpness).numpy()
    found = again(torch.from_numpy(log_probs))
    np.testing.assert_allclose(found, log_probs, rtol=2**-11, atol=0.01)
    divergence = (np.exp(log_probs) * (log_probs - found)).sum(1)
    assert divergence.max() < 1e-5


@given(**shapes)
def test_the_order_of_the_labels_stays_that_of_their_likelihood(labels, seed, sharpness):
    log_probs = frames_of(labels, seed, sharpness).numpy()
    found = again(torch.from_numpy(log_probs))
    order = np.argsort(log_probs, axis=1, kind="stable")
    steps = np.diff(np.take_along_axis(found[:, 1:], np.argsort(log_probs[:, 1:], axis=1, kind="stable"), 1), axis=1)
    # labels that were not kept are alike, kept ones may become alike, and none overtakes another
    assert (steps >= -1e-3 * np.abs(found).max()).all()
    sure = np.ptp(np.take_along_axis(log_probs, order[:, -2:], 1), axis=1) > 0.02
    assert (found.argmax(1) == log_probs.argmax(1))[sure].all()


@given(seed=st.integers(0, 9999), sharpness=st.sampled_from([0.1, 3.0]))
def test_the_rest_is_spread_evenly_and_loses_nothing(seed, sharpness):
    log_probs = frames_of(MANY, seed, sharpness).numpy()
    found = again(torch.from_numpy(log_probs))
    for true, frame in zip(log_probs, found, strict=True):
        rest = np.argsort(true[1:])[: MANY - 1 - TOP] + 1
        assert np.ptp(frame[rest]) == 0
        assert np.exp(frame[rest]).sum() == pytest.approx(np.exp(true[rest]).sum(), rel=0.02)


def test_the_blank_is_kept_where_every_other_label_is_likelier():
    logits = torch.linspace(0, -3, MANY).repeat(2, 1)
    logits[:, 0] = -9.0
    log_probs = logits.log_softmax(1)
    assert again(log_probs)[0, 0] == pytest.approx(log_probs[0, 0].item(), rel=2**-11)
    assert 0 not in condense(log_probs)[1]


@pytest.mark.parametrize(("labels", "kind"), [(256, np.uint8), (257, np.uint16)])
def test_the_last_label_keeps_its_number(labels, kind):
    logits = torch.zeros(1, labels)
    logits[0, -1] = 9.0
    log_probs, kept = condense(logits.log_softmax(1))
    assert (kept.dtype, kept[0, 0]) == (kind, labels - 1)
    assert expand(log_probs, kept, labels).argmax() == labels - 1


def test_a_batch_stands_in_the_order_asked_for_with_zeros_behind_its_ends():
    log_probs = frames_of(MANY, 0, count=6)
    top = TopPosteriors("k", ("a", "b", "c"), *condense(log_probs), np.array([0, 1, 3, 6]), MANY)
    found = top.gather(np.array([2, 0]))
    assert found.shape == (2, 3, MANY)
    np.testing.assert_array_equal(found[0], top[2])
    np.testing.assert_array_equal(found[1, :1], top[0])
    assert not found[1, 1:].any()
    assert len(top) == 3


def test_what_a_checkpoint_says_is_kept_under_its_own_kind_and_made_once(trained, at_hand, tmp_path):
    store = Store(tmp_path)
    checkpoint = load_checkpoint(trained.folder)
    features = load_set(store, trained.spec.train, checkpoint.features).features
    trial = at_hand(trained.spec, store)
    source = CheckpointSource(trial, "teacher", checkpoint)
    found = top_posteriors(store, source, "train")
    full, offsets = emit(checkpoint.network(), features)
    np.testing.assert_array_equal(found.offsets, offsets)
    assert found.ids == features.ids
    assert isinstance(found.log_probs, np.memmap)
    for index, name in enumerate(found.ids):
        frames = full[offsets[index] : offsets[index + 1]]
        np.testing.assert_allclose(found[index], frames, rtol=2**-10, atol=0.01, err_msg=name)
    assert store.has(KIND, found.key)
    assert not (tmp_path / "posteriors").exists()
    written = (store.path(KIND, found.key) / "log_probs.npy").stat().st_mtime_ns
    assert top_posteriors(store, source, "train").key == found.key
    assert (store.path(KIND, found.key) / "log_probs.npy").stat().st_mtime_ns == written
    assert top_posteriors(store, CheckpointSource(trial, "another", checkpoint), "train").key != found.key
