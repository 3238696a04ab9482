"""What a finished study says of its result: an end of a range wins, the language model is no help, pruning decides."""

from collections.abc import Iterator, Sequence

from orchestrator.confirmed import replicates
from orchestrator.record import StudyRecord, TrialRecord, TrialState
from orchestrator.seed_noise import seed_noise
from orchestrator.surface import ErrorsOf, loss, within_noise
from search_spaces.campaign import StudyDefinition
from search_spaces.space import Axis, Categorical, Value
from trainers.scoring.paired import Gain

_FEWEST = 8  # trials of which an edge says something: of two random points one is always at an end
_NEAR = 0.02  # of an axis, that is still its edge
_ANEW = "with wider thresholds, in a study of another name"


def advice(definition: StudyDefinition, record: StudyRecord, errors_of: ErrorsOf) -> tuple[str, ...]:
    """Plain sentences for the person who wrote the study.

    Args:
        definition: The study.
        record: Its trials.
        errors_of: Gives the errors of its trials.
    """
    complete = [trial for trial in record.trials if trial.dev_wer is not None]
    return (
        *_edges(definition, complete),
        *_greedy_wins(complete),
        *_pruning(definition, complete, errors_of),
        *_survivors(record),
    )


def _edges(definition: StudyDefinition, complete: Sequence[TrialRecord]) -> Iterator[str]:
    """Axes whose end is better than anything inside: the optimum may lie beyond."""
    searched = [trial for trial in complete if not _is_greedy(trial) and trial.repeats is None]
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


def _pruning(definition: StudyDefinition, complete: Sequence[TrialRecord], errors_of: ErrorsOf) -> Iterator[str]:
    """A best point that is another, or worth something else, when it is searched again with wider pruning."""
    numbered = {trial.number: trial for trial in complete}
    repeats = [trial for trial in complete if trial.repeats in numbered and trial.confirms is None]
    pairs = [(numbered[trial.repeats or 0], trial) for trial in repeats]
    if not pairs:
        return
    best, again = min(pairs, key=lambda pair: (pair[0].dev_wer, pair[0].number))
    other, better = min(pairs, key=lambda pair: (pair[1].dev_wer, pair[1] is not again, pair[1].number))
    wider = ", ".join(f"{name.removeprefix('decoding.')} {value:g}" for name, value in again.overrides.items())
    said = f"study {definition.name}: with wider pruning ({wider}) the best point, #{best.number} ({best.point}), has "
    change, gap = loss(again, best, errors_of), loss(again, better, errors_of)
    if change is not None and not within_noise(change):
        said += (
            f"{again.dev_wer:.1f} % WER where it had {best.dev_wer:.1f} % ({_shown(change)}): the thresholds decide. "
        )
        if change.points > 0:
            yield f"{said}Its weights suit the narrow search alone; search them {_ANEW}"
        else:
            yield f"{said}The narrow search loses better hypotheses; search the weights {_ANEW}"
    elif other is not best and gap is not None:
        said += (
            f"{again.dev_wer:.1f} % WER and #{other.number} ({other.point}) {better.dev_wer:.1f} % ({_shown(gap)}), "
            f"before {best.dev_wer:.1f} and {other.dev_wer:.1f} %: "
        )
        if within_noise(gap):
            yield f"{said}within noise, so that the thresholds decide nothing that this set can show"
        else:
            yield f"{said}the thresholds decide. Search the weights {_ANEW}"


def _shown(difference: Gain) -> str:
    return f"{difference.points:+.1f} points, standard error {difference.error:.1f}"


def _survivors(record: StudyRecord) -> Iterator[str]:
    """Replicates of which the worse were stopped early."""
    stopped = record.count(TrialState.PRUNED)
    if stopped and seed_noise(record) is not None and not replicates(record):
        yield (
            f"study {record.name}: {stopped} of {record.finished} replicates stopped early, because they were losing; "
            "the mean of the others is too low, and so is their spread: write pruner: none"
        )


def _is_greedy(trial: TrialRecord) -> bool:
    return trial.params.get("decoding.method") == "greedy"
