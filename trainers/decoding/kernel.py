"""The beam search in C: pyctcdecode's best hypothesis and its scores, bit for bit, at many points of a sweep at once.

Equal is meant as in ``==``, for the text and for the float64 scores, ties included, against `BeamDecoder`. What is not
covered (no language model, labels with odd marks, a binary model) raises `NotCovered`, and pyctcdecode serves. The
times of words are left out.
"""

import ctypes
import math
import sys
import weakref
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from search_spaces.axes.decoding import DecodingSettings
from trainers.artifacts import Hypothesis, Posteriors
from trainers.data.labels import BLANK, WORD_START, Alphabet
from trainers.decoding.candidates import Candidates, candidates
from trainers.decoding.language_model import LanguageModelFiles
from trainers.decoding.library import NotCovered, library

# pyctcdecode's constants; the two ways to turn decades into nats may differ in the last bit
_AVERAGE_LENGTH = 6.0
_NATS = 1.0 / math.log10(math.e)
_NATS_EMPTY = float(np.log(10.0))

_UTTERANCES_A_CALL = 64  # so that an interrupt is heard


class Kernel:
    """The search for one alphabet and one language model. Not for several threads at once.

    Args:
        alphabet: Names of the columns of the posteriors.
        language_model: An n-gram model as an ARPA file.

    Raises:
        NotCovered: The alphabet or the model is of a kind that only pyctcdecode serves, or there is no kernel here.
    """

    def __init__(self, alphabet: Alphabet, language_model: LanguageModelFiles | None) -> None:
        self._library = library()
        if language_model is None:
            raise NotCovered("the kernel searches with a language model")
        if (reason := _oddity(alphabet)) is not None:
            raise NotCovered(f"the kernel does not take labels {reason}")
        self._size = len(alphabet)
        model = _read_model(self._library, language_model)
        self._model_address = model
        weakref.finalize(self, self._library.ctc_model_free, model)
        spaced = alphabet.units == "char"
        starts = [label == " " if spaced else label.startswith(WORD_START) for label in alphabet.labels]
        letters = [label[start:] for label, start in zip(alphabet.labels, starts, strict=True)]
        words = language_model.words
        self._labels = *_code_points(letters), np.array(starts, np.int32), len(letters)
        self._words = *_code_points(words), len(words)
        self._arpa = language_model.arpa
        self._unknown_offset: float | None = None
        self._search = 0
        self._free_search: Callable[[], object] = lambda: None
        self._latest: tuple[Posteriors, float, Candidates] | None = None

    def decode_set(self, posteriors: Posteriors, settings: DecodingSettings) -> list[Hypothesis]:
        """The best hypothesis of every utterance of a set."""
        return self.decode_points(posteriors, [settings])[0]

    def decode_points(self, posteriors: Posteriors, points: Sequence[DecodingSettings]) -> list[list[Hypothesis]]:
        """The best hypothesis of every utterance of a set, for each point.

        Points with the same ``token_min_logp`` and ``unknown_offset`` share what they find out about words and texts.

        Args:
            posteriors: Natural log, normalised, with the columns of the alphabet.
            points: Weights, beams and thresholds.

        Raises:
            ValueError: An utterance has no frame, a value is not finite, a frame does not sum to one, or the columns
                are not those of the alphabet.
            NotCovered: The language model has none of the words that are listed beside it.
        """
        width = posteriors.log_probs.shape[-1]
        if posteriors.log_probs.ndim != 2 or width != self._size:
            raise ValueError(f"posteriors have {width} columns, and the vocabulary is size {self._size}")
        found: list[list[Hypothesis]] = [[] for _ in points]
        alike: dict[tuple[float, float], list[int]] = {}
        for number, point in enumerate(points):
            alike.setdefault((point.token_min_logp, point.unknown_offset), []).append(number)
        for (threshold, unknown_offset), numbers in sorted(alike.items()):
            tried = self._candidates(posteriors, threshold)
            search = self._search_with(unknown_offset)
            for first in range(0, len(posteriors), _UTTERANCES_A_CALL):
                names = posteriors.ids[first : first + _UTTERANCES_A_CALL]
                frames = tried.frames[first : first + len(names) + 1]
                results = self._run(search, frames, tried, [points[number] for number in numbers])
                for place, (text, acoustic, total) in enumerate(results):
                    row, column = divmod(place, len(numbers))
                    whole = acoustic + float(tried.rests[first + row])
                    found[numbers[column]].append(Hypothesis(names[row], text, whole, total - acoustic))
        return found

    def _candidates(self, posteriors: Posteriors, threshold: float) -> Candidates:
        """Candidates of a set, kept for the next call: a sweep comes back for the same."""
        if self._latest is None or self._latest[0] is not posteriors or self._latest[1] != threshold:
            self._latest = posteriors, threshold, candidates(posteriors, threshold)
        return self._latest[2]

    def _search_with(self, unknown_offset: float) -> int:
        """A search in which unknown words cost this, kept until one with another offset is asked for."""
        if unknown_offset != self._unknown_offset:
            self._free_search()
            self._unknown_offset = None
            search: int | None = self._library.ctc_search_new(
                self._model_address, *self._labels, *self._words, unknown_offset, _AVERAGE_LENGTH, _NATS, _NATS_EMPTY
            )
            if search is None:
                raise MemoryError("no memory for the search")
            self._free_search = weakref.finalize(self, self._library.ctc_search_free, search)
            if not self._library.ctc_search_words(search):
                raise NotCovered(f"{self._arpa} has none of the words listed beside it")
            self._search, self._unknown_offset = search, unknown_offset
        return self._search

    def _run(
        self, search: int, frames: NDArray[np.int64], tried: Candidates, points: Sequence[DecodingSettings]
    ) -> Iterable[tuple[str, float, float]]:
        """Text, acoustic and total score of utterances, point by point within an utterance."""
        utterances, size = len(frames) - 1, (len(frames) - 1) * len(points)
        acoustic, total, ends = np.empty(size), np.empty(size), np.zeros(size, np.int64)
        status = self._library.ctc_search_run(
            search,
            utterances,
            frames,
            tried.starts,
            tried.labels,
            tried.log_probs,
            len(points),
            np.array([point.alpha for point in points], np.float64),
            np.array([point.beta for point in points], np.float64),
            np.array([point.beam_prune_logp for point in points], np.float64),
            np.array([point.beam_width for point in points], np.int32),
            acoustic,
            total,
            ends,
        )
        if status == -1:
            raise MemoryError("no memory for so wide a search")
        if status:
            raise ValueError("frames and candidates do not fit together")
        letters = int(ends[-1]) if size else 0
        raw = ctypes.string_at(self._library.ctc_search_texts(search), 4 * letters) if letters else b""
        joined = raw.decode("utf-32-le" if sys.byteorder == "little" else "utf-32-be")
        stops = ends.tolist()
        texts = [joined[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]
        return zip(texts, acoustic.tolist(), total.tolist(), strict=True)


def _oddity(alphabet: Alphabet) -> str | None:
    """What only pyctcdecode's rules for strings deal with."""
    labels = alphabet.labels
    if not labels or labels[BLANK] != "" or "" in labels[1:]:
        return "whose first is not the only blank"
    if len(set(labels)) != len(labels):
        return "that are named twice"
    spaced = alphabet.units == "char"
    names = [label for label in labels if not (spaced and label == " ")]
    if any(character.isspace() or character == "\0" for label in names for character in label):
        return "with white space inside"
    if any("\ud800" <= character <= "\udfff" for label in names for character in label):
        return "that cannot be written in UTF-8"
    if not spaced and any(label.endswith(WORD_START) for label in names):
        return f"that end in {WORD_START}"
    return None


def _read_model(library: ctypes.CDLL, files: LanguageModelFiles) -> int:
    if files.model != files.arpa:
        raise NotCovered("the kernel reads ARPA files, and this language model is in KenLM's binary form")
    why = ctypes.create_string_buffer(200)
    model: int | None = library.ctc_model_read(bytes(files.arpa), why, len(why))
    if model is None:
        raise NotCovered(f"the kernel does not take {files.arpa}: {why.value.decode(errors='replace')}")
    return model


def _code_points(texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The code points of texts behind one another, and where each ends."""
    letters = np.array([ord(character) for text in texts for character in text], np.int32)
    return letters, np.array(list(accumulate(map(len, texts))), np.int64)
