"""Beam search with a word language model, by pyctcdecode and KenLM. The only place that imports either.

score = log P_CTC + alpha * ln P_LM + beta * words. KenLM speaks base ten; pyctcdecode turns it into nats, so that
alpha means the same here as in the literature.
"""

from types import TracebackType

import kenlm
import numpy as np
from numpy.typing import NDArray
from pyctcdecode.alphabet import Alphabet as DecoderAlphabet
from pyctcdecode.decoder import BeamSearchDecoderCTC
from pyctcdecode.language_model import LanguageModel

from search_spaces.axes.decoding import DecodingSettings
from search_spaces.errors import LanguageModelError
from trainers.artifacts import Hypothesis, Posteriors
from trainers.data.labels import Alphabet
from trainers.decoding.language_model import LanguageModelFiles

_NATS_PER_DECADE = float(np.log(10.0))


class _WordModel(LanguageModel):
    """pyctcdecode's language model, but nothing is not a word.

    As it comes, the empty last word (of silence, or after a trailing space) is scored as an unknown word and earns
    the word bonus, so that silence decodes to some word. Here it costs the end of the sentence alone.
    """

    def score(self, prev_state: kenlm.State, word: str, is_last_word: bool = False) -> tuple[float, kenlm.State]:
        if word:
            result: tuple[float, kenlm.State] = super().score(prev_state, word, is_last_word)
            return result
        end = self._get_raw_end_score(prev_state) if is_last_word else 0.0
        return self.alpha * end * _NATS_PER_DECADE, prev_state


class BeamDecoder:
    """One decoder for one alphabet and one language model; its weights travel with every call.

    Use it as a context manager: pyctcdecode keeps every language model alive until it is told otherwise.

    Args:
        alphabet: Names of the columns of the posteriors.
        language_model: None searches without one.

    Raises:
        LanguageModelError: KenLM cannot load the file.
    """

    def __init__(self, alphabet: Alphabet, language_model: LanguageModelFiles | None) -> None:
        self._alphabet = alphabet
        model = None
        if language_model is not None:
            try:
                loaded = kenlm.Model(str(language_model.arpa))
            except (OSError, RuntimeError) as error:
                raise LanguageModelError(f"{language_model.arpa} cannot be loaded: {error}") from error
            model = _WordModel(loaded, language_model.words)
        # labels are taken as they are: the library's own builder reinterprets names such as '_' or '##X'
        labels = DecoderAlphabet(list(alphabet.labels), is_bpe=alphabet.units != "char")
        self._decoder = BeamSearchDecoderCTC(labels, model)
        self._scored = model is not None

    def __enter__(self) -> "BeamDecoder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._decoder.cleanup()

    def decode(self, log_probs: NDArray[np.float32], settings: DecodingSettings, name: str = "") -> Hypothesis:
        """The best hypothesis of one utterance.

        Args:
            log_probs: (frames, labels), natural log, normalised.
            settings: Weights, beam and thresholds.
            name: Id of the utterance.

        Raises:
            ValueError: There is no frame, or a value is not finite.
        """
        return self.n_best(log_probs, settings, 1, name)[0]

    def n_best(
        self, log_probs: NDArray[np.float32], settings: DecodingSettings, count: int, name: str = ""
    ) -> list[Hypothesis]:
        """The best hypotheses of one utterance, each with its acoustic score.

        Args:
            log_probs: (frames, labels), natural log, normalised.
            settings: Weights, beam and thresholds.
            count: How many at most; the search may end with fewer.
            name: Id of the utterance.

        Returns:
            One at least, the best first.

        Raises:
            ValueError: There is no frame, or a value is not finite.
        """
        if not len(log_probs) or not np.isfinite(log_probs).all():
            raise ValueError(f"posteriors of {name or 'the utterance'} are empty or hold NaN or infinity")
        self._decoder.reset_params(alpha=float(settings.alpha), beta=float(settings.beta))
        beams = self._decoder.decode_beams(
            np.asarray(log_probs, np.float64),
            beam_width=settings.beam_width,
            beam_prune_logp=settings.beam_prune_logp,
            token_min_logp=settings.token_min_logp,
            prune_history=True,
        )
        found = ((text, float(acoustic), float(total)) for text, *_, acoustic, total in beams[:count])
        return [Hypothesis(name, text, am, total - am if self._scored else None) for text, am, total in found]

    def decode_set(self, posteriors: Posteriors, settings: DecodingSettings) -> list[Hypothesis]:
        """The best hypothesis of every utterance of a set."""
        return [self.decode(frames, settings, name) for name, frames in zip(posteriors.ids, posteriors, strict=True)]
