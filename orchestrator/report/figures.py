"""The figures of a report: rates and differences with their intervals, learning curves, cost against WER."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from orchestrator.leaderboard.comparison import Verdict
from orchestrator.record import StudyRecord, TrialRecord
from orchestrator.report.answer import Row, cost, half
from orchestrator.report.drawing import Drawing, apart, linear, shortened, times, width_of
from trainers.scoring.bootstrap import Interval

COLOURS = 7
"""Classes ``c0`` ... of the style sheet; dashes tell the studies behind them from those before."""

_WIDTH = 440.0
_ROW = 26.0
_LETTERS = 24  # of a name
_COLOURED = "Blue: better than the baseline; orange: worse; grey: neither."


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the page.

    Attributes:
        svg: The drawing.
        alt: What it shows, in words.
        caption: What its marks are.
        wide: Whether it takes the whole width.
    """

    svg: str
    alt: str
    caption: str
    wide: bool = False


def intervals(rows: Sequence[tuple[str, Interval]], title: str, noun: str) -> Figure:
    """A row with an interval for each of several groups.

    Args:
        rows: Names and rates, from top to bottom.
        title: What stands below the axis.
        noun: What the groups are.
    """
    drawn = [_Bar(name, (_Mark(rate.points, rate.low, rate.high, "c0"),)) for name, rate in rows]
    told = "; ".join(f"{name} {rate.points:.1f} % [{rate.low:.1f}, {rate.high:.1f}]" for name, rate in rows)
    return Figure(_bars(drawn, title), f"{title} by {noun}: {told}", f"{title} by {noun}, with 95 % intervals.")


def rates(table: pd.DataFrame) -> Figure | None:
    """WER of every study with its interval, on dev and on test; None where no study has a result."""
    rows = [row for row in table.to_dict("records") if not pd.isna(row["dev_wer"])]
    if not rows:
        return None
    opened = any(not pd.isna(row["test_wer"]) for row in rows)
    base = next((row["dev_wer"] for row in rows if row["verdict"] == Verdict.BASELINE), None)
    drawing = _bars([_Bar(row["study"], tuple(_rates(row))) for row in rows], "WER (%)", base)
    told = "; ".join(
        f"{row['study']} {half(row, 'dev_wer', 'dev')} % on dev"
        + ("" if pd.isna(row["test_wer"]) else f", {half(row, 'test_wer', 'test')} % on test")
        for row in rows
    )
    marks = "Dot: dev; ring: dev with what the choice among several trials took from it put back"
    marks += "; square: test" if opened else ""
    marks += ". Lines: 95 % intervals" + ("." if base is None else "; dashes: dev WER of the baseline.")
    return Figure(drawing, f"WER by study: {told}", marks)


def differences(table: pd.DataFrame) -> Figure | None:
    """Differences from the baseline with their intervals; None where nothing was tested."""
    rows = [row for row in table.to_dict("records") if not pd.isna(row["difference"])]
    if not rows:
        return None
    bars = [
        _Bar(
            row["study"],
            (_Mark(row["difference"], row["difference_low"], row["difference_high"], str(row["verdict"])),),
        )
        for row in rows
    ]
    told = "; ".join(
        f"{row['study']} {half(row, 'difference', 'difference', '+')} points, {row['verdict']}" for row in rows
    )
    caption = (
        "Difference from the baseline on the same utterances, with 95 % intervals; left of the line is better. "
        f"{_COLOURED}"
    )
    return Figure(_bars(bars, "difference of WER (points)", 0.0), f"Difference from the baseline: {told}", caption)


@dataclass(frozen=True, slots=True)
class _Mark:
    """A value with its interval, which may be unknown."""

    value: float
    low: float
    high: float
    kind: str
    ring: float | None = None
    square: bool = False


@dataclass(frozen=True, slots=True)
class _Bar:
    """A row: its name and one or two marks."""

    name: str
    marks: Sequence[_Mark]


def _rates(row: Row) -> Sequence[_Mark]:
    marks = []
    for split, square in (("dev", False), ("test", True)):
        value, low, high = (row[f"{split}_{part}"] for part in ("wer", "low", "high"))
        if not pd.isna(value):
            ends = (value, value) if pd.isna(low) else (low, high)
            ring = row["dev_corrected"] if split == "dev" and not pd.isna(row["dev_corrected"]) else None
            marks.append(_Mark(value, *ends, "c3" if square else "c0", ring, square))
    return marks


def _bars(bars: Sequence[_Bar], title: str, upright: float | None = None) -> str:
    """A row for each name; where there are two marks in it, the one is a little above the other."""
    names = [shortened(bar.name, _LETTERS) for bar in bars]
    left, bottom = 14 + width_of(names), 12 + _ROW * len(bars)
    drawing = Drawing(_WIDTH, bottom + 40)
    ends = [end for bar in bars for mark in bar.marks for end in (mark.low, mark.high, mark.value, mark.ring)]
    scale = linear([end for end in [*ends, upright] if end is not None], left, _WIDTH - 16)
    drawing.below(scale, 6, bottom, title)
    if upright is not None:
        drawing.line(scale(upright), 6, scale(upright), bottom, "upright")
    for number, (bar, name) in enumerate(zip(bars, names, strict=True)):
        middle = 6 + _ROW * (number + 0.5)
        drawing.words(left - 10, middle + 4, name, "label", "end")
        for place, mark in enumerate(bar.marks):
            y = middle + (5 * (2 * place - 1) if len(bar.marks) > 1 else 0)
            drawing.line(scale(mark.low), y, scale(mark.high), y, f"bar {mark.kind}")
            if mark.ring is not None:
                drawing.mark(scale(mark.ring), y, f"ring {mark.kind}", f"{bar.name}: corrected {mark.ring:.1f}")
            hint = f"{bar.name}: {mark.value:.1f} [{mark.low:.1f}, {mark.high:.1f}]"
            drawing.mark(scale(mark.value), y, f"dot {mark.kind}", hint, square=mark.square)
    return str(drawing)


