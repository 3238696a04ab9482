"""A study while its campaign runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.owner import Owner
from orchestrator.planning import definition_of, first_points
from orchestrator.record import TrialRecord, TrialState
from orchestrator.sampling import Claim, SampledStudy, Sampling
from orchestrator.start import Start, pinned_start, resolve_start, schema_of
from search_spaces.campaign import Campaign, StudyDefinition
from trainers.store import Store

_BATCH = 16  # trials that one process takes at most: the sampler chooses them without knowing each other's results
_BATCH_SECONDS = 2.0


@dataclass
class StudyRun:
    """A study between its first claim and its end.

    Attributes:
        definition: The study.
        sampled: Its trials.
        budget: Trials it may have in all.
        start: What its trials start from; None before the studies it needs have ended.
        run_id: Its run in MLflow; empty before a trial is claimed.
        exhausted: Whether nothing was left to claim when it was last asked.
        closed: Whether it has come to its end.
        pace: Seconds that its last trial took; None before one has ended.
    """

    definition: StudyDefinition
    sampled: SampledStudy
    budget: int
    start: Start | None = None
    run_id: str = ""
    exhausted: bool = False
    closed: bool = False
    pace: float | None = None

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
            budget: Trials it may have in all; None takes what the campaign says.

        Raises:
            StudyMismatchError: It was made from another definition.
        """
        definition = campaign.studies[name]
        points = first_points(definition)
        described = definition_of(campaign, definition, data)
        sampled = sampling.open(campaign.name, name, definition.strategy, described, definition.space, points)
        budget = budget or max(definition.trials, len(points))
        for name, value in (("budget", budget), ("changes", dict(campaign.changes))):
            if sampled.attribute(name) != value:
                sampled.note(name, value)
        return cls(definition, sampled, budget)

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
        claims = self.sampled.claim(Owner.me(), self.budget, self.definition.sampler, self.definition.seed, count)
        self.exhausted = not claims
        return claims

    def close(self) -> tuple[bool, TrialRecord | None]:
        """End the study if all its trials have ended, and promote the best of them.

        Returns:
            Whether it has ended just now, and its best trial if that was not promoted before.
        """
        if self.closed or not self.exhausted:
            return False, None
        record = self.sampled.record()
        if record.count(TrialState.RUNNING, TrialState.WAITING):
            self.exhausted = not record.count(TrialState.WAITING)
            return False, None
        self.closed = True
        best = record.best
        if best is None or best.number == record.promoted:
            return True, None
        self.sampled.note("promoted", best.number)
        return True, self.sampled.trial(best.number)
