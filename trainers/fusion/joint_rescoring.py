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
        alpha, beta = self.settings.alpha, self.settings.beta
        table = evidence.table(pool, self.settings.n_best)
        weights = np.array([member.weight for member in pool.members])
        chosen = table.best(weights, alpha, beta)
        acoustic = weights @ table.acoustic[:, chosen]
        language = alpha * table.language[chosen] + beta * table.words[chosen]
        return [
            Hypothesis(name, table.texts[index], *scores)
            for name, index, *scores in zip(
                pool.ids, chosen.tolist(), acoustic.tolist(), language.tolist(), strict=True
            )
        ]
