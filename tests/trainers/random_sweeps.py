"""Random languages, posteriors and points of a sweep, in which ties and unknown words are common."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search_spaces.axes.decoding import DecodingSettings, LanguageModelSettings
from trainers.artifacts import Posteriors
from trainers.data.labels import Alphabet
from trainers.decoding.language_model import LanguageModelFiles, build_language_model
from trainers.store import Store

UNITS = ("char", "word", "mixed", "marked_char")
ORDERS = (2, 3, 4, 5)


@dataclass(frozen=True)
class Language:
    """Words, the labels that write some of them, and an n-gram model of some of them."""

    alphabet: Alphabet
    files: LanguageModelFiles


def random_language(folder: Path, units: str, order: int, seed: int) -> Language:
    """A language of short words, so that many are parts of others; the model lacks some of them."""
    rng = np.random.default_rng([seed, order, len(units)])
    words = sorted({"".join(rng.choice(list("abcdé"), rng.integers(1, 4))) for _ in range(14)})
    texts = [" ".join(rng.choice(words, rng.integers(1, 6))) for _ in range(40)]
    known = [text for text in texts if words[0] not in text.split() and words[-1] not in text.split()]
    text = folder / "text.txt"
    text.write_text("\n".join(known) + "\n", encoding="utf-8")
    settings = LanguageModelSettings(text=text, order=order, discount_fallback=True)
    return Language(Alphabet.of(units, texts), build_language_model(Store(folder / "store"), settings))


def random_posteriors(size: int, utterances: int, rng: np.random.Generator) -> Posteriors:
    """Posteriors of labels; half of the sets are so coarse that many labels and hypotheses tie."""
    lengths = rng.integers(1, 14, utterances)
    logits = rng.standard_normal((int(lengths.sum()), size)) * rng.choice([1.0, 3.0, 8.0])
    logits[rng.random(len(logits)) < 0.3, 0] += 6.0
    if rng.random() < 0.5:
        logits = np.round(logits / 2) * 2
    if rng.random() < 0.2:
        logits[:, 0] += 20.0  # silence
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = tuple(f"u{number}" for number in range(utterances))
    return Posteriors(ids, logs.astype(np.float32), offsets, ("",) * size)


def random_point(rng: np.random.Generator) -> DecodingSettings:
    """Weights and thresholds, now and then those at which terms vanish."""
    return DecodingSettings(
        method="beam",
        alpha=float(rng.choice([0.0, 1.0, rng.uniform(0, 3)])),
        beta=float(rng.choice([0.0, 2.0, rng.uniform(-3, 5)])),
        beam_width=int(rng.choice([1, 2, 5, 20, 100])),
        token_min_logp=float(rng.choice([-1.0, -3.0, -5.0, -9.0])),
        beam_prune_logp=float(rng.choice([-2.0, -10.0, -40.0])),
    )
