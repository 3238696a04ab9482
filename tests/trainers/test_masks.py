import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.axes.features import FeatureSettings
from search_spaces.axes.train import TrainSettings
from trainers.data.masks import mask_features


def masked(lengths, frames, bands, blocks=1, seed=0, **options):
    torch.manual_seed(seed)
    features = torch.ones(len(lengths), frames, bands * blocks)
    for row, length in enumerate(lengths):
        features[row, length:] = 0
    settings = TrainSettings(**{"feature_masks": 0, "time_masks": 0, **options})
    return mask_features(features, torch.tensor(lengths), settings, blocks) != 0


def runs(line):
    """Lengths of the stretches of False."""
    text = "".join("x."[bool(value)] for value in line.tolist())
    return [len(run) for run in text.split(".") if run]


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    width=st.integers(0, 12),
    masks=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_feature_masks_are_few_bands_no_wider_than_allowed_and_the_same_in_every_frame(lengths, width, masks, seed):
    kept = masked(lengths, 40, 10, feature_masks=masks, feature_mask_width=width, seed=seed)
    for row, length in enumerate(lengths):
        assert (kept[row, :length] == kept[row, 0]).all()
        found = runs(kept[row, 0])
        assert len(found) <= masks
        assert sum(found) <= masks * min(width, 10)


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    share=st.floats(0, 1),
    masks=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_time_masks_lie_within_the_utterance_and_are_no_longer_than_their_share(lengths, share, masks, seed):
    kept = masked(lengths, 40, 3, time_masks=masks, time_mask_share=share, seed=seed)
    for row, length in enumerate(lengths):
        assert (kept[row] == kept[row, :, :1]).all()
        found = runs(kept[row, :length, 0])
        assert len(found) <= masks
        assert sum(found) <= masks * share * length + 1e-3


@pytest.mark.parametrize("settings", [{"stack": 2}, {"stack": 3}, {"deltas": 2}, {"deltas": 1, "stack": 2}])
def test_a_band_is_masked_in_every_frame_that_was_stacked_and_in_its_deltas(settings):
    blocks = FeatureSettings(**settings).blocks
    kept = masked([9, 9, 9], 9, 8, blocks, feature_masks=2, feature_mask_width=4)
    parts = kept.reshape(3, 9, blocks, 8)
    assert not kept.all()
    assert (parts == parts[:, :, :1]).all()


def test_utterances_of_a_batch_have_masks_of_their_own_and_each_width_and_place_is_drawn():
    kept = masked([100] * 400, 100, 10, feature_masks=1, feature_mask_width=3)
    patterns = {tuple(row[0].tolist()) for row in kept}
    assert {sum(pattern) for pattern in patterns} == {10, 9, 8, 7}
    assert len(patterns) == 1 + 10 + 9 + 8


def test_the_padding_of_a_short_utterance_takes_none_of_its_time_masks():
    kept = masked([100] + [10] * 400, 100, 2, time_masks=1, time_mask_share=0.5)
    hit = [bool(runs(row[:10, 0])) for row in kept[1:]]
    # widths are 0 to 5, each as likely
    assert sum(hit) / 400 == pytest.approx(5 / 6, abs=0.08)


def test_masks_follow_the_seed_and_leave_their_input_alone():
    options = {"feature_masks": 2, "time_masks": 2, "time_mask_share": 0.3}
    assert torch.equal(masked([30, 20], 30, 12, seed=4, **options), masked([30, 20], 30, 12, seed=4, **options))
    assert not torch.equal(masked([30, 20], 30, 12, seed=4, **options), masked([30, 20], 30, 12, seed=5, **options))
    features = torch.ones(2, 30, 12)
    mask_features(features, torch.tensor([30, 20]), TrainSettings())
    assert features.all()


def test_no_masks_change_nothing():
    assert masked([4, 6], 6, 5).sum() == 5 * (4 + 6)
