"""What a finished study says about where it looked: an end of a range that wins, a language model that is no help."""

from collections.abc import Iterator, Sequence

from orchestrator.record import StudyRecord, TrialRecord, TrialState
from orchestrator.seed_noise import seed_noise
from search_spaces.campaign import StudyDefinition
from search_spaces.space import Axis, Categorical, Value

_FEWEST = 8  # trials of which an edge says something: of two random points one is always at an end
_NEAR = 0.02  # of an axis, that is still its edge


def advice(definition: StudyDefinition, record: StudyRecord) -> tuple[str, ...]:
    """Plain sentences for the person who wrote the study.

    Args:
        definition: The study.
        record: Its trials.
    """
    complete = [trial for trial in record.trials if trial.dev_wer is not None]
    return (*_edges(definition, complete), *_greedy_wins(complete), *_survivors(record))


def _edges(definition: StudyDefinition, complete: Sequence[TrialRecord]) -> Iterator[str]:
    """Axes whose end is better than anything inside: the optimum may lie beyond."""
    searched = [trial for trial in complete if not _is_greedy(trial)]
    if len(searched) < _FEWEST:
        return
    lowest = min(trial.dev_wer or 0.0 for trial in searched)
    best = [trial for trial in searched if trial.dev_wer == lowest]
    for axis in definition.space:
        values = [trial.params[axis.name] for trial in best if axis.name in trial.params]
        ends = {_end(axis, value) for value in values}
        if len(values) == len(best) and len(ends) == 1 and None not in ends:
            shown = ", ".join(dict.fromkeys(f"{value:g}" for value in values if isinstance(value, int | float)))
            yield (
                f"study {definition.name}: the lowest WER lies at the {ends.pop()} end of {axis.name} ({shown} of "
                f"{axis.range}); a wider range may have a lower one"
            )


def _end(axis: Axis, value: Value) -> str | None:
    """Which end of its axis a value lies at; None inside, and where an axis has no ends or zero is one."""
    if isinstance(value, str | bool) or value is None:
        return None
    if isinstance(axis.range, Categorical):
        numbers = [one for one in axis.range.choices if isinstance(one, int | float) and not isinstance(one, bool)]
        if len(numbers) < max(len(axis.range.choices), 3):
            return None
        low, high = min(numbers), max(numbers)
        near = 0.0
    else:
        low, high = axis.range.low, axis.range.high
        near = 0.0 if axis.range.log else _NEAR * (high - low)
    if low == high:
        return None
    if value >= high - near:
        return "upper"
    # nothing lies below zero where zero means none, and most ranges that start there mean it
    return "lower" if value <= low + near and low != 0 else None


def _greedy_wins(complete: Sequence[TrialRecord]) -> Iterator[str]:
    """Posteriors that a search with the language model makes no better."""
    for source in dict.fromkeys(trial.needs.get("posteriors", ()) for trial in complete if _is_greedy(trial)):
        alike = [trial for trial in complete if trial.needs.get("posteriors", ()) == source]
        greedy = [trial.dev_wer or 0.0 for trial in alike if _is_greedy(trial)]
        searched = [trial.dev_wer or 0.0 for trial in alike if not _is_greedy(trial)]
        if searched and min(searched) >= min(greedy):
            yield (
                f"the language model does not help {', '.join(source)}: {min(greedy):.1f} % without it, "
                f"{min(searched):.1f} % at the best of {len(searched)} points with it"
            )


def _survivors(record: StudyRecord) -> Iterator[str]:
    """Replicates of which the worse were stopped early."""
    stopped = record.count(TrialState.PRUNED)
    if stopped and seed_noise(record) is not None:
        yield (
            f"study {record.name}: {stopped} of {record.finished} replicates stopped early, because they were losing; "
            "the mean of the others is too low, and so is their spread: write pruner: none"
        )


def _is_greedy(trial: TrialRecord) -> bool:
    return trial.params.get("decoding.method") == "greedy"