def curves(studies: Sequence[StudyRecord]) -> Figure | None:
    """Greedy dev WER after each epoch, of the trials that stand for their studies; None where none was trained.

    Args:
        studies: Their results read whole.
    """
    found = {study.name: curve for study in studies if study.result and (curve := _curve(study.result))}
    if not found:
        return None
    width, height, left, top, bottom = 820.0, 380.0, 44.0, 30.0, 330.0
    labels = [shortened(name, _LETTERS) for name in found]
    right = width - 24 - width_of(labels)
    drawing = Drawing(width, height)
    values = [wer for curve in found.values() for wer in curve.values()]
    x = linear([0, *(epoch for curve in found.values() for epoch in curve)], left, right, 8)
    y = linear([0, min(max(values), 105.0)], bottom, top)
    drawing.below(x, top, bottom, "epoch")
    drawing.beside(y, left, right, "dev WER (%), greedy")
    ends = [y(curve[max(curve)]) for curve in found.values()]
    for number, (label, curve, end) in enumerate(
        zip(labels, found.values(), apart(ends, 16, top, bottom), strict=True)
    ):
        kind = f"c{number % COLOURS}" + (" dashed" if number // COLOURS % 2 else "")
        points = [(x(epoch), y(wer)) for epoch, wer in sorted(curve.items())]
        drawing.path(points, f"curve {kind}")
        drawing.line(points[-1][0], points[-1][1], right + 6, end, f"leader {kind}")
        drawing.line(right + 6, end, right + 16, end, f"curve {kind}")
        drawing.words(right + 20, end + 4, label, "label")
    told = "; ".join(
        f"{name} from {curve[min(curve)]:.1f} to {curve[max(curve)]:.1f} %" for name, curve in found.items()
    )
    caption = (
        "Dev WER by greedy decoding after each epoch, of the trial that stands for its study. A study that trains "
        "nothing has no curve."
    )
    if any(study.result is not None and study.result.parted for study in studies):
        caption += " They are of the part of dev that tunes."
    return Figure(str(drawing), f"Learning curves: {told}", caption, wide=True)


def _curve(trial: TrialRecord) -> Mapping[int, float]:
    epochs = trial.outcome.epochs if trial.outcome is not None else ()
    return {report.epoch: report.dev_wer for report in epochs} or trial.curve


def costs(table: pd.DataFrame) -> Figure | None:
    """What each study cost, with all it needs, against its dev WER; None where no study has a result."""
    rows = [row for row in table.to_dict("records") if not pd.isna(row["dev_wer"])]
    if not rows:
        return None
    width, left, top, bottom = _WIDTH + 60, 44.0, 30.0, 270.0
    drawing = Drawing(width, bottom + 44)
    spent = [3600 * (row["cpu_hours_with_needs"] + row["gpu_hours_with_needs"]) for row in rows]
    x = times(spent, left, width - 24)
    ends = [end for row in rows for end in (row["dev_wer"], row["dev_low"], row["dev_high"]) if not pd.isna(end)]
    y = linear(ends, bottom, top)
    drawing.below(x, top, bottom, "time of all trials, with what the study needs (logarithmic)")
    drawing.beside(y, left, width - 24, "dev WER (%)")
    wers = [y(row["dev_wer"]) for row in rows]
    for row, seconds, place, label_y in zip(rows, spent, wers, apart(wers, 15, top, bottom), strict=True):
        kind = str(row["verdict"]) if row["verdict"] in (Verdict.BETTER, Verdict.WORSE) else "other"
        if not pd.isna(row["dev_low"]):
            drawing.line(x(seconds), y(row["dev_low"]), x(seconds), y(row["dev_high"]), f"bar faint {kind}")
        drawing.mark(x(seconds), place, f"dot {kind}", f"{row['study']}: {cost(row)}, {half(row, 'dev_wer', 'dev')} %")
        beyond = x(seconds) > (left + width) / 2
        label = shortened(row["study"], _LETTERS)
        drawing.words(x(seconds) + (-9 if beyond else 9), label_y + 4, label, "label", "end" if beyond else "start")
    told = "; ".join(f"{row['study']} {cost(row)} for {half(row, 'dev_wer', 'dev')} %" for row in rows)
    both = all(any(row[f"{device}_hours_with_needs"] > 0 for row in rows) for device in ("cpu", "gpu"))
    caption = (
        f"Further down is better, further left is cheaper; lines: 95 % intervals. {_COLOURED} Times are of the "
        f"processor, or wall time on a GPU{'; here both are added' if both else ''}."
    )
    return Figure(str(drawing), f"Cost against dev WER: {told}", caption)
