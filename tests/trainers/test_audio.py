"""Samples at the rate that is asked for."""

import numpy as np
import pytest
import soundfile

from search_spaces.axes.features import FeatureSettings
from trainers.artifacts import Utterance
from trainers.data.audio import read_audio, sampling_rate
from trainers.data.features import log_mel, read_features


@pytest.fixture
def tone(tmp_path):
    """Write two seconds of some tones at a rate."""

    def write(rate, *frequencies):
        time = np.arange(2 * rate) / rate
        path = tmp_path / f"{rate}.wav"
        sound = sum(0.2 * np.sin(2 * np.pi * frequency * time) for frequency in frequencies)
        soundfile.write(path, sound, rate, subtype="FLOAT")
        return path

    return write


@pytest.mark.parametrize("rate", [22050, 32000, 44100, 48000])
def test_a_higher_rate_is_resampled_to_the_same_sound(tone, rate):
    expected, _ = read_audio(tone(16000, 300, 2500))
    found, at = read_audio(tone(rate, 300, 2500), 16000)
    assert (at, found.dtype) == (16000, np.float32)
    assert len(found) == len(expected)
    middle = slice(1000, -1000)  # the filter reaches over the ends
    np.testing.assert_allclose(found[middle], expected[middle], atol=2e-3)


def test_what_the_lower_rate_cannot_hold_is_gone_and_not_folded_down(tone):
    found, _ = read_audio(tone(48000, 300, 10000), 16000)
    strength = np.abs(np.fft.rfft(found[1000:-1000] * np.hanning(len(found) - 2000)))
    hertz = np.fft.rfftfreq(len(found) - 2000, 1 / 16000)
    assert strength[hertz > 500].max() < 10 ** (-50 / 20) * strength.max()


def test_a_lower_rate_is_refused_with_both(tone):
    with pytest.raises(ValueError, match=r"rate of 8000 Hz, and the model was trained on 16000 Hz: .* above 4000 Hz"):
        read_audio(tone(8000, 300), 16000)


def test_its_own_rate_changes_no_sample(tone):
    path = tone(8000, 300)
    assert sampling_rate(path) == 8000
    assert np.array_equal(read_audio(path)[0], read_audio(path, 8000)[0])


def test_features_of_a_resampled_recording_are_those_of_the_rate_asked_for(tone):
    utterance = Utterance("tone", "GO", tone(48000, 300, 2500), "audio")
    found = read_features(utterance, FeatureSettings(bands=20), 16000)
    expected = log_mel(read_audio(tone(16000, 300, 2500))[0], 16000, 20)
    assert found.shape == expected.shape
    loud = expected[5:-5].max(axis=0) > expected.max() - 6  # the tones' own bands
    np.testing.assert_allclose(found[5:-5][:, loud], expected[5:-5][:, loud], atol=0.01)
