from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.axes.features import FeatureSettings
from trainers.data.batches import iterate, make_batch, plan_epoch
from trainers.data.features import PackedFeatures

# of all lengths, and so alike that chance decides their order
any_lengths = st.lists(st.integers(1, 60), min_size=1, max_size=40)
like_lengths = st.lists(st.integers(95, 105), min_size=10, max_size=40)
lengths_of = (any_lengths | like_lengths).map(np.array)


def features_of(lengths, width=2, **settings):
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    frames = np.arange(1, offsets[-1] * width + 1, dtype=np.float32).reshape(-1, width)
    neutral = np.zeros((len(lengths), width), np.float32)
    ids = tuple(map(str, range(len(lengths))))
    return PackedFeatures("key", ids, frames, offsets, neutral, neutral + 1, FeatureSettings(**settings))


@given(lengths=lengths_of, frames=st.integers(1, 150) | st.integers(290, 530), seed=st.none() | st.integers(0, 9))
def test_an_epoch_has_every_utterance_once_in_batches_below_the_limit(lengths, frames, seed):
    plan = plan_epoch(lengths, frames, None if seed is None else np.random.default_rng(seed))
    assert sorted(np.concatenate(plan).tolist()) == list(range(len(lengths)))
    for batch in plan:
        # padding included; an utterance that is longer alone
        assert lengths[batch].max() * len(batch) <= frames or len(batch) == 1


@given(lengths=lengths_of, frames=st.integers(60, 300))
def test_without_a_generator_utterances_go_by_length_and_no_batch_could_take_the_next_utterance(lengths, frames):
    plan = plan_epoch(lengths, frames)
    order = np.concatenate(plan)
    assert (np.diff(lengths[order]) >= 0).all()
    for batch, following in pairwise(plan):
        assert lengths[following[0]] * (len(batch) + 1) > frames


def test_the_seed_decides_who_shares_a_batch_and_in_which_order():
    lengths = np.random.default_rng(0).integers(20, 60, 50)
    plans = [[batch.tolist() for batch in plan_epoch(lengths, 300, np.random.default_rng(seed))] for seed in (1, 1, 2)]
    assert plans[0] == plans[1]
    assert {tuple(sorted(batch)) for batch in plans[0]} != {tuple(sorted(batch)) for batch in plans[2]}
    longest = [int(lengths[batch].max()) for batch in plans[0]]
    assert longest != sorted(longest)


def test_utterances_of_similar_length_share_a_batch():
    lengths = np.random.default_rng(0).integers(10, 200, 300)
    plan = plan_epoch(lengths, 2000, np.random.default_rng(1))
    padded = sum(lengths[batch].max() * len(batch) for batch in plan)
    assert padded < 1.1 * lengths.sum()


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6), stack=st.integers(1, 3), data=st.data())
def test_a_batch_holds_its_utterances_and_zeros_behind_them(lengths, stack, data):
    features = features_of(lengths, stack=stack)
    indices = np.array(data.draw(st.permutations(range(len(lengths)))))
    batch = make_batch(features, indices)
    assert batch.features.shape == (len(lengths), max(features.lengths), features.dimensions)
    assert batch.lengths.tolist() == features.lengths[indices].tolist()
    for row, index in enumerate(indices):
        flat = batch.features[row].numpy().reshape(-1, 2)
        assert np.array_equal(flat[: lengths[index]], features.frames[features.offsets[index] :][: lengths[index]])
        assert not flat[lengths[index] :].any()
    assert batch.tokens == 0
    assert batch.targets.tolist() == []


def test_targets_stand_one_after_another_in_the_order_of_the_batch():
    targets = [np.array([1, 2]), np.array([3]), np.array([4, 5, 6])]
    batch = make_batch(features_of([4, 2, 6]), np.array([2, 0]), targets)
    assert batch.targets.tolist() == [4, 5, 6, 1, 2]
    assert batch.target_lengths.tolist() == [3, 2]
    assert batch.tokens == 5
    assert batch.indices.tolist() == [2, 0]


@pytest.mark.parametrize(("subsample", "stack"), [(1, 1), (1, 2), (2, 1), (3, 2)])
def test_a_set_is_read_once_in_batches_whose_limit_counts_the_frames_of_the_file(subsample, stack):
    features = features_of([5, 3, 8, 4, 8, 1], subsample=subsample, stack=stack)
    batches = list(iterate(features, 16))
    assert sorted(np.concatenate([batch.indices for batch in batches]).tolist()) == list(range(6))
    assert all(batch.features.shape[0] * batch.features.shape[1] * subsample * stack <= 16 for batch in batches)
