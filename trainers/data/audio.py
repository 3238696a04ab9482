"""Recordings as samples at a known rate: features of one rate mean nothing to a network of another."""

from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray


def sampling_rate(path: Path) -> int:
    """Sampling rate of a recording in Hz.

    Raises:
        ValueError: It cannot be read as audio.
    """
    return int(_info(path).samplerate)


def duration(path: Path) -> float:
    """Length of a recording in seconds.

    Raises:
        ValueError: It cannot be read as audio.
    """
    return float(_info(path).duration)


def _info(path: Path) -> Any:
    try:
        return soundfile.info(path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise ValueError(f"cannot be read as audio: {error}") from error


def read_audio(path: Path, wanted: int | None = None) -> tuple[NDArray[np.float32], int]:
    """Samples of a recording, its channels averaged.

    Args:
        path: The recording.
        wanted: Sampling rate in Hz; a recording of a higher one is resampled. None takes its own.

    Returns:
        (samples,), float32 in -1 to 1, and their rate in Hz.

    Raises:
        ValueError: It cannot be read as audio, holds NaN or infinity, or its rate is lower than is wanted; the text says
            which.
    """
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise ValueError(f"cannot be read as audio: {error}") from error
    if not np.isfinite(samples).all():
        raise ValueError("holds NaN or infinity")
    mono = samples.mean(axis=1)
    if wanted is None or wanted == rate:
        return mono, rate
    if rate < wanted:
        raise ValueError(
            f"has a sampling rate of {rate} Hz, and the model was trained on {wanted} Hz: frequencies above {rate // 2} "
            "Hz are missing in it, and resampling would not bring them back"
        )
    return _resample(mono, rate, wanted), wanted


def _resample(samples: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    from scipy.signal import resample_poly  # takes a while to import, and is seldom needed

    shared = gcd(rate, wanted)
    resampled: NDArray[np.float32] = resample_poly(samples, wanted // shared, rate // shared).astype(np.float32)
    return resampled
