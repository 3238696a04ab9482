r"""Rover: the members' best hypotheses are aligned word by word, and the words of a slot are voted on (Fiscus 1997).

.. math:: \text{score}(w) = a\, F(w) + (1 - a)\, C(w)

with F the weight of the members that have the word, as a share of all, and C the average or the highest of their
confidences. An empty place is a word like any other, with a confidence that is given. Of words of equal score the one
that comes first in the slot wins. With weights of 1 these are the votes of NIST's rover: its ``meth1`` is average, its
``maxconf`` highest.

The alignment depends on the order of the hypotheses, so theirs is one that does not depend on how they are given: by
weight, the heaviest first, and then by name.
"""

from typing import Literal

from pydantic import Field

from search_spaces.axes.section import Section
from trainers.artifacts import Hypothesis
from trainers.combining.confidence import word_confidences
from trainers.combining.evidence import Evidence
from trainers.combining.members import Pool
from trainers.combining.rule import HypothesisRule
from trainers.combining.word_network import Slot, word_network


class RoverSettings(Section):
    """How words are voted on.

    Attributes:
        frequency: How much the number of votes counts, and not the confidences.
        confidence: Whether the average or the highest confidence of a word's votes counts.
        null_confidence: Confidence of having no word.
        n_best: Hypotheses of an utterance from which a member's confidences come; 1 makes it sure of every word.
        scale: Of the scores that become confidences; below 1 it makes members less sure.
    """

    frequency: float = Field(0.5, ge=0, le=1)
    confidence: Literal["average", "highest"] = "average"
    null_confidence: float = Field(0.5, ge=0, le=1)
    n_best: int = Field(30, ge=1, le=1000)
    scale: float = Field(0.3, gt=0, le=100)


class Rover(HypothesisRule):
    """The words that most of the members have, or that some are sure of."""

    name = "rover"
    summary = "a vote on every word of the members' aligned best hypotheses, with confidences"
    Settings = RoverSettings
    settings: RoverSettings

    def fuse(self, pool: Pool, evidence: Evidence) -> list[Hypothesis]:
        """One hypothesis for every utterance, without scores; the evidence is not asked."""
        members = sorted(pool.members, key=lambda member: (-member.weight, member.name))
        lists = [pool.lists(member, self.settings.n_best) for member in members]
        weights = [member.weight for member in members]
        fused = []
        for name, found in zip(pool.ids, zip(*lists, strict=True), strict=True):
            sure = [word_confidences(hypotheses, self.settings.scale) for hypotheses in found]
            network = word_network(sure, weights, self.settings.null_confidence)
            fused.append(Hypothesis(name, " ".join(filter(None, (elect(slot, self.settings) for slot in network)))))
        return fused


def elect(slot: Slot, settings: RoverSettings) -> str:
    """The word that a slot is decided for; empty for none."""
    total = sum(vote.weight for vote in slot)
    best, highest = "", -1.0
    for word in dict.fromkeys(vote.word for vote in slot):
        votes = [vote for vote in slot if vote.word == word]
        weight = sum(vote.weight for vote in votes)
        if settings.confidence == "average":
            sure = sum(vote.weight * vote.confidence for vote in votes) / weight
        else:
            sure = max(vote.confidence for vote in votes)
        score = settings.frequency * weight / total + (1 - settings.frequency) * sure
        if score > highest:
            best, highest = word, score
    return best
