"""How sure a member is of each word of its best hypothesis: how much of its n-best list has the word there."""

from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from trainers.artifacts import Hypothesis


def word_confidences(hypotheses: Sequence[Hypothesis], scale: float) -> list[tuple[str, float]]:
    """The words of the first hypothesis, each with the posterior probability of those that agree.

    A hypothesis of the list has the probability exp(scale x its score), normalised over the list; whether it has a word
    in the same place is seen from its alignment with the first (Mangu, Brill & Stolcke 2000, for lists).

    Args:
        hypotheses: Of one utterance, the best first; those without a score count as one that has the first's.
        scale: Of the scores.

    Returns:
        Words and numbers above 0, at most 1.
    """
    scores = scale * np.array([(one.acoustic or 0.0) + (one.language or 0.0) for one in hypotheses])
    posterior = np.exp(scores - np.logaddexp.reduce(scores))
    best = hypotheses[0].text.split()
    sure = np.zeros(len(best))
    for probability, one in zip(posterior.tolist(), hypotheses, strict=True):
        for block in Levenshtein.opcodes(best, one.text.split()):
            if block.tag == "equal":
                sure[block.src_start : block.src_end] += probability
    return list(zip(best, np.minimum(sure, 1.0).tolist(), strict=True))
