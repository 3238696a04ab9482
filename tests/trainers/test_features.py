import shutil

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.axes.features import FeatureSettings
from search_spaces.errors import DataError
from trainers.artifacts import Utterance
from trainers.data.batches import make_batch
from trainers.data.deltas import with_deltas
from trainers.data.features import PackedFeatures, features_key, log_mel, pack, read_features
from trainers.data.manifest import read_manifest
from trainers.data.warp import warp_bands

RATE = 8000
SPEAKERS = ("anna", "ben", "anna", "ben", None, None)


@pytest.fixture(scope="module")
def audio(tmp_path_factory, write_manifest):
    """Six utterances, four of them of two speakers; WAV and FLAC, one in stereo."""
    folder = tmp_path_factory.mktemp("audio")
    (folder / "audio").mkdir()
    rng = np.random.default_rng(3)
    entries = []
    for number, speaker in enumerate(SPEAKERS):
        time = np.arange(int(RATE * (0.1 + 0.07 * number))) / RATE
        # louder and louder, so that no band stands still
        samples = (0.05 + time) * np.sin(2 * np.pi * 300 * (number + 1) * time)
        samples += 0.02 * rng.standard_normal(len(time))
        name = f"audio/{number}.{'flac' if number % 2 else 'wav'}"
        soundfile.write(folder / name, np.stack([samples, 0.5 * samples], 1) if number == 2 else samples, RATE)
        entries.append({"audio_filepath": name, "text": "GO", **({"speaker": speaker} if speaker else {})})
    return write_manifest(folder / "set.jsonl", entries)


@pytest.fixture
def stored(tmp_path, write_manifest):
    """A manifest of feature files that holds these arrays."""

    def writer(*arrays, speakers=None, kind="npy"):
        entries = []
        for number, array in enumerate(arrays):
            if kind == "npy":
                np.save(tmp_path / f"{number}.npy", array)
            else:
                np.savez(tmp_path / f"{number}.npz", features=array, other=np.zeros(2))
            entries.append({"feature_filepath": f"{number}.{kind}", "text": "GO"})
            entries[-1] |= {"speaker": speakers[number]} if speakers else {}
        return write_manifest(tmp_path / "set.jsonl", entries)

    return writer


def packed(store, manifest, **settings):
    return pack(store, manifest, read_manifest(manifest), FeatureSettings(**settings))


def rows(features, index, extra=0):
    """What the network would read of an utterance."""
    out = np.zeros((int(features.lengths[index]) + extra, features.dimensions), np.float32)
    features.write(index, out)
    return out


@pytest.mark.parametrize("normalise", ["none", "utterance", "speaker"])
def test_packed_features_are_those_computed_one_by_one(store, audio, normalise):
    utterances = read_manifest(audio)
    features = packed(store, audio, normalise=normalise)
    alone = [read_features(utterance, FeatureSettings()) for utterance in utterances]
    assert features.ids == tuple(utterance.id for utterance in utterances)
    assert features.lengths.tolist() == [len(frames) for frames in alone]
    for index, frames in enumerate(alone):
        group = [index]
        if normalise == "speaker" and SPEAKERS[index]:
            group = [other for other, speaker in enumerate(SPEAKERS) if speaker == SPEAKERS[index]]
        pool = np.concatenate([alone[other] for other in group]).astype(np.float64)
        expected = frames if normalise == "none" else (frames - pool.mean(0)) / pool.std(0)
        np.testing.assert_allclose(rows(features, index), expected, atol=2e-4)
    if normalise == "none":
        assert np.array_equal(features.frames, np.concatenate(alone))


@pytest.mark.parametrize("stack", [1, 3])
@pytest.mark.parametrize(
    ("normalise", "groups"), [("utterance", [[0], [1], [2], [3], [4], [5]]), ("speaker", [[0, 2], [1, 3], [4], [5]])]
)
def test_normalised_frames_of_a_group_have_mean_zero_and_variance_one(store, audio, normalise, groups, stack):
    features = packed(store, audio, normalise=normalise, stack=stack)
    frames = np.diff(features.offsets)
    for group in groups:
        pool = np.concatenate([rows(features, i).reshape(-1, 40)[: frames[i]] for i in group])
        np.testing.assert_allclose(pool.mean(0), 0, atol=1e-3)
        np.testing.assert_allclose(pool.var(0), 1, atol=1e-3)


