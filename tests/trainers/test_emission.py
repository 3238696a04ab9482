import shutil

import numpy as np
import pytest
import torch

from trainers.artifacts import Posteriors
from trainers.checkpoint import load_checkpoint
from trainers.data.batches import make_batch
from trainers.data.sets import load_set
from trainers.emission import emit, load_posteriors, posteriors, posteriors_key


@pytest.fixture
def checkpoint(trained, tmp_path):
    """A copy of the trained checkpoint, to be spoilt."""
    shutil.copytree(trained.folder, tmp_path / "copy")
    return load_checkpoint(tmp_path / "copy")


@pytest.fixture
def dev(store, tiny, checkpoint):
    return load_set(store, tiny.dev, checkpoint.features).features


def test_every_utterance_has_the_posteriors_that_it_would_have_alone_in_the_order_of_the_set(checkpoint, dev):
    network = checkpoint.network()
    log_probs, offsets = emit(network, dev)
    assert offsets.tolist() == [0, *np.cumsum(network.output_lengths(dev.lengths))]
    for index in range(len(dev.ids)):
        batch = make_batch(dev, np.array([index]))
        with torch.no_grad():
            alone, _ = network(batch.features, batch.lengths)
        np.testing.assert_allclose(log_probs[offsets[index] : offsets[index + 1]], alone[0].numpy(), atol=1e-5)


def test_posteriors_are_normalised_logarithms(store, checkpoint, dev):
    _, found = posteriors(store, "key", checkpoint, dev)
    assert found.log_probs.dtype == np.float32
    np.testing.assert_allclose(np.exp(found.log_probs.astype(np.float64)).sum(1), 1, atol=1e-5)


def test_posteriors_are_computed_once_and_come_back_whole(store, checkpoint, dev):
    name, first = posteriors(store, "key", checkpoint, dev)
    (checkpoint.folder / "model.safetensors").unlink()
    again, second = posteriors(store, "key", checkpoint, dev)
    assert again == name == posteriors_key("key", dev)
    assert second.ids == first.ids == dev.ids
    assert second.labels == checkpoint.alphabet.labels
    assert second.blank == 0
    assert np.array_equal(second.log_probs, first.log_probs)
    assert np.array_equal(second.offsets, first.offsets)
    assert isinstance(load_posteriors(store.path("posteriors", name)).log_probs, np.memmap)


def test_another_checkpoint_or_another_set_has_other_posteriors(store, tiny, checkpoint, dev):
    train = load_set(store, tiny.train, checkpoint.features).features
    assert len({posteriors_key("key", dev), posteriors_key("other", dev), posteriors_key("key", train)}) == 3


def test_no_two_ways_of_reading_one_packed_file_share_posteriors(store, tiny, checkpoint):
    changes = ({}, {"normalise": "none"}, {"stack": 2}, {"subsample": 2}, {"deltas": 1}, {"deltas": 2})
    read = [load_set(store, tiny.dev, checkpoint.features.model_copy(update=change)).features for change in changes]
    assert len({features.key for features in read}) == 1
    assert len({posteriors_key("key", features) for features in read}) == len(changes)


def test_posteriors_are_cut_by_utterance():
    log_probs = np.arange(12, dtype=np.float32).reshape(6, 2)
    found = Posteriors(("a", "b", "c"), log_probs, np.array([0, 2, 2, 6]), ("", "x"))
    assert len(found) == 3
    assert [part.tolist() for part in found] == [[[0, 1], [2, 3]], [], [[4, 5], [6, 7], [8, 9], [10, 11]]]
    assert np.array_equal(found[2], log_probs[2:])
