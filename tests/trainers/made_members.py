"""Members of an ensemble with random posteriors and random hypotheses."""

import numpy as np

from trainers.artifacts import Hypothesis, Posteriors
from trainers.combining.members import Member
from trainers.data.labels import Alphabet

WORDS = ("A", "B", "AB", "BA", "C")
ALPHABETS = {
    "char": Alphabet("char", ("", " ", "A", "B", "C")),
    "marked_char": Alphabet("marked_char", ("", "A", "B", "▁A", "▁B", "▁C")),
    "word": Alphabet("word", ("", "▁A", "▁AB", "▁B", "▁BA")),  # which cannot write C
    "mixed": Alphabet("mixed", ("", "A", "B", "▁A", "▁AB", "▁B", "▁C")),
}


def posteriors(alphabet, seed, frames=(9, 14, 11), sharpness=2.0):
    logits = sharpness * np.random.default_rng(seed).standard_normal((sum(frames), len(alphabet)))
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    ids = tuple(f"u{number}" for number in range(len(frames)))
    offsets = np.cumsum([0, *frames]).astype(np.int64)
    return Posteriors(ids, log_probs.astype(np.float32), offsets, alphabet.labels)


def hypotheses(ids, seed):
    """For each utterance up to four different texts with falling scores; silence may be among them."""
    rng = np.random.default_rng(seed)
    found = {}
    for name in ids:
        texts = {" ".join(rng.choice(WORDS, rng.integers(0, 4))) for _ in range(rng.integers(1, 5))}
        scores = np.sort(rng.normal(-5, 3, len(texts)))[::-1]
        shuffled = rng.permutation(sorted(texts)).tolist()
        found[name] = [Hypothesis(name, *each) for each in zip(shuffled, scores.tolist(), strict=True)]
    return found


def member(name, seed=0, units="char", weight=1.0, **about):
    alphabet = ALPHABETS[units]
    made = posteriors(alphabet, seed, **about)
    return Member(name, made, alphabet, weight, 0.03, hypotheses(made.ids, seed + 1000))
