"""What an engine is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trainers.spec import EpochReport, TrialOutcome, TrialSpec


@dataclass(frozen=True, slots=True)
class Job:
    """A trial to run.

    Attributes:
        spec: What is asked.
        store: Folder of the artifacts.
        log: File for what the trial prints.
    """

    spec: TrialSpec
    store: Path
    log: Path

    @property
    def name(self) -> str:
        """``study#number``, unique among the jobs of a run."""
        return f"{self.spec.study}#{self.spec.number}"


@dataclass(frozen=True, slots=True)
class Reported:
    """A job finished an epoch and waits to hear whether to go on."""

    job: str
    report: EpochReport


@dataclass(frozen=True, slots=True)
class Finished:
    """A job came to its end."""

    job: str
    outcome: TrialOutcome


@dataclass(frozen=True, slots=True)
class Failed:
    """A job cannot be run; the message is for the user."""

    job: str
    error: str


@dataclass(frozen=True, slots=True)
class Died:
    """A job's process is gone without a word: killed, out of memory, crashed."""

    job: str
    reason: str


Event = Reported | Finished | Failed | Died


class Engine(Protocol):
    """Runs jobs, several at a time."""

    slots: int
    """How many jobs may run at once."""

    def start(self, job: Job) -> None:
        """Start a job; the runner calls this only while fewer than `slots` run."""

    def events(self, timeout: float) -> list[Event]:
        """What happened, waiting for the first thing to happen at most ``timeout`` seconds."""

    def answer(self, job: str, go_on: bool) -> None:
        """Answer a `Reported`."""

    def stop(self) -> None:
        """End every job at once; what their last epoch left in the store stays."""
