"""The surface that a study searched over saved posteriors: the points as good as the best, and the middle of them.

The lowest WER of many points is the luckiest too: it has what the weights are worth, and what they happen to be worth
on this set. The points whose paired difference from it is within noise form a flat region, and its middle is the point
that stays good on another set.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.record import TrialRecord
from search_spaces.axes.decoding import DecodingSettings
from search_spaces.space import Axis, Categorical, Space, Value
from trainers.data.parting import Part
from trainers.outcomes import UtteranceErrors, find_errors
from trainers.scoring.paired import Gain, gain_of_counts
from trainers.store import Store

_FEWEST = 3  # choices that lie along an axis; between two there is no middle

NOISE = 2.0  # standard errors of a paired difference; `benchmarks/surface.py` compares others


ErrorsOf = Callable[[TrialRecord], UtteranceErrors | None]
"""Gives the errors of a complete trial on dev; None where what it recognised is gone."""


@dataclass(frozen=True, slots=True)
class Surface:
    """What a study found.

    Attributes:
        best: The trial of the lowest WER, the earliest of several.
        middle: The trial in the middle of the flat region.
        flat: The trials of the flat region, by number.
        loss: By number, how much worse a trial is than the one that the flat region is about; only trials whose errors
            are known.
    """

    best: TrialRecord
    middle: TrialRecord
    flat: tuple[TrialRecord, ...]
    loss: Mapping[int, Gain]

    def __str__(self) -> str:
        middle, best = (f"#{trial.number} ({trial.dev_wer:.1f} %)" for trial in (self.middle, self.best))
        return f"{middle} is the middle of {len(self.flat)} points within noise; the lowest WER is that of {best}"


def errors_in(store: Store, part: Part = "tuning") -> ErrorsOf:
    """Reads the errors of trials from the outcomes in a store, each once.

    Args:
        store: Where they are.
        part: The part of dev, where it is parted; what chooses among trials is told of the tuning part alone.
    """
    known: dict[str, UtteranceErrors | None] = {}

    def errors_of(trial: TrialRecord) -> UtteranceErrors | None:
        if trial.key not in known:
            known[trial.key] = find_errors(store.path("outcomes", trial.key), part)
        return known[trial.key]

    return errors_of


def loss(trial: TrialRecord, other: TrialRecord, errors_of: ErrorsOf) -> Gain | None:
    """How much worse a trial is than another on the same utterances; None where that cannot be told."""
    mine, theirs = errors_of(trial), errors_of(other)
    if mine is None or theirs is None or not mine.comparable(theirs):
        return None
    return gain_of_counts(mine.errors, theirs.errors, mine.words)


def within_noise(difference: Gain) -> bool:
    """Whether a difference is no more than chance gives."""
    return abs(difference.points) <= NOISE * difference.error


def find_surface(space: Space, trials: Sequence[TrialRecord], errors_of: ErrorsOf) -> Surface | None:
    """The flat region of a study and its middle.

    It is a region of one surface: of the same posteriors, language model, choices and overrides. A reference such as
    greedy decoding is no point of a surface, and a region of its own if it is the best. The best points are decoded
    again with wider pruning: such a repeat counts only if it is better beyond noise than the best point of the search.

    Args:
        space: The axes.
        trials: The study's trials.
        errors_of: Gives their errors.

    Returns:
        None before a trial is complete.
    """
    complete = [trial for trial in trials if trial.dev_wer is not None]
    best = min(complete, key=_rank, default=None)
    if best is None:
        return None
    centre = best
    if best.repeats is not None:
        first = min((trial for trial in complete if trial.repeats is None), key=_rank, default=best)
        gap = loss(first, best, errors_of)
        centre = first if gap is None or within_noise(gap) else best
    losses = {trial.number: found for trial in complete if (found := loss(trial, centre, errors_of)) is not None}
    alike = [trial for trial in complete if surface_of(space, trial) == surface_of(space, centre)]
    flat = [trial for trial in alike if trial.number in losses and within_noise(losses[trial.number])] or [centre]
    flat.sort(key=lambda trial: trial.number)
    return Surface(best, _middle(space, flat), tuple(flat), losses)


def measures(axis: Axis) -> bool:
    """Whether points lie near or far along an axis; another order of the language model is another model."""
    if isinstance(axis.range, Categorical):
        field = DecodingSettings.model_fields.get(axis.name.removeprefix("decoding."))
        return field is not None and field.annotation is float and len(set(axis.range.choices)) >= _FEWEST
    return not axis.name.startswith("language_model.")


def extent(axis: Axis) -> tuple[float, float]:
    """The low and the high end of an axis that measures; of numbers to choose from, the least and the greatest."""
    if isinstance(axis.range, Categorical):
        numbers = [float(one) for one in axis.range.choices if isinstance(one, int | float)]
        return min(numbers), max(numbers)
    return axis.range.low, axis.range.high


def surface_of(space: Space, trial: TrialRecord) -> tuple[Any, ...]:
    """What trials of one surface have in common: all but their places along the axes that measure."""
    axes = {axis.name for axis in space if measures(axis)}
    others = sorted((name, repr(value)) for name, value in trial.params.items() if name not in axes)
    needs = sorted((name, tuple(sources)) for name, sources in trial.needs.items())
    return *others, *needs, tuple(sorted(axes & set(trial.params))), tuple(sorted(trial.overrides))


def _middle(space: Space, flat: Sequence[TrialRecord]) -> TrialRecord:
    """The medoid: the trial nearest to all others in the unit cube; of equals the one of lower WER, then the earlier.

    Unlike the mean it is a point that was decoded, inside the region whatever its shape.
    """
    axes = [axis for axis in space if measures(axis) and axis.name in flat[0].params]
    places = [[place_on(axis, trial.params[axis.name]) for axis in axes] for trial in flat]
    # the last digits depend on the order of the sum and on the axes' units
    totals = [round(math.fsum(math.dist(place, other) for other in places), 9) for place in places]
    return min(zip(totals, flat, strict=True), key=lambda pair: (pair[0], _rank(pair[1])))[1]


def is_logarithmic(axis: Axis) -> bool:
    """Whether distances along an axis are those of logarithms."""
    return not isinstance(axis.range, Categorical) and axis.range.log


def place_on(axis: Axis, value: Value) -> float:
    """Where on an axis a value lies: 0 at its low end, 1 at its high end."""
    assert isinstance(value, int | float)
    low, high = extent(axis)
    if low == high:
        return 0.0
    if is_logarithmic(axis):
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _rank(trial: TrialRecord) -> tuple[float, int]:
    return trial.dev_wer or 0.0, trial.number
