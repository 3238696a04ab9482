"""What a system hears in recordings that are no set of a campaign, where one bad file must not lose the others."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search_spaces.axes.features import FeatureSettings
from trainers.artifacts import Hypothesis, Utterance
from trainers.data.features import pack_in_memory, read_features
from trainers.system import Session, System

_Reading = tuple[FeatureSettings, int | None, int]
"""What a network reads: feature settings, sampling rate, dimensions of a frame."""
_GROUP = 32  # utterances in memory at a time for each worker, where speakers do not ask for more


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard in one recording.

    Attributes:
        utterance: The recording.
        hypotheses: The best first, at least one.
        frame_seconds: How long a frame of their spans lasts; None where it is not known.
    """

    utterance: Utterance
    hypotheses: tuple[Hypothesis, ...]
    frame_seconds: float | None

    @property
    def best(self) -> Hypothesis:
        """The best hypothesis."""
        return self.hypotheses[0]


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be heard.

    Attributes:
        place: The file, or what was asked for.
        reason: Why.
    """

    place: str
    reason: str


def transcribe(
    system: System,
    utterances: Sequence[Utterance],
    count: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
    workers: int = 1,
) -> list[Transcript | Failure]:
    """Transcripts of recordings or of stored features.

    Args:
        system: What listens.
        utterances: Recordings; where the system normalises by speaker, those of one speaker are heard together, and one
            without a speaker for itself.
        count: Hypotheses of each at most.
        progress: Called with the utterances done and all of them.
        workers: How many processes search.

    Returns:
        In the order of the utterances, a transcript or the reason why there is none.

    Raises:
        UserError: Several workers are asked for, and the system does not search.
    """
    results: dict[int, Transcript | Failure] = {}
    with system.opened(workers) as session:
        for group in _groups(utterances, _GROUP * workers, by_speaker=system.by_speaker):
            results |= _hear(system, session, utterances, group, count)
            progress(len(results), len(utterances))
    return [results[index] for index in range(len(utterances))]


def _groups(utterances: Sequence[Utterance], size: int, *, by_speaker: bool) -> Iterator[list[int]]:
    """Indices of utterances that are heard together."""
    speakers: dict[str, list[int]] = {}
    alone = []
    for index, utterance in enumerate(utterances):
        if by_speaker and utterance.speaker:
            speakers.setdefault(utterance.speaker, []).append(index)
        else:
            alone.append(index)
    yield from speakers.values()
    yield from (alone[start : start + size] for start in range(0, len(alone), size))


def _hear(
    system: System, session: Session, utterances: Sequence[Utterance], group: Sequence[int], count: int
) -> dict[int, Transcript | Failure]:
    results: dict[int, Transcript | Failure] = {}
    # networks of a system that read alike share what was read
    readings = [(one.features, one.rate, one.inputs) for one in system.networks]
    matrices: dict[int, dict[_Reading, NDArray[np.float32]]] = {}
    for index in group:
        try:
            matrices[index] = {reading: _read(utterances[index], *reading) for reading in dict.fromkeys(readings)}
        except (ValueError, OSError) as error:
            results[index] = Failure(utterances[index].place, str(error))
    if matrices:
        chosen = [utterances[index] for index in matrices]
        packed = {
            reading: pack_in_memory(chosen, [found[reading] for found in matrices.values()], reading[0])
            for reading in dict.fromkeys(readings)
        }
        heard = session.n_best([packed[reading] for reading in readings], count)
        for index, found in zip(matrices, heard, strict=True):
            results[index] = Transcript(utterances[index], tuple(found), session.frame_seconds)
    return results


def _read(utterance: Utterance, settings: FeatureSettings, rate: int | None, inputs: int) -> NDArray[np.float32]:
    """Features that a network can read.

    Raises:
        ValueError: There are none in the file, or they are of another kind, width or rate.
    """
    wanted = "audio" if settings.kind == "logmel" else "features"
    if utterance.kind != wanted:
        has = "a recording" if utterance.kind == "audio" else "stored features"
        raise ValueError(f"is {has}; this model reads {'recordings' if wanted == 'audio' else 'stored features'}")
    matrix = read_features(utterance, settings, rate)
    width = matrix.shape[1] * settings.blocks
    if width != inputs:
        raise ValueError(f"has {matrix.shape[1]} dimensions a frame; this model reads {inputs // settings.blocks}")
    return matrix
