"""How well a language model foresees a text."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trainers.decoding.beam import load_ngrams


@dataclass(frozen=True, slots=True)
class Fit:
    """Log-probability of a text, every sentence from its start to its end, the end counted as a word.

    Attributes:
        words: Words and ends of sentences.
        unknown: Words that the model does not know.
        log10_prob: Of the whole text.
        log10_prob_unknown: The part that comes from unknown words.
    """

    words: int
    unknown: int
    log10_prob: float
    log10_prob_unknown: float

    @property
    def perplexity(self) -> float:
        """Unknown words included, each with the probability of ``<unk>``: KenLM's "including OOVs"."""
        return 10 ** (-self.log10_prob / self.words)

    @property
    def perplexity_of_known(self) -> float:
        """Unknown words left out, as KenLM's "excluding OOVs"; they still are context to others."""
        return 10 ** (-(self.log10_prob - self.log10_prob_unknown) / (self.words - self.unknown))


def fit(model: Path, sentences: Iterable[str]) -> Fit:
    """Score a text as KenLM's ``query`` does.

    Args:
        model: An ARPA file, or one in KenLM's binary form.
        sentences: One at least, words separated by spaces.

    Raises:
        LanguageModelError: KenLM cannot load the model.
    """
    ngrams = load_ngrams(model)
    words, missed, total, total_missed = 0, 0, 0.0, 0.0
    for sentence in sentences:
        for log10_prob, _, unknown in ngrams.full_scores(sentence):
            words += 1
            total += log10_prob
            if unknown:
                missed += 1
                total_missed += log10_prob
    return Fit(words, missed, total, total_missed)
