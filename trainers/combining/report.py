"""What is kept of an ensemble beside its word errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainers.artifacts import Score


@dataclass(frozen=True, slots=True)
class EnsembleReport:
    """Who was combined, how, and what the best of them has alone.

    Attributes:
        rule: Name of the fusion rule.
        members: Name and share of every member that counts, the heaviest first; shares sum to one.
        chosen: How members and weights were found, in plain words.
        searches: Searches that an utterance takes.
        single: The member of the whole pool with the fewest errors alone, under the same decoder and language model.
        single_score: Its errors on dev.
    """

    rule: str
    members: tuple[tuple[str, float], ...]
    chosen: str
    searches: int
    single: str
    single_score: Score

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "EnsembleReport":
        """A report from plain values, as `dataclasses.asdict` makes them."""
        members = tuple((str(name), float(weight)) for name, weight in plain["members"])
        return cls(**{**plain, "members": members, "single_score": Score(**plain["single_score"])})

    def __str__(self) -> str:
        listed = ", ".join(f"{name} {weight:.2f}" for name, weight in self.members)
        return f"{self.rule} of {listed}; best single of the pool {self.single} {self.single_score.wer:.1f} %"
