"""What a language model says of whole texts, as the decoder scores them: for rescoring."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from trainers.decoding.beam import load_ngrams
from trainers.decoding.language_model import LanguageModelFiles


class TextScorer:
    """Scores texts from the start of a sentence to its end, each once.

    Args:
        files: The language model.
        unknown_offset: Added to the log10 probability of every word that it does not know.

    Raises:
        LanguageModelError: KenLM cannot load the file.
    """

    def __init__(self, files: LanguageModelFiles, unknown_offset: float = -10.0) -> None:
        self._ngrams = load_ngrams(files.model)
        self._words = frozenset(files.words)
        self._offset = unknown_offset
        self._scores: dict[str, float] = {}

    def __call__(self, texts: Iterable[str]) -> NDArray[np.float64]:
        """Log-probability of each text in nats; of an empty one, that of the sentence's end alone."""
        return np.array([self._scores[text] if text in self._scores else self._score(text) for text in texts])

    def _score(self, text: str) -> float:
        total = self._ngrams.score(text, bos=True, eos=True)
        total += self._offset * sum(word not in self._words for word in text.split())
        self._scores[text] = float(total * np.log(10.0))
        return self._scores[text]
