r"""Joint rescoring: of all hypotheses that any member found, the one that all of them together find likeliest.

.. math:: \hat y = \arg\max_y \sum_k w_k \ln P_k(y|x) + \alpha \ln P_{LM}(y) + \beta |y|

Each member scores a hypothesis exactly, over all alignments and in its own units, so that members need no common labels
and no common frames: only texts are compared. The weights are not normalised: with members of weight 1, alpha and beta
stand beside the sum of their log-likelihoods.
"""

import numpy as np

from trainers.artifacts import Hypothesis
from trainers.combining.evidence import Evidence
from trainers.combining.members import Pool
from trainers.combining.rule import HypothesisRule, RescoringSettings


class JointRescoring(HypothesisRule):
    """The likeliest of the pooled hypotheses under all members and the language model."""

    name = "joint_rescoring"
    summary = "the pooled hypothesis that all members together find likeliest, each in its own units"
    Settings = RescoringSettings
    settings: RescoringSettings

    def fuse(self, pool: Pool, evidence: Evidence) -> list[Hypothesis]:
        """One hypothesis for every utterance; its acoustic score is the weighted sum of the members'."""
        return [best for (best,) in self.n_best(pool, evidence, 1)]

    def n_best(self, pool: Pool, evidence: Evidence, count: int) -> list[list[Hypothesis]]:
        """The likeliest hypotheses of every utterance; those that some member cannot write come only without others."""
        alpha, beta = self.settings.alpha, self.settings.beta
        table = evidence.table(pool, self.settings.n_best)
        weights = np.array([member.weight for member in pool.members])
        totals = table.totals(weights, alpha, beta)
        acoustic = weights @ table.acoustic
        language = alpha * table.language + beta * table.words
        found = []
        for name, start, end in zip(pool.ids, table.starts[:-1], table.starts[1:], strict=True):
            ranked = start + np.argsort(-totals[start:end], kind="stable")
            chosen = ranked[np.isfinite(totals[ranked])][:count].tolist()
            found.append([Hypothesis(name, table.texts[i], float(acoustic[i]), float(language[i])) for i in chosen])
        return found
