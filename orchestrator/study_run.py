"""A study while its campaign runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.advice import advice
from orchestrator.confirmation import confirmations_of, how_confirmed, points_to_confirm, verdict
from orchestrator.confirmed import ranking
from orchestrator.owner import Owner
from orchestrator.planning import definition_of, first_points
from orchestrator.record import StudyRecord, TrialRecord, TrialState
from orchestrator.sampling import Claim, SampledStudy, Sampling
from orchestrator.start import Start, pinned_start, resolve_start, schema_of
from orchestrator.surface import ErrorsOf, find_surface
from orchestrator.widening import own_budget, repeats_of, widened_points
from search_spaces.campaign import Campaign, ConfirmSettings, StudyDefinition
from trainers.spec import Race, TrialSpec
from trainers.store import Store

_BATCH = 16  # trials that one process takes at most: the sampler chooses them without knowing each other's results
_BATCH_SECONDS = 2.0
_NONE_CONFIRMED = "of every configuration a run with a fresh seed failed: what is promoted is the best of the search"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a study ended.

    Attributes:
        promoted: The trial that was promoted; None if it had been before, or if none is complete.
        remark: How it was chosen; empty where it is simply the best.
        advice: What a person should know of the result.
    """

    promoted: TrialRecord | None
    remark: str
    advice: tuple[str, ...]