def test_a_dimension_that_never_changes_becomes_zero_and_not_noise(store, stored):
    array = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
    array[:, 1] = 7.3
    found = rows(packed(store, stored(array), kind="stored", normalise="utterance"), 0)
    assert np.isfinite(found).all()
    assert np.abs(found[:, 1]).max() < 1e-2


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    stack=st.integers(1, 5),
    width=st.integers(1, 3),
    extra=st.integers(0, 2),
)
def test_stacking_lays_neighbouring_frames_side_by_side_and_fills_up_with_zeros(lengths, stack, width, extra):
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    frames = np.arange(1, offsets[-1] * width + 1, dtype=np.float32).reshape(-1, width)
    neutral = np.zeros((len(lengths), width), np.float32)
    settings = FeatureSettings(stack=stack)
    features = PackedFeatures("key", ("x",) * len(lengths), frames, offsets, neutral, neutral + 1, settings)
    assert features.dimensions == width * stack
    for index, length in enumerate(lengths):
        found = rows(features, index, extra)
        assert len(found) == -(-length // stack) + extra
        flat = found.reshape(-1, width)
        assert np.array_equal(flat[:length], frames[offsets[index] : offsets[index + 1]])
        assert not flat[length:].any()


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    deltas=st.integers(0, 2),
    subsample=st.integers(1, 4),
    stack=st.integers(1, 3),
    extra=st.integers(0, 2),
)
def test_deltas_come_before_subsampling_and_that_before_stacking(lengths, deltas, subsample, stack, extra):
    rng = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    frames = rng.standard_normal((offsets[-1], 2)).astype(np.float32)
    mean, scale = (rng.uniform(1, 2, (len(lengths), 2)).astype(np.float32) for _ in range(2))
    settings = FeatureSettings(deltas=deltas, subsample=subsample, stack=stack)
    features = PackedFeatures("key", ("x",) * len(lengths), frames, offsets, mean, scale, settings)
    assert features.dimensions == 2 * settings.blocks
    for index in range(len(lengths)):
        normal = (frames[offsets[index] : offsets[index + 1]] - mean[index]) * scale[index]
        expected = with_deltas(normal, deltas)[::subsample]
        found = rows(features, index, extra)
        assert len(found) == -(-len(expected) // stack) + extra
        flat = found.reshape(-1, 2 * (1 + deltas))
        np.testing.assert_allclose(flat[: len(expected)], expected, atol=1e-6)
        assert not flat[len(expected) :].any()


def test_a_band_its_slopes_and_its_stacked_neighbours_are_warped_alike(store, audio):
    features = packed(store, audio, deltas=1, stack=2)
    whole = make_batch(features, np.array([5])).features
    factors = torch.tensor([1.1])
    warped = warp_bands(whole, factors, features.settings.blocks).reshape(1, -1, 4, 40)
    for number, part in enumerate(whole.reshape(1, -1, 4, 40).unbind(2)):
        torch.testing.assert_close(warped[:, :, number], warp_bands(part, factors))


@pytest.mark.parametrize("kind", ["npy", "npz"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int16])
def test_stored_features_are_used_as_they_are(store, stored, kind, dtype):
    arrays = [np.arange(12).reshape(4, 3).astype(dtype), np.arange(6).reshape(2, 3).astype(dtype)]
    features = packed(store, stored(*arrays, kind=kind), kind="stored", normalise="none")
    assert features.frames.dtype == np.float32
    assert np.array_equal(features.frames, np.concatenate(arrays).astype(np.float32))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([[1.0, np.nan]]), "holds NaN or infinity"),
        (np.array([[np.inf, 1.0]]), "holds NaN or infinity"),
        (np.zeros(3), "shape (frames, dimensions); has float64 (3,)"),
        (np.zeros((0, 2)), "has float64 (0, 2)"),
        (np.zeros((2, 2), complex), "has complex128 (2, 2)"),
        (np.array([["a", "b"]]), "has <U1 (1, 2)"),
        (np.zeros((2, 5)), "has 5 dimensions where the first has 2"),
    ],
)
def test_a_feature_file_that_cannot_be_used_is_refused_with_its_line_and_why(store, stored, array, words):
    with pytest.raises(DataError) as caught:
        packed(store, stored(np.ones((3, 2)), array), kind="stored")
    (mistake,) = caught.value.mistakes
    assert mistake.line == 2
    assert "1.npy" in mistake.message
    assert words in mistake.message


