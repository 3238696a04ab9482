import torch
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.axes.model import ModelSettings
from search_spaces.axes.train import TrainSettings
from trainers.augmentation import augment
from trainers.data.batches import Batch
from trainers.data.labels import frames_needed
from trainers.model.network import EncoderNetwork

OFF = {"time_masks": 0, "feature_masks": 0}


def network(encoder="bilstm"):
    return EncoderNetwork(ModelSettings(encoder=encoder, layers=1, hidden=4), 6, 5)


def batch_of(lengths, labels, seed=0):
    torch.manual_seed(seed)
    features = torch.zeros(len(lengths), max(lengths), 6)
    for row, length in enumerate(lengths):
        features[row, :length] = torch.randn(length, 6)
    flat = torch.tensor([label for target in labels for label in target])
    return Batch(
        torch.arange(len(lengths)).numpy(), features, torch.tensor(lengths), flat, torch.tensor(list(map(len, labels)))
    )


def test_what_is_switched_off_changes_nothing_and_draws_nothing():
    batch, model = batch_of([7, 5], [[1], [2]]), network()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    found = augment(batch, model, TrainSettings(**OFF), 1)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(found.features, batch.features)
    assert found.original_lengths is None


def test_rescaled_utterances_keep_their_words_and_remember_their_lengths():
    batch = batch_of([40, 30], [[1, 2], [3]])
    torch.manual_seed(1)
    found = augment(batch, network(), TrainSettings(**OFF, time_rescale=0.3), 1)
    assert found.lengths.tolist() != [40, 30]
    assert found.original_lengths.tolist() == [40, 30]
    assert found.features.shape[1] == int(found.lengths.max())
    assert torch.equal(found.targets, batch.targets)
    assert not found.features[1, found.lengths[1] :].any()


@given(st.integers(0, 1000), st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=6), min_size=1, max_size=4))
def test_no_utterance_is_made_too_short_for_its_labels(seed, labels):
    lengths = [frames_needed(target) + seed % 3 for target in labels]
    torch.manual_seed(seed)
    found = augment(batch_of(lengths, labels), network(), TrainSettings(**OFF, time_rescale=0.5), 1)
    assert all(int(length) >= frames_needed(target) for length, target in zip(found.lengths, labels, strict=True))


def test_warped_bands_change_the_features_and_not_the_lengths():
    batch = batch_of([7, 5], [[1], [2]])
    torch.manual_seed(1)
    found = augment(batch, network(), TrainSettings(**OFF, band_warp=0.3), 1)
    assert torch.equal(found.lengths, batch.lengths)
    assert not torch.equal(found.features, batch.features)
    assert not found.features[1, 5:].any()
