r"""Whether a system has lost to another before the whole set is decoded: a paired test that may be repeated.

Both are scored on the same utterances, in an order that has nothing to do with them. With d_i the errors of the one
less those of the other in the i-th of N utterances, the sum of the first n is the deficit. Of two systems that make the
same number of errors on the whole set the deficit is a bridge, zero before the first utterance and after the last, and
a Brownian bridge of variance sigma^2 a step rises above

.. math:: \sqrt{N \sigma^2 \cdot \ln(1 / \mathrm{level}) / 2}

anywhere with probability `level` (Doob 1949, the limit of the one-sided Kolmogorov-Smirnov statistic), however often
one looks. It is the whole set that decides which system is better, and no population behind it.

sigma^2 is the mean of d_i^2 as seen so far, with `UNSEEN` added to the sum: after three differences, all of one sign,
the other sign is still to come. Utterances without a difference count as what they are, no evidence.

Racing: Maron and Moore 1994, "Hoeffding races".
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

UNSEEN = 4.0  # differences of one error each


@dataclass(frozen=True, slots=True)
class Deficit:
    """What is known of the differences of errors between a system and its rival; parts of a set add up.

    Attributes:
        utterances: Seen so far.
        sum: Sum of the differences; above zero where the system is worse.
        squares: Sum of their squares.
    """

    utterances: int = 0
    sum: int = 0
    squares: int = 0

    @classmethod
    def of(cls, differences: Iterable[int]) -> "Deficit":
        """The deficit of a part of a set."""
        values = list(differences)
        return cls(len(values), sum(values), sum(value * value for value in values))

    def __add__(self, other: "Deficit") -> "Deficit":
        return Deficit(self.utterances + other.utterances, self.sum + other.sum, self.squares + other.squares)

    def lost(self, whole: int, level: float, unseen: float = UNSEEN) -> bool:
        """Whether the system has lost.

        Args:
            whole: Utterances of the whole set.
            level: Probability of saying so of a system that makes as many errors on the whole set as its rival.
            unseen: Added to the sum of squares.
        """
        if self.sum <= 0 or self.utterances >= whole:
            return False
        variance = (self.squares + unseen) / self.utterances
        return self.sum**2 > whole * variance * math.log(1 / level) / 2
