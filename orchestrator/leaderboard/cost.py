"""What the trials of a study cost, those that came to nothing included, and what the studies behind it cost."""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.record import StudyRecord, TrialRecord
from search_spaces.campaign import StudyDefinition


@dataclass(frozen=True, slots=True)
class Cost:
    """Time spent.

    Attributes:
        cpu: Seconds of the processor, of trials that were computed on it.
        gpu: Seconds of wall time, of trials that were computed on a GPU.
    """

    cpu: float = 0.0
    gpu: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.cpu + other.cpu, self.gpu + other.gpu)


def study_cost(study: StudyRecord) -> Cost:
    """What all trials of a study that have ended cost.

    A trial that failed has left no account: it counts from its start to its end, on the device of the others.
    """
    on_gpu = any(_on_gpu(trial) for trial in study.trials)
    return sum((_trial_cost(trial, on_gpu) for trial in study.trials), Cost())


def _trial_cost(trial: TrialRecord, gpu_if_unknown: bool) -> Cost:
    if trial.outcome is not None:
        return Cost(gpu=trial.outcome.seconds) if _on_gpu(trial) else Cost(cpu=trial.outcome.cpu_seconds)
    if not trial.state.finished or trial.started is None or trial.finished is None:
        return Cost()
    seconds = (trial.finished - trial.started).total_seconds()
    return Cost(gpu=seconds) if gpu_if_unknown else Cost(cpu=seconds)


def _on_gpu(trial: TrialRecord) -> bool:
    # of a trial that moved, the device it ended on: its attempts have no accounts of their own
    return trial.outcome is not None and trial.outcome.computed_on.rpartition("; then ")[2].startswith("cuda")


def cost_with_needs(name: str, costs: Mapping[str, Cost], definitions: Mapping[str, StudyDefinition]) -> Cost:
    """The cost of a study and of all that it needs, directly or not, each counted once.

    Args:
        name: Name of the study.
        costs: Of the studies that have been run, by name.
        definitions: Of the campaign's studies; one that is not among them needs none of them.
    """
    return sum((costs[needed] for needed in behind(name, definitions) if needed in costs), Cost())


def behind(name: str, definitions: Mapping[str, StudyDefinition]) -> tuple[str, ...]:
    """A study and those that it needs or inherits from, directly or not; what others need comes first."""
    found: dict[str, None] = {}

    def visit(study: str) -> None:
        if study in definitions:
            for before in definitions[study].studies_before(definitions):
                visit(before)
        found.setdefault(study)

    visit(name)
    return tuple(found)