def test_a_feature_file_runs_no_code_and_needs_its_array_by_name(store, stored, tmp_path):
    manifest = stored(np.ones((3, 2)), np.ones((3, 2)), np.ones((3, 2)))
    np.save(tmp_path / "0.npy", np.array([{"a": 1}]), allow_pickle=True)
    with (tmp_path / "1.npy").open("wb") as file:
        np.savez(file, wrong=np.ones((3, 2)))
    (tmp_path / "2.npy").write_bytes(b"no array at all")
    with pytest.raises(DataError) as caught:
        packed(store, manifest, kind="stored")
    messages = [mistake.message for mistake in caught.value.mistakes]
    assert all(part in text for part, text in zip(["pickle", "'features'", "cannot be read"], messages, strict=True))
    assert [mistake.line for mistake in caught.value.mistakes] == [1, 2, 3]


@pytest.mark.parametrize(
    ("samples", "words"),
    [(np.zeros(100), "is too short: 12 ms; a frame takes 25 ms"), (np.full(800, np.nan), "holds NaN or infinity")],
)
def test_a_recording_that_cannot_be_used_is_refused_with_its_line_and_why(
    store, tmp_path, write_manifest, samples, words
):
    soundfile.write(tmp_path / "good.wav", np.zeros(800), RATE)
    soundfile.write(tmp_path / "bad.wav", samples, RATE, subtype="FLOAT")
    entries = [{"audio_filepath": f"{name}.wav", "text": "GO"} for name in ("good", "bad")]
    with pytest.raises(DataError) as caught:
        packed(store, write_manifest(tmp_path / "set.jsonl", entries))
    (mistake,) = caught.value.mistakes
    assert mistake.line == 2
    assert words in mistake.message


def test_random_bytes_named_flac_are_refused_with_their_line(store, tmp_path, write_manifest):
    soundfile.write(tmp_path / "good.flac", np.zeros(800), RATE)
    (tmp_path / "bad.flac").write_bytes(np.random.default_rng(0).bytes(5000))
    entries = [{"audio_filepath": f"{name}.flac", "text": "GO"} for name in ("good", "bad")]
    with pytest.raises(DataError, match=r"line 2: .*bad\.flac cannot be read as audio"):
        packed(store, write_manifest(tmp_path / "set.jsonl", entries))


@pytest.mark.parametrize(("kind", "key"), [("stored", "audio_filepath"), ("logmel", "feature_filepath")])
def test_files_of_the_other_kind_are_refused(store, stored, audio, kind, key):
    manifest = audio if kind == "stored" else stored(np.ones((3, 2)))
    with pytest.raises(DataError, match=rf"{key}: does not go with features\.kind: {kind}"):
        packed(store, manifest, kind=kind)


def test_the_key_depends_on_what_is_computed_and_not_on_where_the_files_lie(audio, tmp_path):
    def key(manifest, **settings):
        return features_key(read_manifest(manifest), FeatureSettings(**settings))

    shutil.copytree(audio.parent, tmp_path / "copy")
    copy = tmp_path / "copy/set.jsonl"
    assert key(copy) == key(audio)
    # these are applied when the file is read
    assert key(audio, normalise="none", stack=4, deltas=2, subsample=3) == key(audio)
    assert key(audio, bands=20) != key(audio)
    (tmp_path / "copy/audio/0.wav").write_bytes((audio.parent / "audio/4.wav").read_bytes())
    assert key(copy) != key(audio)


