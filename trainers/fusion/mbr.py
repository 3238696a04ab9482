r"""Minimum Bayes risk: the hypothesis with the fewest word errors to be expected (Stolcke, König & Weintraub 1997).

.. math::

    \hat y = \arg\min_y \sum_{y'} P(y'|x)\, \mathrm{Lev}(y', y), \qquad P(y|x) \propto \exp(s \cdot \text{score}(y))

over the pooled hypotheses, whose scores are those of joint rescoring and s the scale. With a large scale the likeliest
hypothesis has all the probability, and this is joint rescoring.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from trainers.artifacts import Hypothesis
from trainers.combining.evidence import Evidence
from trainers.combining.members import Pool
from trainers.combining.rule import HypothesisRule, RescoringSettings


class MbrSettings(RescoringSettings):
    """How pooled hypotheses are scored, and how their scores become probabilities.

    Attributes:
        n_best: Hypotheses of an utterance that a member puts into the pool at most.
        alpha: Weight of the language model.
        beta: Bonus for every word.
        scale: Of the scores; below 1 it gives worse hypotheses more say.
    """

    scale: float = Field(0.5, gt=0, le=100)


class Mbr(HypothesisRule):
    """The pooled hypothesis of the least expected number of word errors."""

    name = "mbr"
    summary = "the pooled hypothesis that is expected to have the fewest word errors"
    Settings = MbrSettings
    settings: MbrSettings

    def fuse(self, pool: Pool, evidence: Evidence) -> list[Hypothesis]:
        """One hypothesis for every utterance, without scores; of equal ones the likeliest."""
        table = evidence.table(pool, self.settings.n_best)
        weights = [member.weight for member in pool.members]
        totals = self.settings.scale * table.totals(weights, self.settings.alpha, self.settings.beta)
        fused = []
        for name, start, end in zip(pool.ids, table.starts[:-1], table.starts[1:], strict=True):
            scores = totals[start:end]
            posterior = np.exp(scores - np.logaddexp.reduce(scores))
            risk = distances(table.texts[start:end]) @ posterior
            # sums of the same risks in another order differ in their last digits
            least = np.flatnonzero(risk <= risk.min() + 1e-9)
            fused.append(Hypothesis(name, table.texts[start + least[posterior[least].argmax()]]))
        return fused


def distances(texts: tuple[str, ...]) -> NDArray[np.float64]:
    """Levenshtein's distances between texts in words, (texts, texts)."""
    letters: dict[str, str] = {}
    spelled = ["".join(letters.setdefault(word, chr(0x100 + len(letters))) for word in text.split()) for text in texts]
    found: NDArray[np.float64] = cdist(spelled, spelled, scorer=Levenshtein.distance, dtype=np.int32).astype(np.float64)
    return found
