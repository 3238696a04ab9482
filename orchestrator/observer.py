"""Who watches a run. The runner says what happens; an observer shows it."""

from collections.abc import Sequence
from typing import Protocol

from orchestrator.record import StudyRecord, TrialRecord
from trainers.spec import DecodingReport, EpochReport


class Observer(Protocol):
    """Told everything that a person may want to see."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """A step before the first trial, and how far it is."""

    def note(self, text: str) -> None:
        """Something to read."""

    def warn(self, text: str) -> None:
        """Something to read and think about."""

    def studies(self, studies: Sequence[StudyRecord]) -> None:
        """Where every study of the run stands now."""

    def started(self, trial: TrialRecord) -> None:
        """A trial began."""

    def epoch(self, trial: TrialRecord, report: EpochReport) -> None:
        """A trial finished an epoch."""

    def decoded(self, trial: TrialRecord, report: DecodingReport) -> None:
        """A trial decoded a part of a set that takes long."""

    def ended(self, trial: TrialRecord) -> None:
        """A trial ended, or went back to the queue."""

    def promoted(self, trial: TrialRecord, where: str) -> None:
        """A trial was promoted: ``study`` or ``champion``."""
