"""What is known of a trial, as a frozen value; everything that is shown or exported is made from these."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from search_spaces.errors import UserError
from search_spaces.replicates import SEED
from search_spaces.space import Value
from trainers.artifacts import Score
from trainers.spec import TrialOutcome


class TrialState(StrEnum):
    """Where a trial stands."""

    WAITING = "waiting"
    """In the queue: enqueued, or interrupted and to be taken up again."""
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    """Stopped because it was losing."""
    FAILED = "failed"

    @property
    def finished(self) -> bool:
        """Whether it will not run any more."""
        return self in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED)


@dataclass(frozen=True, slots=True)
class FinalScore:
    """How a trial's system did on the test set.

    Attributes:
        score: Word errors, pooled.
        look: Which look of its strategy at that set it was.
        test_set: Key of the set's content.
    """

    score: Score
    look: int
    test_set: str


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial.

    Attributes:
        campaign: Name of the campaign.
        study: Name of the study.
        strategy: Name of the study's strategy.
        number: Number within the study, from 0.
        state: Where it stands.
        params: The point of the space, by dotted name.
        settings: The sections of settings that its strategy uses, resolved; empty before it is claimed.
        needs: What it takes from other studies: for each need the study and trial, as ``study#number``.
        curve: Dev WER in percent after each epoch, by one-based epoch.
        outcome: What came of it; None unless it is complete or pruned.
        error: Why it failed; empty otherwise.
        started: When it was claimed, local time.
        finished: When it ended, local time.
        key: Digest of all that decides its result; empty before it is claimed.
        provenance: Commit, whether the tree was dirty, library versions, host, fingerprints.
        run_id: Its run in MLflow; empty before it has one.
        deaths: Attempts whose process died.
        promoted: Whether it stands for its study.
        freed: Whether its weights were freed; its record and what it recognised stay.
        overrides: Settings laid over its point, outside the search; empty for a point that the search chose.
        repeats: Number of the trial whose point it repeats with `overrides`; None for a point of its own.
        final: How its system did on the test set; None before the campaign is finalized.
    """

    campaign: str
    study: str
    strategy: str
    number: int
    state: TrialState
    params: Mapping[str, Value] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    curve: Mapping[int, float] = field(default_factory=dict)
    outcome: TrialOutcome | None = None
    error: str = ""
    started: datetime | None = None
    finished: datetime | None = None
    key: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)
    run_id: str = ""
    deaths: int = 0
    promoted: bool = False
    freed: bool = False
    overrides: Mapping[str, Value] = field(default_factory=dict)
    repeats: int | None = None
    final: FinalScore | None = None

    @property
    def name(self) -> str:
        """``campaign/study#number``."""
        return f"{self.campaign}/{self.study}#{self.number}"

    def refuse_freed(self) -> None:
        """Refuse a trial whose weights are gone where they are wanted.

        Raises:
            UserError: They were freed; the message says how they are come by again.
        """
        if self.freed:
            raise UserError(
                f"the weights of {self.name} were freed to save space; the same training gives them again: "
                f"orchestrator free {self.campaign}/{self.study} --restore {self.number}"
            )

    @property
    def point(self) -> str:
        """Its point in one line, for reading."""
        shown = (f"{value:.4g}" if isinstance(value, float) else str(value) for value in self.params.values())
        return ", ".join(f"{name}={value}" for name, value in zip(self.params, shown, strict=True))

    @property
    def dev_wer(self) -> float | None:
        """Dev WER in percent of a complete trial; None for every other: a part of a run is not ranked.

        What the trials of a study are ranked by. Where dev is parted, it is that of the part that tunes.
        """
        if self.state is not TrialState.COMPLETE or self.outcome is None or self.outcome.score is None:
            return None
        return self.outcome.score.wer

    @property
    def judged_wer(self) -> float | None:
        """The same, to be told and compared with that of other studies; of the part that judges if dev is parted."""
        judged = None if self.dev_wer is None or self.outcome is None else self.outcome.judged
        return None if judged is None else judged.wer

    @property
    def parted(self) -> bool:
        """Whether one part of dev judges it and another chose it."""
        return self.outcome is not None and self.outcome.selection is not None

    @property
    def confirms(self) -> int | None:
        """Number of the trial whose configuration it trains again with a fresh seed; None for every other trial."""
        return self.repeats if SEED in self.overrides else None

    @property
    def seed(self) -> int | None:
        """Seed of the training; None for a trial that trains nothing."""
        seed = self.settings.get("train", {}).get("seed")
        return seed if isinstance(seed, int) else None


@dataclass(frozen=True)  # without slots, so that what is asked again and again is found once
class StudyRecord:
    """One study and its trials.

    Attributes:
        campaign: Name of the campaign.
        name: Name of the study.
        strategy: Name of its strategy.
        trials: Every trial, by number.
        promoted: Number of the trial that stands for it; None before one is promoted.
        promoted_beside: Number of the best trial at the time when that one was promoted.
        run_id: Its run in MLflow, the parent of its trials' runs; empty before it has one.
        budget: Trials it may have in all, as of its last run.
        changes: Values by dotted name that took the place of the campaign file's in its last run.
        advice: What a person should know of its result, in sentences.
        start: What its trials start from, as plain values; empty before it has begun.
        confirm: How its configurations are confirmed, as of its last run, as plain values; empty before it has begun.
        confirmations: Trials of the budget that confirm.
    """

    campaign: str
    name: str
    strategy: str
    trials: tuple[TrialRecord, ...] = ()
    promoted: int | None = None
    promoted_beside: int | None = None
    run_id: str = ""
    budget: int = 0
    changes: Mapping[str, Any] = field(default_factory=dict)
    advice: tuple[str, ...] = ()
    start: Mapping[str, Any] = field(default_factory=dict)
    confirm: Mapping[str, int] = field(default_factory=dict)
    confirmations: int = 0

    @cached_property
    def searched(self) -> tuple[TrialRecord, ...]:
        """The trials of the search: all but those that confirm."""
        return tuple(trial for trial in self.trials if trial.confirms is None)

    def origin(self, trial: TrialRecord) -> TrialRecord:
        """The trial of the search whose configuration a trial has: of one that confirms another, that one."""
        if trial.confirms is None:
            return trial
        return next((one for one in self.trials if one.number == trial.confirms), trial)

    def count(self, *states: TrialState) -> int:
        """How many trials are in one of the states."""
        return sum(trial.state in states for trial in self.trials)

    @property
    def finished(self) -> int:
        """How many trials have ended."""
        return sum(trial.state.finished for trial in self.trials)

    @cached_property
    def best(self) -> TrialRecord | None:
        """The complete trial of the search of the lowest dev WER, the earliest of several; None when there is none."""
        complete = [trial for trial in self.searched if trial.dev_wer is not None]
        return min(complete, key=lambda trial: (trial.dev_wer, trial.number), default=None)

    @cached_property
    def result(self) -> TrialRecord | None:
        """The trial that stands for the study: the promoted one until a better one comes, then the best."""
        best = self.best
        if best is None or best.number != self.promoted_beside:
            return best
        return next((trial for trial in self.trials if trial.number == self.promoted), best)