@dataclass
class StudyRun:
    """A study between its first claim and its end.

    Attributes:
        definition: The study.
        sampled: Its trials.
        budget: Trials that its search may have.
        confirm: How its configurations are confirmed.
        start: What its trials start from; None before the studies it needs have ended.
        run_id: Its run in MLflow; empty before a trial is claimed.
        exhausted: Whether nothing was left to claim when it was last asked.
        closed: Whether it has come to its end.
        pace: Seconds that its last complete trial took; None before there is one.
        kept: Trials of the budget that repeat the best points at last.
    """

    definition: StudyDefinition
    sampled: SampledStudy
    budget: int
    confirm: ConfirmSettings
    start: Start | None = None
    run_id: str = ""
    exhausted: bool = False
    closed: bool = False
    pace: float | None = None
    kept: int = 0

    @classmethod
    def open(
        cls, campaign: Campaign, name: str, sampling: Sampling, data: Mapping[str, str], budget: int | None
    ) -> "StudyRun":
        """Open a study of a campaign, made now if it is new.

        Args:
            campaign: The campaign.
            name: Name of the study.
            sampling: Where it is kept.
            data: Fingerprints of the campaign's files, by name.
            budget: Trials that its search may have; None takes what the campaign says.

        Raises:
            StudyMismatchError: It was made from another definition.
        """
        definition = campaign.studies[name]
        points = first_points(definition)
        described = definition_of(campaign, definition, data)
        sampled = sampling.open(campaign.name, name, definition.strategy, described, definition.space, points)
        budget = budget or own_budget(definition)
        confirm = how_confirmed(definition, sampled.record(), budget)
        run = cls(definition, sampled, budget, confirm, kept=repeats_of(definition, budget))
        run._note("changes", dict(campaign.changes))
        run._note("confirm", confirm.model_dump())
        run._note_budget()
        return run

    def _note(self, name: str, value: Any) -> None:
        if self.sampled.attribute(name) != value:
            self.sampled.note(name, value)

    def _note_budget(self) -> None:
        """Note how many trials there may be in all: before the search has ended, with all that may confirm it."""
        count = confirmations_of(self.sampled.record(), self.definition.space, self.confirm, self.budget)
        self._note("budget", self.budget + count)
        self._note("confirmations", count)

    def settle(self, before: Mapping[str, "StudyRun"], store: Store) -> bool:
        """Settle what the trials start from, once; whether trials may start.

        Args:
            before: The studies that this one needs.
            store: Where checkpoints are.
        """
        if not all(study.closed for study in before.values()):
            return False
        if self.start is not None:
            return True
        pinned = self.sampled.attribute("start")
        if pinned is not None:
            self.start = pinned_start(pinned, store)
            return True
        records = {name: study.sampled.record() for name, study in before.items()}
        if any(record.result is None for record in records.values()):
            return False
        starts = {name: study.start for name, study in before.items() if study.start is not None}
        self.start = resolve_start(self.definition, records, store, starts)
        self.sampled.note("start", self.start.plain())
        return True

    def claim(self) -> list[Claim]:
        """Take the next trials for one process: as many as it runs in two seconds, but one that trains comes alone.

        Returns:
            The claims; none when nothing is left to take.
        """
        count = 1
        if self.pace is not None and not schema_of(self.definition).trains:
            count = max(1, min(_BATCH, int(_BATCH_SECONDS / max(self.pace, 1e-3))))
        sampler, seed = self.definition.sampler, self.definition.seed
        claims = self.sampled.claim(Owner.me(), self.budget, sampler, seed, count, self.kept)
        self.exhausted = not claims
        return claims

    def in_race(self, found: Sequence[tuple[TrialSpec, Claim]]) -> tuple[TrialSpec, ...]:
        """The specs of claimed trials, each with its rival where the study races.

        That is the best complete trial over the same ingredients. References and repeats, whose settings are laid over
        a point, have none: others are compared with their results. Where a set is decoded quickly nobody races, and the
        study's trials need not be read.
        """
        pruner = self.definition.pruner
        quick = self.pace is not None and self.pace < pruner.seconds
        if pruner.kind != "race" or self.start is None or quick:
            return tuple(spec for spec, _ in found)
        complete = [trial for trial in self.sampled.record().trials if trial.dev_wer is not None]
        complete.sort(key=lambda trial: (trial.dev_wer, trial.number))
        entered = []
        for spec, claim in found:
            needs = {need: tuple(sources) for need, sources in self.start.named(spec).items()}
            rival = next((trial for trial in complete if trial.needs == needs), None)
            if rival is not None and not claim.overrides:
                name = f"{rival.study}#{rival.number}"
                spec = replace(spec, race=Race(name, rival.key, pruner.seconds, pruner.level))
            entered.append(spec)
        return tuple(entered)

    def close(self, errors_of: ErrorsOf) -> Ending | None:
        """End the study if all its trials have ended and its best points were tried again; promote one of them.

        Args:
            errors_of: Gives the errors of its trials.

        Returns:
            How it ended; None if it has not ended just now.
        """
        if self.closed or not self.exhausted:
            return None
        record = self.sampled.record()
        if record.count(TrialState.RUNNING, TrialState.WAITING):
            self.exhausted = not record.count(TrialState.WAITING)
            return None
        repeats = sum(trial.repeats is not None for trial in record.trials)
        left = min(self.kept - repeats, self.budget - len(record.trials))
        if left > 0:
            points = widened_points(record.trials, left)
            if points:
                self.exhausted = not self.sampled.append(points, len(record.trials))
            else:
                self.kept, self.exhausted = 0, False  # nothing to search again: the search goes on
            return None
        points = points_to_confirm(record, self.confirm)
        if points:
            self.exhausted = not self.sampled.append(points, len(record.trials))
            return None
        self._note_budget()
        self.closed = True
        return self._end(record, errors_of)

    def _end(self, record: StudyRecord, errors_of: ErrorsOf) -> Ending:
        """Decide what is promoted: the best trial, of a surface the middle of its flat region, or what is confirmed."""
        said = advice(self.definition, record, errors_of)
        self.sampled.note("advice", said)
        best = record.best
        if best is None:
            return Ending(None, "", said)
        chosen, remark = best, ""
        if schema_of(self.definition).surface:
            surface = find_surface(self.definition.space, record.trials, errors_of)
            assert surface is not None  # a trial is complete
            chosen, remark = surface.middle, str(surface)
        elif self.confirm.top:
            ranked = ranking(record)
            chosen, remark = (ranked[0].typical, verdict(ranked)) if ranked else (best, _NONE_CONFIRMED)
        self.sampled.note("promoted", chosen.number)
        self.sampled.note("promoted_beside", best.number)
        new = self.sampled.trial(chosen.number) if chosen.number != record.promoted else None
        return Ending(new, remark, said)
