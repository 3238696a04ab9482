import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers.data.warp import random_factors, rescale_time, rescaled_lengths, warp_bands

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=4)


def batch_of(lengths, width=3, padding=0, fill=0.0, seed=0):
    torch.manual_seed(seed)
    block = torch.full((len(lengths), max(lengths) + padding, width), fill)
    for row, length in enumerate(lengths):
        block[row, :length] = torch.randn(length, width)
    return block, torch.tensor(lengths)


@given(LENGTHS)
def test_a_factor_of_one_changes_nothing(lengths):
    frames, sizes = batch_of(lengths)
    assert torch.equal(rescaled_lengths(sizes, torch.ones(len(lengths))), sizes)
    torch.testing.assert_close(rescale_time(frames, sizes, sizes), frames)
    torch.testing.assert_close(warp_bands(frames, torch.ones(len(lengths))), frames)


@given(LENGTHS, st.data())
def test_rescaling_equals_numpys_interpolation_utterance_by_utterance(lengths, data):
    new = data.draw(st.lists(st.integers(1, 20), min_size=len(lengths), max_size=len(lengths)))
    frames, sizes = batch_of(lengths)
    found = rescale_time(frames, sizes, torch.tensor(new))
    assert found.shape == (len(lengths), max(new), 3)
    for row, (old, size) in enumerate(zip(lengths, new, strict=True)):
        position = np.linspace(0, old - 1, size) if size > 1 else np.zeros(1)
        for column in range(3):
            expected = np.interp(position, np.arange(old), frames[row, :old, column])
            np.testing.assert_allclose(found[row, :size, column], expected, atol=1e-5)
        assert not found[row, size:].any()


@given(LENGTHS, st.integers(0, 5))
def test_padding_changes_nothing_whatever_it_holds(lengths, padding):
    new = torch.tensor([length + 2 for length in lengths])
    frames, sizes = batch_of(lengths)
    padded, _ = batch_of(lengths, padding=padding, fill=float("nan"))
    torch.testing.assert_close(rescale_time(padded, sizes, new), rescale_time(frames, sizes, new))


@pytest.mark.parametrize("stack", [1, 2])
def test_bands_move_up_with_a_factor_above_one_and_down_with_one_below(stack):
    features = torch.zeros(2, 4, 10 * stack)
    features[:, :, 5::10] = 1.0
    warped = warp_bands(features, torch.tensor([1.2, 0.8]), stack).reshape(2, 4 * stack, 10)
    assert (warped[0].argmax(dim=-1) == 6).all()
    assert (warped[1].argmax(dim=-1) == 4).all()


def test_factors_stay_within_their_spread_and_fill_it():
    torch.manual_seed(0)
    factors = random_factors(10_000, 0.1)
    assert 0.9 <= factors.min() < 0.905
    assert 1.095 < factors.max() <= 1.1
    assert abs(factors.mean() - 1) < 0.003


def test_no_utterance_vanishes():
    assert rescaled_lengths(torch.tensor([1, 2]), torch.tensor([0.1, 0.1])).tolist() == [1, 1]
