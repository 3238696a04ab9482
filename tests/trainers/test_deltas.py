import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.data.deltas import with_deltas


def as_kaldi_computes_them(frames, order):
    """Kaldi's DeltaFeatures: one filter for each order, its taps clamped to the utterance's own frames."""
    parts, scales = [], np.ones(1)
    for level in range(order + 1):
        scales = np.convolve(scales, np.arange(-2, 3) / 10) if level else scales
        reach = len(scales) // 2
        rows = [
            sum(scale * frames[min(max(t + j, 0), len(frames) - 1)] for j, scale in enumerate(scales, -reach))
            for t in range(len(frames))
        ]
        parts.append(np.stack(rows))
    return np.concatenate(parts, axis=1)


@given(count=st.integers(1, 12), order=st.integers(0, 2), seed=st.integers(0, 9))
def test_deltas_are_kaldis(count, order, seed):
    frames = np.random.default_rng(seed).standard_normal((count, 3)).astype(np.float32)
    found = with_deltas(frames, order)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, as_kaldi_computes_them(frames.astype(np.float64), order), atol=1e-6)


@pytest.mark.parametrize("slope", [-1.5, 0.0, 2.0])
def test_the_delta_of_a_line_is_its_slope_and_the_second_is_nought_away_from_the_ends(slope):
    found = with_deltas((slope * np.arange(12, dtype=np.float32))[:, None], 2)
    np.testing.assert_allclose(found[2:-2, 1], slope, atol=1e-6)
    np.testing.assert_allclose(found[4:-4, 2], 0, atol=1e-6)
