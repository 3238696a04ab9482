"""Beam search with a word language model, by pyctcdecode and KenLM. The only place that imports either.

score = log P_CTC + alpha * ln P_LM + beta * words. KenLM speaks base ten; pyctcdecode turns it into nats, so that
alpha means the same here as in the literature. A word that the model does not know costs ``alpha * ln 10 *
unknown_offset`` more, and a word begun that no known word starts with costs ``unknown_offset`` until it is whole.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import kenlm
import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyctcdecode.alphabet import Alphabet as DecoderAlphabet
from pyctcdecode.decoder import BeamSearchDecoderCTC, OutputBeam
from pyctcdecode.language_model import LanguageModel

from search_spaces.axes.decoding import DecodingSettings
from search_spaces.errors import LanguageModelError
from trainers.artifacts import Hypothesis, Posteriors
from trainers.data.labels import Alphabet
from trainers.decoding.frames import CollapsedFrames, collapse, sound_frames
from trainers.decoding.language_model import LanguageModelFiles
from trainers.decoding.vocabulary import refuse_foreign_words

_NATS_PER_DECADE = float(np.log(10.0))

# it warns of small vocabularies, which are nothing to worry about here; what matters we refuse ourselves
logging.getLogger("pyctcdecode.language_model").setLevel(logging.ERROR)


class WordModel(LanguageModel):
    """pyctcdecode's language model, but nothing is not a word.

    As it comes, the empty last word (of silence, or after a trailing space) is scored as an unknown word and earns
    the word bonus, so that silence decodes to some word. Here it costs the end of the sentence alone.
    """

    def score(self, prev_state: kenlm.State, word: str, is_last_word: bool = False) -> tuple[float, kenlm.State]:
        """Weighted score of a word, and of the sentence's end if it is the last; and the model's state behind it."""
        if word:
            result: tuple[float, kenlm.State] = super().score(prev_state, word, is_last_word)
            return result
        end = self._get_raw_end_score(prev_state) if is_last_word else 0.0
        return self.alpha * end * _NATS_PER_DECADE, prev_state


class _Search(BeamSearchDecoderCTC):
    """pyctcdecode's search on Python's floats, which add up to the same bits as numpy's, and faster."""

    def _decode_logits(self, logits: NDArray[Any], *arguments: Any, **options: Any) -> list[OutputBeam]:
        return super()._decode_logits(logits.astype(object), *arguments, **options)


def load_ngrams(path: Path) -> kenlm.Model:
    """A language model by KenLM, without its progress bar on standard error.

    Raises:
        LanguageModelError: KenLM cannot load the file.
    """
    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    try:
        return kenlm.Model(str(path), config)
    except (OSError, RuntimeError) as error:
        raise LanguageModelError(f"{path} cannot be loaded: {error}") from error


