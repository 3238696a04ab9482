"""A set of utterances ready for the network: features beside labels, all of it checked."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search_spaces.axes.features import FeatureSettings
from search_spaces.errors import DataError, Mistake
from trainers.artifacts import Utterance
from trainers.data.features import PackedFeatures, Progress, pack
from trainers.data.labels import BLANK, WORD_START, Alphabet, frames_needed
from trainers.data.manifest import read_manifest
from trainers.scoring.references import References
from trainers.store import Store


@dataclass(frozen=True, slots=True)
class UtteranceSet:
    """One split.

    Attributes:
        manifest: The file it was read from.
        utterances: In the order of the manifest.
        features: Their features, in the same order.
    """

    manifest: Path
    utterances: tuple[Utterance, ...]
    features: PackedFeatures

    def __len__(self) -> int:
        return len(self.utterances)

    @property
    def references(self) -> list[str]:
        """The transcripts."""
        return [utterance.text for utterance in self.utterances]


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a network is trained on and chosen by.

    Attributes:
        train: The training set.
        targets: Labels of its utterances, each (labels,), int64; none for an utterance that is left out.
        dev: The set that selects.
        alphabet: The labels.
        tuning: Transcripts of dev by which the epoch is chosen.
    """

    train: UtteranceSet
    targets: Sequence[NDArray[np.int64]]
    dev: UtteranceSet
    alphabet: Alphabet
    tuning: References

    @property
    def usable(self) -> NDArray[np.int64]:
        """Indices of the training utterances that are not left out."""
        return np.flatnonzero([len(labels) for labels in self.targets])


def load_set(
    store: Store,
    manifest: Path,
    settings: FeatureSettings,
    progress: Progress = lambda done, total: None,
    content: str = "",
) -> UtteranceSet:
    """Read a split and compute or map its features.

    Args:
        store: Where features are kept.
        manifest: The split.
        settings: Which features.
        progress: Called with the utterances done and all of them while features are computed.
        content: The split's fingerprint if it is known; otherwise every file is read to compute it.

    Raises:
        DataError: With every line or file that cannot be used and why.
    """
    utterances = read_manifest(manifest)
    marked = [
        Mistake(u.line, "text", f"holds {WORD_START!r}, the mark of a word's start")
        for u in utterances
        if WORD_START in u.text
    ]
    if marked:
        raise DataError(manifest, marked)
    return UtteranceSet(manifest, utterances, pack(store, manifest, utterances, settings, progress, content))


def encode_targets(
    data: UtteranceSet,
    alphabet: Alphabet,
    output_lengths: Callable[[NDArray[np.int64]], NDArray[np.int64]],
    *,
    drop: bool = False,
) -> list[NDArray[np.int64]]:
    """Labels of every utterance of a training set.

    CTC gives an infinite loss to a transcript that is longer than its frames, and reads foreign memory for a label
    outside the alphabet; both are refused here, before training. The first may instead be left out.

    Args:
        data: The training set.
        alphabet: Its labels.
        output_lengths: Frames at the network's output for frames at its input.
        drop: Leave out the utterances whose transcripts do not fit their frames: they get no labels.

    Raises:
        DataError: With every utterance whose transcript does not fit; or if all were to be left out.
    """
    mistakes: list[Mistake] = []
    too_long: list[Mistake] = []
    targets: list[NDArray[np.int64]] = []
    frames = output_lengths(data.features.lengths)
    for utterance, available in zip(data.utterances, frames, strict=True):
        labels = alphabet.encode(utterance.text)
        if labels is None or BLANK in labels:
            words = ", ".join(alphabet.missing(utterance.text))
            mistakes.append(Mistake(utterance.line, "text", f"has no label for: {words}"))
            continue
        needed = frames_needed(labels)
        if needed > available:
            labels = []
            too_long.append(
                Mistake(
                    utterance.line,
                    "text",
                    f"needs {needed} frames and the network leaves {available} of {utterance.id}; shorten the "
                    "transcript, leave such utterances out (train.infeasible: drop), or stack and subsample less",
                )
            )
        targets.append(np.array(labels, np.int64))
    if too_long and (not drop or len(too_long) == len(data)):
        mistakes += too_long
    if mistakes:
        raise DataError(data.manifest, mistakes)
    return targets


def unseen_words(dev: UtteranceSet, alphabet: Alphabet) -> Counter[str]:
    """Words of a dev set that the alphabet cannot write: every one of them is an error before training starts."""
    return Counter(word for text in dev.references for word in alphabet.missing(text))
