"""What an engine is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trainers.spec import DecodingReport, EpochReport, TrialOutcome, TrialSpec


@dataclass(frozen=True, slots=True)
class Job:
    """Trials of one study to run in one process, which share what they can.

    Attributes:
        specs: What is asked.
        store: Folder of the artifacts.
        logs: Folder for what they print: a file a trial, ``NUMBER.log``, or one for all of them, named by the first.
    """

    specs: tuple[TrialSpec, ...]
    store: Path
    logs: Path

    @property
    def trials(self) -> tuple[str, ...]:
        """``study#number`` of each, unique among the jobs of a run."""
        return tuple(spec.name for spec in self.specs)


@dataclass(frozen=True, slots=True)
class Reported:
    """A trial finished an epoch and waits to hear whether to go on."""

    trial: str
    report: EpochReport


@dataclass(frozen=True, slots=True)
class Decoded:
    """A trial has decoded a part of a set and goes on."""

    trial: str
    report: DecodingReport


@dataclass(frozen=True, slots=True)
class Finished:
    """A trial came to its end."""

    trial: str
    outcome: TrialOutcome


@dataclass(frozen=True, slots=True)
class Failed:
    """A trial cannot be run; the message is for the user."""

    trial: str
    error: str


@dataclass(frozen=True, slots=True)
class Died:
    """A trial's process is gone without a word: killed, out of memory, crashed; an event each of its trials."""

    trial: str
    reason: str


Event = Reported | Decoded | Finished | Failed | Died


class Engine(Protocol):
    """Runs jobs, several at a time."""

    @property
    def free(self) -> int:
        """How many more jobs may run now."""

    def start(self, job: Job) -> None:
        """Start a job; the runner calls this only while a place is free."""

    def events(self, timeout: float) -> list[Event]:
        """What happened, waiting for the first thing to happen at most ``timeout`` seconds."""

    def answer(self, trial: str, go_on: bool) -> None:
        """Answer a `Reported`."""

    def stop(self) -> None:
        """End every job at once; what their last epoch left in the store stays."""