class BeamDecoder:
    """One decoder for one alphabet and one language model; its weights travel with every call.

    Use it as a context manager: pyctcdecode keeps every language model alive until it is told otherwise.

    Args:
        alphabet: Names of the columns of the posteriors.
        language_model: None searches without one.

    Raises:
        LanguageModelError: KenLM cannot load the file, or the labels cannot spell its words.
    """

    def __init__(self, alphabet: Alphabet, language_model: LanguageModelFiles | None) -> None:
        self._alphabet = alphabet
        model = None
        if language_model is not None:
            loaded = load_ngrams(language_model.model)
            try:
                words = language_model.words
            except (OSError, UnicodeDecodeError) as error:
                raise LanguageModelError(f"{language_model.model} cannot be loaded: {error}") from error
            refuse_foreign_words(alphabet, words, str(language_model.model))
            model = WordModel(loaded, words)
        # labels are taken as they are: the library's own builder reinterprets names such as '_' or '##X'
        labels = DecoderAlphabet(list(alphabet.labels), is_bpe=alphabet.units != "char")
        self._decoder = _Search(labels, model)
        self._scored = model is not None

    def __enter__(self) -> "BeamDecoder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._decoder.cleanup()

    def decode(self, log_probs: ArrayLike, settings: DecodingSettings, name: str = "") -> Hypothesis:
        """The best hypothesis of one utterance.

        Args:
            log_probs: (frames, labels), natural log, normalised.
            settings: Weights, beam and thresholds.
            name: Id of the utterance.

        Raises:
            ValueError: There is no frame, a value is not finite, or a frame does not sum to one.
        """
        return self._search(log_probs, settings, name, prune_history=True)[0]

    def n_best(self, log_probs: ArrayLike, settings: DecodingSettings, count: int, name: str = "") -> list[Hypothesis]:
        """Different hypotheses of one utterance, the best first.

        Hypotheses that differ only in words which the language model has forgotten are kept apart here and not in
        `decode`, so the first of a long utterance is now and then another than there.

        Args:
            log_probs: (frames, labels), natural log, normalised.
            settings: Weights, beam and thresholds.
            count: At most so many; never more than the beam is wide, and at least one.
            name: Id of the utterance.

        Raises:
            ValueError: As for `decode`.
        """
        return self._search(log_probs, settings, name, prune_history=False)[:count]

    def decode_set(self, posteriors: Posteriors, settings: DecodingSettings) -> list[Hypothesis]:
        """The best hypothesis of every utterance of a set."""
        return self.decode_points(posteriors, [settings])[0]

    def decode_points(self, posteriors: Posteriors, points: Sequence[DecodingSettings]) -> list[list[Hypothesis]]:
        """The best hypothesis of every utterance of a set, for each point.

        Points with the same ``token_min_logp`` share the work of leaving frames out.

        Args:
            posteriors: Natural log, normalised.
            points: Weights, beams and thresholds.

        Raises:
            ValueError: As for `decode`.
        """
        thresholds = {point.token_min_logp for point in points}
        found: list[list[Hypothesis]] = [[] for _ in points]
        for name, log_probs in zip(posteriors.ids, posteriors, strict=True):
            sound = self._sound(log_probs, name)
            frames = {threshold: collapse(sound, threshold) for threshold in thresholds}
            for point, hypotheses in zip(points, found, strict=True):
                kept = frames[point.token_min_logp]
                hypotheses.append(self._search_frames(kept, point, name, prune_history=True)[0])
        return found

    def n_best_set(self, posteriors: Posteriors, settings: DecodingSettings, count: int) -> list[list[Hypothesis]]:
        """Different hypotheses of every utterance of a set, the best first; see `n_best`."""
        pairs = zip(posteriors.ids, posteriors, strict=True)
        return [self.n_best(frames, settings, count, name) for name, frames in pairs]

    def _sound(self, log_probs: ArrayLike, name: str) -> NDArray[np.float64]:
        return sound_frames(log_probs, len(self._alphabet), name)

    def _search(
        self, log_probs: ArrayLike, settings: DecodingSettings, name: str, *, prune_history: bool
    ) -> list[Hypothesis]:
        frames = collapse(self._sound(log_probs, name), settings.token_min_logp)
        return self._search_frames(frames, settings, name, prune_history=prune_history)

    def _search_frames(
        self, frames: CollapsedFrames, settings: DecodingSettings, name: str, *, prune_history: bool
    ) -> list[Hypothesis]:
        # the library takes floats alone, neither integers nor numpy's
        self._decoder.reset_params(
            alpha=float(settings.alpha),
            beta=float(settings.beta),
            unk_score_offset=float(settings.unknown_offset),
        )
        beams = self._decoder.decode_beams(
            np.asarray(frames.log_probs),
            beam_width=settings.beam_width,
            beam_prune_logp=settings.beam_prune_logp,
            token_min_logp=settings.token_min_logp,
            prune_history=prune_history,
        )
        return [
            Hypothesis(
                name,
                text,
                float(acoustic) + frames.rest,
                float(total - acoustic) if self._scored else None,
                tuple(frames.original(span) for _, span in words),
            )
            for text, _, words, acoustic, total in beams
        ]
