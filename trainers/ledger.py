"""The ledger of looks at test sets: who looked at which, with what, and how often before.

A look is noted before a transcript is read and its result afterwards, so that a process that dies in between has
looked. A test set is known by its content, a system by the key of its trial. Systems that are noted together belong to
one *opening*: nothing was known of the set's answers when they were handed in. A system's look is numbered by the
openings in which its strategy was there before: the second, different submission of a strategy is look 2.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from filelock import FileLock

from search_spaces.errors import StoreError
from trainers.artifacts import Score
from trainers.store import write_text

LEDGER = "test_looks.jsonl"


@dataclass(frozen=True, slots=True)
class Submission:
    """A system that is handed in.

    Attributes:
        system: Key of its trial.
        strategy: Name of its strategy.
        campaign: Name of the campaign.
        study: Name of the study.
        trial: Number of the trial in it.
    """

    system: str
    strategy: str
    campaign: str
    study: str
    trial: int


@dataclass(frozen=True, slots=True)
class Occasion:
    """When and by whom test sets are opened.

    Attributes:
        when: Date and time, UTC.
        who: User and machine.
        commit: Of the code; empty where it is not known.
    """

    when: str
    who: str
    commit: str


@dataclass(frozen=True, slots=True)
class Look:
    """One system's look at one test set.

    Attributes:
        test_set: Key of the set's content.
        manifest: Where it lay.
        submission: The system.
        opening: How many times the set had been opened, this time included.
        number: How many times it had been opened for this strategy, this time included.
        occasion: When and by whom.
        score: Word errors; None as long as the result is not stored.
    """

    test_set: str
    manifest: str
    submission: Submission
    opening: int
    number: int
    occasion: Occasion
    score: Score | None = None


class Ledger:
    """The looks of a store; nothing is ever taken out.

    Args:
        root: Folder of the store.
    """

    def __init__(self, root: Path) -> None:
        self.path = root / LEDGER
        self._lock = FileLock(root / f".{LEDGER}.lock")

    def looks(self, test_set: str | None = None) -> list[Look]:
        """Every look, at one set or at any, in the order in which they were noted.

        Raises:
            StoreError: The ledger cannot be read.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
            found = [_look(json.loads(line)) for line in text.splitlines()]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StoreError(f"the ledger of test sets {self.path} cannot be read: {error}") from error
        return [look for look in found if test_set in (None, look.test_set)]

    def find(self, test_set: str, system: str) -> Look | None:
        """The look of a system at a set; None if it has not looked."""
        return next((look for look in self.looks(test_set) if look.submission.system == system), None)

    def preview(self, test_set: str, submissions: Sequence[Submission]) -> list[int]:
        """The numbers that looks of systems would have, or have."""
        before = self.looks(test_set)
        return [look.number for look in _together(before, test_set, "", submissions, Occasion("", "", ""))]

    def note(self, test_set: str, manifest: str, submissions: Sequence[Submission], occasion: Occasion) -> list[Look]:
        """Note that systems look at a set; a system that has looked keeps its look.

        Args:
            test_set: Key of the set's content.
            manifest: Where it lies.
            submissions: Systems, each once.
            occasion: When and by whom.

        Returns:
            A look each.

        Raises:
            StoreError: The ledger cannot be written; nobody may look.
        """
        with self._lock:
            everything = self.looks()
            before = [look for look in everything if look.test_set == test_set]
            looks = _together(before, test_set, manifest, submissions, occasion)
            self._write([*everything, *(look for look in looks if look not in before)])
        return looks

    def record(self, look: Look, score: Score) -> Look:
        """Note the result of a look; the first one stays.

        Raises:
            ValueError: The look has not been noted.
        """
        with self._lock:
            everything = {_place(one): one for one in self.looks()}
            noted = everything.get(_place(look))
            if noted is None:
                raise ValueError(f"nobody noted the look of {look.submission.system} at {look.test_set}")
            if noted.score is None:
                noted = everything[_place(look)] = replace(noted, score=score)
                self._write(list(everything.values()))
        return noted

    def _write(self, looks: Sequence[Look]) -> None:
        write_text(self.path, "".join(json.dumps(asdict(look), ensure_ascii=False) + "\n" for look in looks))


def _place(look: Look) -> tuple[str, str]:
    return look.test_set, look.submission.system


def _together(
    before: Sequence[Look], test_set: str, manifest: str, submissions: Sequence[Submission], occasion: Occasion
) -> list[Look]:
    """The looks of systems: those they had, and those that a new opening would give the others."""
    known = {look.submission.system: look for look in before}
    opening = max((look.opening for look in before), default=0) + 1
    looks = []
    for one in submissions:
        earlier = {look.opening for look in before if look.submission.strategy == one.strategy}
        fresh = Look(test_set, manifest, one, opening, len(earlier) + 1, occasion)
        looks.append(known.get(one.system, fresh))
    return looks


def _look(entry: dict[str, object]) -> Look:
    plain = dict(entry)
    submission, occasion, score = plain.pop("submission"), plain.pop("occasion"), plain.pop("score")
    return Look(
        **plain,  # type: ignore[arg-type]
        submission=Submission(**submission),  # type: ignore[arg-type]
        occasion=Occasion(**occasion),  # type: ignore[arg-type]
        score=Score(**score) if score else None,  # type: ignore[arg-type]
    )
