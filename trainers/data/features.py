"""Features of one utterance, and the packed file that holds those of a set.

The packed file is one array of all frames, mapped into memory, beside the sums that normalisation needs: a set is
larger than memory may be, and every study of a campaign reads the same file.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import kaldi_native_fbank as knf
import numpy as np
from numpy.typing import NDArray

from search_spaces.axes.features import FeatureSettings
from search_spaces.errors import DataError, Mistake
from trainers.artifacts import Utterance
from trainers.data.audio import read_audio, sampling_rate
from trainers.data.deltas import with_deltas
from trainers.data.manifest import fingerprint
from trainers.data.matrices import read_matrix
from trainers.store import Store, digest

FRAME_SECONDS = 0.010
WINDOW_SECONDS = 0.025
_FORMAT = 2  # of the packed file; a change makes every file anew
_FLOOR = 1e-2  # smallest standard deviation: a silent band must not be blown up to noise

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class PackedFeatures:
    """The features of a set.

    Attributes:
        key: Key of the entry in the store.
        ids: Utterance ids in the order of the manifest.
        frames: (frames of all utterances, dimensions), float32, mapped into memory; not normalised.
        offsets: Utterance i owns the rows ``offsets[i]`` to ``offsets[i + 1]``; int64.
        mean: Mean to take from each utterance, (utterances, dimensions), float32.
        scale: Factor for each utterance, one over its standard deviation, (utterances, dimensions), float32.
        settings: How they are read.
        rate: Sampling rate in Hz of all the recordings; None for stored features.
    """

    key: str
    ids: tuple[str, ...]
    frames: NDArray[np.float32]
    offsets: NDArray[np.int64]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    settings: FeatureSettings
    rate: int | None = None

    @property
    def dimensions(self) -> int:
        """Width of one frame as the network sees it."""
        return int(self.frames.shape[1]) * self.settings.blocks

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Frames of each utterance as the network sees them, (utterances,)."""
        kept = -(-np.diff(self.offsets) // self.settings.subsample)
        return -(-kept // self.settings.stack)

    def write(self, index: int, out: NDArray[np.float32]) -> None:
        """Write one utterance, normalised, with deltas, subsampled and stacked, into zeroed rows.

        Args:
            index: Which utterance.
            out: (at least its frames, dimensions), float32; the rows behind its last frame stay as they are.
        """
        raw = self.frames[self.offsets[index] : self.offsets[index + 1]]
        every, order = self.settings.subsample, self.settings.deltas
        if order == 0:
            raw = raw[::every]
            flat = out.reshape(-1, raw.shape[1])[: len(raw)]
            np.subtract(raw, self.mean[index], out=flat)
            flat *= self.scale[index]
        else:
            # slopes are those of the speech, not of the frames that are kept
            wide = with_deltas((raw - self.mean[index]) * self.scale[index], order)[::every]
            out.reshape(-1, wide.shape[1])[: len(wide)] = wide


def log_mel(samples: NDArray[np.float32], rate: int, bands: int) -> NDArray[np.float32]:
    """Log-mel filterbank energies as Kaldi computes them, without dither.

    Args:
        samples: (samples,), float32 in -1 to 1.
        rate: Sampling rate in Hz.
        bands: Mel bands between 20 Hz and half the rate.

    Returns:
        (frames, bands), float32, one frame every 10 ms from windows of 25 ms.
    """
    options = knf.FbankOptions()
    options.frame_opts.samp_freq = rate
    options.frame_opts.dither = 0.0
    options.frame_opts.frame_shift_ms = 1000 * FRAME_SECONDS
    options.frame_opts.frame_length_ms = 1000 * WINDOW_SECONDS
    options.mel_opts.num_bins = bands
    bank = knf.OnlineFbank(options)
    # Kaldi works on the scale of 16-bit samples; on it, the floor of the logarithm lies below any real recording
    bank.accept_waveform(rate, (samples * 32768.0).tolist())
    bank.input_finished()
    rows = [bank.get_frame(i) for i in range(bank.num_frames_ready)]
    return np.stack(rows).astype(np.float32) if rows else np.zeros((0, bands), np.float32)


def read_features(utterance: Utterance, settings: FeatureSettings, rate: int | None = None) -> NDArray[np.float32]:
    """Features of one utterance, (frames, dimensions), float32, not normalised.

    Args:
        utterance: Where they are, or its recording.
        settings: Which features.
        rate: Sampling rate in Hz that a recording is read at, see `read_audio`; None reads it at its own.

    Raises:
        ValueError: The file cannot be used; the text says why.
    """
    if utterance.kind == "features":
        return read_matrix(utterance)
    samples, read_at = read_audio(utterance.source, rate)
    frames = log_mel(samples, read_at, settings.bands)
    if not len(frames):
        raise ValueError(f"is too short: {len(samples) / read_at * 1000:.0f} ms; a frame takes 25 ms")
    return frames


def features_key(utterances: tuple[Utterance, ...], settings: FeatureSettings, content: str = "") -> str:
    """Key of the packed file of a set: what it is computed from, not where that lies.

    Args:
        utterances: The set.
        settings: Which features.
        content: The set's fingerprint; computed from its files, every one of them, if it is not given.
    """
    kind = [settings.kind, settings.bands] if settings.kind == "logmel" else [settings.kind]
    return digest([_FORMAT, content or fingerprint(utterances), kind])


def pack(
    store: Store,
    manifest: Path,
    utterances: tuple[Utterance, ...],
    settings: FeatureSettings,
    progress: Progress = lambda done, total: None,
    content: str = "",
) -> PackedFeatures:
    """The features of a set, computed once and then mapped.

    Args:
        store: Where the packed file lives.
        manifest: The file the set was read from, for messages.
        utterances: The set.
        settings: Which features.
        progress: Called with the utterances done and all of them while the file is computed.
        content: The set's fingerprint if it is known.

    Raises:
        DataError: With every utterance that cannot be used and why.
    """
    wanted = "audio" if settings.kind == "logmel" else "features"
    if utterances[0].kind != wanted:
        key = "audio_filepath" if wanted == "features" else "feature_filepath"
        raise DataError(manifest, [Mistake(0, key, f"does not go with features.kind: {settings.kind}")])

    def make(folder: Path) -> None:
        _write(folder, manifest, utterances, settings, progress)

    key = features_key(utterances, settings, content)
    folder = store.entry("features", key, make)
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    moments = np.load(folder / "moments.npy")
    offsets = np.array(index["offsets"], np.int64)
    mean, scale = _normalisation(settings.normalise, utterances, moments, np.diff(offsets))
    frames = np.load(folder / "frames.npy", mmap_mode="r")
    return PackedFeatures(key, tuple(index["ids"]), frames, offsets, mean, scale, settings, index["rate"])


def pack_in_memory(
    utterances: Sequence[Utterance], matrices: Sequence[NDArray[np.float32]], settings: FeatureSettings
) -> PackedFeatures:
    """Features that were read already, as a set that nothing is kept of; its key is empty.

    Args:
        utterances: At least one; a speaker's are normalised together if the settings say so.
        matrices: Features of each, (frames, dimensions), not normalised.
        settings: How they are read.
    """
    offsets = np.concatenate([[0], np.cumsum([len(matrix) for matrix in matrices])]).astype(np.int64)
    moments = np.stack([_moments(matrix) for matrix in matrices])
    mean, scale = _normalisation(settings.normalise, tuple(utterances), moments, np.diff(offsets))
    ids = tuple(utterance.id for utterance in utterances)
    return PackedFeatures("", ids, np.concatenate(matrices), offsets, mean, scale, settings)


def _moments(frames: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sums and sums of squares over the frames, (2, dimensions)."""
    wide = frames.astype(np.float64)
    return np.stack([wide.sum(0), (wide * wide).sum(0)])


def _write(
    folder: Path, manifest: Path, utterances: tuple[Utterance, ...], settings: FeatureSettings, progress: Progress
) -> None:
    mistakes: list[Mistake] = []
    offsets = [0]
    moments: list[NDArray[np.float64]] = []
    width, rate = 0, None
    with (folder / "frames.raw").open("wb") as file:
        for done, utterance in enumerate(utterances, 1):
            try:
                own_rate = sampling_rate(utterance.source) if utterance.kind == "audio" else None
                frames = read_features(utterance, settings)
                width, rate = width or frames.shape[1], rate or own_rate
                if own_rate != rate:
                    raise ValueError(
                        f"has a sampling rate of {own_rate} Hz where the first has {rate} Hz; resample one of them"
                    )
                if frames.shape[1] != width:
                    raise ValueError(f"has {frames.shape[1]} dimensions where the first has {width}")
            except ValueError as error:
                mistakes.append(Mistake(utterance.line, "", f"{utterance.place} {error}"))
                continue
            file.write(frames.tobytes())
            offsets.append(offsets[-1] + len(frames))
            moments.append(_moments(frames))
            progress(done, len(utterances))
    if mistakes:
        raise DataError(manifest, mistakes)
    _as_npy(folder, (offsets[-1], width))
    np.save(folder / "moments.npy", np.stack(moments))
    index = {"ids": [utterance.id for utterance in utterances], "offsets": offsets, "rate": rate}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")


def _as_npy(folder: Path, shape: tuple[int, int]) -> None:
    """Turn the raw frames into an .npy file without holding them in memory."""
    raw = np.memmap(folder / "frames.raw", np.float32, "r", shape=shape)
    out = np.lib.format.open_memmap(  # type: ignore[no-untyped-call]
        folder / "frames.npy", "w+", np.float32, shape
    )
    for start in range(0, shape[0], 1 << 16):
        out[start : start + (1 << 16)] = raw[start : start + (1 << 16)]
    out.flush()
    del raw, out
    (folder / "frames.raw").unlink()


def _normalisation(
    kind: str, utterances: tuple[Utterance, ...], moments: NDArray[np.float64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and scale of every utterance from its group's pooled sums."""
    count, _, width = moments.shape
    if kind == "none":
        return np.zeros((count, width), np.float32), np.ones((count, width), np.float32)
    # an utterance without a speaker is its own group
    names = [u.speaker if kind == "speaker" and u.speaker else f"\0{i}" for i, u in enumerate(utterances)]
    _, group = np.unique(names, return_inverse=True)
    frames = np.zeros(group.max() + 1)
    np.add.at(frames, group, lengths)
    sums = np.zeros((len(frames), 2, width))
    np.add.at(sums, group, moments)
    mean = sums[:, 0] / frames[:, None]
    variance = np.maximum(sums[:, 1] / frames[:, None] - mean**2, _FLOOR**2)
    return mean[group].astype(np.float32), (1 / np.sqrt(variance))[group].astype(np.float32)
