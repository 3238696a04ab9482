"""A pool under one rule and one decoder: what any weighting of its members says of a set.

Weights are shares: they are made to sum to one, so that alpha and beta mean the same beside one member and beside many.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from search_spaces.errors import FusionError
from trainers.artifacts import Hypothesis, Posteriors
from trainers.combining.evidence import Evidence, ScoreTable
from trainers.combining.members import Member, Pool
from trainers.combining.rule import FusionRule, HypothesisRule, PosteriorRule
from trainers.data.labels import Alphabet
from trainers.fusion.joint_rescoring import JointRescoring
from trainers.scoring.references import References

Floats = NDArray[np.float64]
Decode = Callable[[Alphabet, Posteriors], list[Hypothesis]]


class Combination(ABC):
    """What a pool says of a set.

    Args:
        members: The pool; their weights are not read.

    Attributes:
        members: By name, as weights are ordered everywhere here.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        if not members:
            raise FusionError(["there are no members"])
        self.members = tuple(sorted(members, key=lambda member: member.name))
        self._counted: dict[tuple[float, ...], int] = {}

    @abstractmethod
    def hypotheses(self, weights: Floats) -> list[Hypothesis]:
        """What the members say together.

        Args:
            weights: (members,), none negative, one positive at least.

        Returns:
            A hypothesis for every utterance of the set.

        Raises:
            FusionError: The members cannot be combined.
        """

    @abstractmethod
    def alone(self, index: int) -> list[Hypothesis]:
        """What one member says under the same decoder."""

    def errors(self, points: Floats, references: References) -> NDArray[np.int64]:
        """Word errors of many weightings, (points, members) to (points,), none counted twice.

        Args:
            points: The weights.
            references: Of the utterances that count; the same in every call.
        """
        shares = _shares(points)
        keys = [tuple(point) for point in shares.round(12).tolist()]
        for key, point in zip(keys, shares, strict=True):
            if key not in self._counted:
                self._counted[key] = references.score(self.hypotheses(point)).errors
        return np.array([self._counted[key] for key in keys], np.int64)

    def weighed(self, weights: Floats) -> list[Member]:
        """The members with their shares."""
        pairs = zip(self.members, _shares(weights[None])[0].tolist(), strict=True)
        return [replace(member, weight=share) for member, share in pairs]


class Rescored(Combination):
    """Rules of hypotheses, over a table of all that the whole pool proposes.

    Args:
        members: The pool.
        rule: The rule.
        table: What the pool proposes; its rows are the members by name.
        alpha: Weight of the language model.
        beta: Bonus for every word.
    """

    def __init__(
        self, members: Sequence[Member], rule: HypothesisRule, table: ScoreTable, alpha: float, beta: float
    ) -> None:
        super().__init__(members)
        self._rule = rule
        self._table = table
        self._point = alpha, beta
        self._evidence = Evidence.of(table, [member.name for member in self.members])
        self._counts: NDArray[np.int64] | None = None

    def hypotheses(self, weights: Floats) -> list[Hypothesis]:
        """What the rule makes of the members' lists, each ranked by its own scores and the language model."""
        pairs = zip(self.weighed(weights), self._lists, strict=True)
        pool = Pool.of([replace(member, hypotheses=found) for member, found in pairs], self._table.ids)
        return self._rule.fuse(pool, self._evidence)

    def alone(self, index: int) -> list[Hypothesis]:
        """The best of a member's own list by its own likelihood and the language model."""
        return [self._lists[index][name][0] for name in self._table.ids]

    def errors(self, points: Floats, references: References) -> NDArray[np.int64]:
        """Word errors of many weightings; those of joint rescoring are one product of matrices."""
        if not isinstance(self._rule, JointRescoring):
            return super().errors(points, references)
        if self._counts is None:
            self._counts = self._table.errors(references)
        found: NDArray[np.int64] = self._counts[self._table.best(_shares(points), *self._point)].sum(axis=1)
        return found

    @cached_property
    def _lists(self) -> list[Mapping[str, list[Hypothesis]]]:
        """For each member its own hypotheses by utterance, the best first."""
        table, (alpha, beta) = self._table, self._point
        language = alpha * table.language + beta * table.words
        found: list[Mapping[str, list[Hypothesis]]] = []
        for acoustic, proposed in zip(table.acoustic, table.proposed, strict=True):
            totals = np.where(proposed, acoustic + language, -np.inf)
            lists = {}
            for name, start, end in zip(table.ids, table.starts[:-1], table.starts[1:], strict=True):
                order = start + np.argsort(-totals[start:end], kind="stable")
                lists[name] = [
                    Hypothesis(name, table.texts[index], float(acoustic[index]), float(language[index]))
                    for index in order[proposed[order]].tolist()
                ]
            found.append(lists)
        return found


class Averaged(Combination):
    """Rules of posteriors, whose mean is decoded as one system's posteriors are.

    Args:
        members: The pool.
        rule: The rule.
        decode: The decoder.
        ids: The utterances in the order that results shall have.
    """

    def __init__(self, members: Sequence[Member], rule: PosteriorRule, decode: Decode, ids: Sequence[str]) -> None:
        super().__init__(members)
        self._rule = rule
        self._decode = decode
        self._ids = ids

    def hypotheses(self, weights: Floats) -> list[Hypothesis]:
        """What the decoder finds in the mean."""
        pool = Pool.of(self.weighed(weights), self._ids)
        return self._decode(pool.members[0].alphabet, self._rule.fuse(pool))

    def alone(self, index: int) -> list[Hypothesis]:
        """What the decoder finds in a member's own posteriors."""
        (member,) = Pool.of([replace(self.members[index], weight=1.0)], self._ids).members
        return self._decode(member.alphabet, member.posteriors)


def combine(
    members: Sequence[Member],
    rule: FusionRule,
    ids: Sequence[str],
    point: tuple[float, float],
    table: Callable[[], ScoreTable],
    decode: Decode,
) -> Combination:
    """A pool under a rule.

    Args:
        members: The pool.
        rule: A rule of hypotheses or of posteriors.
        ids: The utterances in the order that results shall have.
        point: Weight of the language model and bonus for every word.
        table: Makes the table of a rule of hypotheses.
        decode: Decodes the posteriors of a rule of posteriors.

    Raises:
        FusionError: There are no members.
    """
    if isinstance(rule, PosteriorRule):
        return Averaged(members, rule, decode, ids)
    assert isinstance(rule, HypothesisRule)  # weights are averaged elsewhere: that is one network, and no pool
    return Rescored(members, rule, table(), *point)


def _shares(points: Floats) -> Floats:
    totals = points.sum(axis=1, keepdims=True)
    if (totals <= 0).any():
        raise FusionError(["no member has a positive weight"])
    shares: Floats = points / totals
    return shares