def test_a_second_call_maps_what_the_first_computed(store, audio):
    utterances = read_manifest(audio)
    calls = []
    first = pack(store, audio, utterances, FeatureSettings(), lambda done, total: calls.append((done, total)))
    assert calls == [(done, 6) for done in range(1, 7)]
    before = (store.path("features", first.key) / "frames.npy").stat().st_mtime_ns
    second = pack(
        store, audio, utterances, FeatureSettings(stack=2, normalise="none"), lambda *_: calls.append("again")
    )
    assert len(calls) == 6
    assert (store.path("features", second.key) / "frames.npy").stat().st_mtime_ns == before
    assert isinstance(second.frames, np.memmap)
    assert np.array_equal(first.frames, second.frames)


def test_only_what_is_read_later_lies_in_the_store(store, audio):
    folder = store.path("features", packed(store, audio).key)
    assert sorted(path.name for path in folder.iterdir()) == ["frames.npy", "index.json", "moments.npy"]


def test_one_frame_comes_every_ten_milliseconds_from_windows_of_twenty_five():
    for samples in (200, 279, 280, 8000):
        assert log_mel(np.zeros(samples, np.float32), RATE, 40).shape == (1 + (samples - 200) // 80, 40)
    assert log_mel(np.zeros(199, np.float32), RATE, 40).shape == (0, 40)


def test_a_tone_is_loudest_in_the_band_around_its_frequency():
    edges = np.linspace(*(1127 * np.log1p(np.array([20, RATE / 2]) / 700)), 42)
    time = np.arange(RATE // 2) / RATE
    for frequency in (300, 900, 2500):
        loudest = log_mel(np.sin(2 * np.pi * frequency * time).astype(np.float32), RATE, 40).mean(0).argmax()
        mel = 1127 * np.log1p(frequency / 700)
        assert edges[loudest] <= mel <= edges[loudest + 2]


def test_channels_are_averaged(tmp_path):
    rng = np.random.default_rng(0)
    channels = (0.1 * rng.standard_normal((4000, 2))).astype(np.float32)
    soundfile.write(tmp_path / "stereo.wav", channels, RATE, subtype="FLOAT")
    utterance = Utterance("stereo", "GO", tmp_path / "stereo.wav", "audio")
    found = read_features(utterance, FeatureSettings(bands=20))
    np.testing.assert_allclose(found, log_mel(channels.mean(1), RATE, 20), atol=1e-5)


def test_twice_the_amplitude_adds_the_logarithm_of_four():
    samples = (0.1 * np.random.default_rng(0).standard_normal(4000)).astype(np.float32)
    difference = log_mel(2 * samples, RATE, 40) - log_mel(samples, RATE, 40)
    np.testing.assert_allclose(difference, np.log(4), atol=1e-3)


def test_silence_is_finite():
    assert np.isfinite(log_mel(np.zeros(4000, np.float32), RATE, 40)).all()


def test_an_utterance_in_a_batch_is_what_it_is_alone(store, audio):
    features = packed(store, audio, stack=2)
    batch = make_batch(features, np.array([4, 0, 3]))
    for row, index in enumerate([4, 0, 3]):
        found = batch.features[row].numpy()
        assert np.array_equal(found[: features.lengths[index]], rows(features, index))
        assert not found[features.lengths[index] :].any()


def test_recordings_of_several_sampling_rates_are_refused_with_their_lines_and_rates(store, tmp_path, write_manifest):
    for name, rate in (("a", 16000), ("b", 16000), ("c", 8000)):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(rate), rate)
    entries = [{"audio_filepath": f"{name}.wav", "text": "GO"} for name in "abc"]
    manifest = write_manifest(tmp_path / "set.jsonl", entries)
    with pytest.raises(DataError, match=r"line 3: .*c\.wav has .* of 8000 Hz where the first has 16000 Hz"):
        packed(store, manifest)
    manifest = write_manifest(tmp_path / "set.jsonl", entries[:2])
    assert [packed(store, manifest).rate for _ in range(2)] == [16000, 16000]


def test_stored_features_have_no_sampling_rate(store, stored):
    assert packed(store, stored(np.ones((3, 2))), kind="stored").rate is None
