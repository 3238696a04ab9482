"""Random languages, posteriors and points of a sweep, in which ties and unknown words are common."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from search_spaces.axes.decoding import DecodingSettings, LanguageModelSettings
from trainers.artifacts import Posteriors
from trainers.data.labels import WORD_START, Alphabet
from trainers.decoding.language_model import LanguageModelFiles, build_language_model
from trainers.store import Store

UNITS = ("char", "word", "mixed", "marked_char", "pieces")
ORDERS = (2, 3, 4, 5, 6)
LETTERS = (list("abcdé"), list("abcde"), ["ß", "中", "😀", "e\u0301", "'"])
LANGUAGES = 100
INPUTS = 2000
SPECIAL = ("<unk>", "</s>", "<s>", "<UNK>")
"""Words that a language model means something else by; labels may spell them, its text may not hold them."""


@dataclass(frozen=True)
class Language:
    """Words, the labels that write some of them, and an n-gram model of some of them."""

    alphabet: Alphabet
    files: LanguageModelFiles


@dataclass(frozen=True)
class Sweep:
    """One input of a search: some utterances and some points."""

    posteriors: Posteriors
    points: list[DecodingSettings]


def random_inputs(folder: Path, number: int) -> tuple[Language, Iterator[Sweep]]:
    """One of the random languages, and its share of the inputs."""
    units, order = list(product(UNITS, ORDERS))[number % (len(UNITS) * len(ORDERS))]
    language = random_language(folder, units, order, number)
    return language, (_sweep(language, number, share) for share in range(INPUTS // LANGUAGES))


def _sweep(language: Language, number: int, share: int) -> Sweep:
    rng = np.random.default_rng([number, share])
    posteriors = random_posteriors(len(language.alphabet), 4, rng)
    return Sweep(posteriors, [random_point(rng) for _ in range(2)])


def random_language(folder: Path, units: str, order: int, seed: int) -> Language:
    """A language of short words, so that many are parts of others, and a long one; the model lacks some of them."""
    rng = np.random.default_rng([seed, order, UNITS.index(units)])
    letters = LETTERS[rng.integers(len(LETTERS))]
    words = sorted({"".join(rng.choice(letters, rng.integers(1, 4))) for _ in range(14)})
    words.append("".join(rng.choice(letters, 12)))
    texts = [" ".join(rng.choice(words, rng.integers(1, 6))) for _ in range(40)]
    known = [text for text in texts if words[0] not in text.split() and words[-2] not in text.split()]
    text = folder / "text.txt"
    text.write_text("\n".join(known) + "\n", encoding="utf-8")
    settings = LanguageModelSettings(text=text, order=order, discount_fallback=True)
    if rng.random() < 0.3:
        texts += [" ".join(SPECIAL)]
    alphabet = pieces(texts, rng) if units == "pieces" else Alphabet.of(units, texts)
    return Language(alphabet, build_language_model(Store(folder / "store"), settings))


def pieces(texts: list[str], rng: np.random.Generator) -> Alphabet:
    """Labels as sentencepiece makes them: every letter, and parts of words, many of them beginnings of others."""
    found: set[str] = set()
    for word in sorted({word for text in texts for word in text.split()}):
        found |= {WORD_START + word[0], *word[1:]}
        for _ in range(2):
            start, end = sorted(rng.integers(0, len(word) + 1, 2).tolist())
            if start < end:
                found.add(("" if start else WORD_START) + word[start:end])
    return Alphabet("mixed", ("", *sorted(found)))


def random_posteriors(size: int, utterances: int, rng: np.random.Generator) -> Posteriors:
    """Posteriors of labels; half of the sets are so coarse that many labels and hypotheses tie."""
    lengths = rng.integers(1, 14, utterances)
    if utterances and rng.random() < 0.1:
        lengths[-1] = 60
    logits = rng.standard_normal((int(lengths.sum()), size)) * rng.choice([1.0, 3.0, 8.0])
    logits[rng.random(len(logits)) < 0.3, 0] += 6.0
    if rng.random() < 0.5:
        logits = np.round(logits / 2) * 2
    kind = rng.random()
    if kind < 0.1:
        logits[:, 0] += 20.0  # silence
    elif kind < 0.2:
        logits[:, 0] -= 200.0  # never a blank: long words, and columns as good as impossible
    elif kind < 0.25:
        logits[:] = 0.0  # every label and every hypothesis ties
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
        beam_width=int(rng.choice([1, 2, 20, 100, rng.integers(1, 101)])),
        token_min_logp=float(rng.choice([0.0, -3.0, -5.0, rng.uniform(-12, 0)])),
        beam_prune_logp=float(rng.choice([0.0, -2.0, -10.0, rng.uniform(-40, 0)])),
        unknown_offset=float(rng.choice([-10.0, -10.0, 0.0, rng.uniform(-20, 0)])),
    )
