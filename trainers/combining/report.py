"""What is kept of an ensemble beside its word errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainers.artifacts import Score


@dataclass(frozen=True, slots=True)
class Part:
    """A member that counts.

    Attributes:
        name: Its name.
        weight: Its share; those of an ensemble sum to one.
        key: Of its checkpoint, or of its imported posteriors.
        is_network: Whether it is a checkpoint.
    """

    name: str
    weight: float
    key: str
    is_network: bool


@dataclass(frozen=True, slots=True)
class EnsembleReport:
    """Who was combined, how, and what the best of them has alone.

    Attributes:
        rule: Name of the fusion rule.
        members: Every member that counts, the heaviest first.
        chosen: How members and weights were found, in plain words.
        searches: Searches that an utterance takes.
        alone: What every member of the pool has alone on dev, under the same decoder and language model, the best
            first; in the part that tunes if dev is parted.
        selection: What the first of these has in the part of dev that judges; None where dev is not parted.
    """

    rule: str
    members: tuple[Part, ...]
    chosen: str
    searches: int
    alone: tuple[tuple[str, Score], ...]
    selection: Score | None = None

    @property
    def single(self) -> str:
        """The best member of the pool alone."""
        return self.alone[0][0]

    @property
    def single_score(self) -> Score:
        """Its errors on dev, by which it is the best."""
        return self.alone[0][1]

    @property
    def single_judged(self) -> Score:
        """Its errors that are told beside the ensemble's: in the part of dev that judges, if there is one."""
        return self.single_score if self.selection is None else self.selection

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "EnsembleReport":
        """A report from plain values, as `dataclasses.asdict` makes them."""
        members = tuple(Part(**member) for member in plain["members"])
        alone = tuple((str(name), Score(**score)) for name, score in plain["alone"])
        selection = Score(**plain["selection"]) if plain.get("selection") else None
        return cls(**{**plain, "members": members, "alone": alone, "selection": selection})

    def __str__(self) -> str:
        listed = ", ".join(f"{member.name} {member.weight:.2f}" for member in self.members)
        judged = "" if self.selection is None else f", {self.selection.wer:.1f} % where dev judges"
        return f"{self.rule} of {listed}; best single of the pool {self.single} {self.single_score.wer:.1f} %{judged}"
