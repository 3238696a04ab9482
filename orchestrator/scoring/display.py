"""Scored systems for people, in 80 columns, and for programs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from orchestrator.leaderboard.comparison import LEVEL, Verdict
from orchestrator.leaderboard.formats import probability, with_half
from orchestrator.report.error_analysis import Aligned
from orchestrator.scoring.references import ReferenceFile
from orchestrator.scoring.scored import ScoredSystem
from orchestrator.tables import percent, plain_table
from trainers.scoring.alignment import Kind, Step
from trainers.scoring.power import detectable_difference, difference_error_of_counts
from trainers.scoring.scorer import Scorer

_WIDTH = 80
_ABSENT = "*"

_COLUMNS = {
    "system": "left",
    "WER": "right",
    "S": "right",
    "D": "right",
    "I": "right",
    "diff.": "right",
    "p": "right",
    "Z": "right",
    "p of Z": "right",
    "verdict": "left",
}


def listed(
    references: ReferenceFile, scorer: Scorer, systems: Sequence[ScoredSystem], worst: Mapping[str, Sequence[Aligned]]
) -> str:
    """All figures, for a program; null for what was not computed.

    Args:
        references: What was said.
        scorer: Counted the errors.
        systems: The first is what the others were compared with.
        worst: Utterances of each system, by its name.
    """
    rows = [{**_row(one), "worst": [_steps(each) for each in worst[one.name]]} for one in systems]
    found = {"reference": str(references.path), "scorer": scorer.name, "utterances": len(references.texts)}
    return json.dumps({**found, "systems": rows}, indent=1, ensure_ascii=False)


def _row(system: ScoredSystem) -> dict[str, Any]:
    score, rate, compared = system.score, system.rate, system.comparison
    difference, pairs = compared.difference, compared.matched_pairs
    return {
        "system": system.name,
        "wer": score.wer,
        "wer_low": rate.low if rate else None,
        "wer_high": rate.high if rate else None,
        "errors": score.errors,
        **asdict(score),
        "verdict": compared.verdict.value,
        "reason": compared.reason,
        "difference": difference.points if difference else None,
        "difference_low": difference.low if difference else None,
        "difference_high": difference.high if difference else None,
        "p": difference.p if difference else None,
        "p_adjusted": compared.adjusted,
        "z_matched_pairs": pairs.z if pairs else None,
        "p_matched_pairs": pairs.p if pairs else None,
        "detectable": compared.detectable,
    }


def _steps(one: Aligned) -> dict[str, Any]:
    steps = [[step.kind.value, step.reference, step.hypothesis] for step in one.steps]
    return {"id": one.id, "speaker": one.speaker, "errors": one.errors, "words": one.words, "steps": steps}


def shown(systems: Sequence[ScoredSystem], scorer: Scorer, drawn: str) -> RenderableType:
    """The figures of one system in sentences, of several in a table.

    Args:
        systems: The first is what the others were compared with.
        scorer: Counted the errors.
        drawn: What was drawn for the intervals: ``utterances`` or ``speakers``.
    """
    if len(systems) == 1:
        return Group(*map(Text, _of_one(systems[0], scorer, drawn)))
    columns = {scorer.rate if name == "WER" else name: side for name, side in _COLUMNS.items()}
    table = plain_table(columns, [_cells(_row(system)) for system in systems])
    table.columns[0].overflow = "fold"  # a path that is cut tells nothing apart
    legend = (
        f"percent and points, ± half of the 95 % interval (bootstrap over {drawn}); diff.: from {systems[0].name}, "
        "with p of the paired bootstrap by Holm; Z: matched pairs (MAPSSWE), its p not corrected"
    )
    return Group(table, Text(legend, style="dim"), *map(Text, _of_several(systems, scorer)))


def _of_one(system: ScoredSystem, scorer: Scorer, drawn: str) -> Iterator[str]:
    score, rate = system.score, system.rate
    missing = f"too few {drawn}" if score.errors else "nothing is wrong"
    interval = f"95 % interval {rate.low:.1f} to {rate.high:.1f}" if rate else f"no interval: {missing}"
    yield f"{scorer.rate} {percent(score.wer)} ({interval}), scorer {scorer.name}"
    yield f"{score.errors} errors in {score.words} {scorer.units}, {len(system.errors.ids)} utterances"
    yield f"{score.substitutions} substituted, {score.deletions} deleted, {score.insertions} inserted"
    if 0 < score.wer < 100:
        points = detectable_difference(difference_error_of_counts(score), LEVEL)
        yield (
            f"Another system must differ by about {points:.1f} points to be told from it in 80 of 100 cases, if "
            f"{scorer.units} are wrong independently."
        )


def _of_several(systems: Sequence[ScoredSystem], scorer: Scorer) -> Iterator[str]:
    first = systems[0]
    yield f"{first.score.words} reference {scorer.units}, {len(first.errors.ids)} utterances, scorer {scorer.name}"
    for system in systems[1:]:
        yield _verdict(system, first.name, scorer)
        if system.comparison.difference is not None and system.comparison.matched_pairs is None:
            yield (
                f"{system.name} has no matched pairs test: it and {first.name} fitted different wordings of a reference"
            )


def _verdict(system: ScoredSystem, first: str, scorer: Scorer) -> str:
    compared = system.comparison
    difference = compared.difference
    if difference is None or compared.adjusted is None:
        return f"{system.name} is not tested: {compared.reason}"
    if compared.verdict is Verdict.TIE:
        words = f"{system.score.words} {scorer.units}"
        told = f"{system.name} and {first} tie: their difference is no more than noise"
        if compared.detectable is None:
            return told
        return (
            f"{told}; these {words} find one of {compared.detectable:.1f} points in 80 of "
            "100 cases, so a tie is no equality"
        )
    lower = difference.points < 0
    ends = (-difference.high, -difference.low) if lower else (difference.low, difference.high)
    return (
        f"{system.name} is {compared.verdict.value} than {first}: {scorer.rate} {abs(difference.points):.1f} "
        f"points {'lower' if lower else 'higher'} ({ends[0]:.1f} to {ends[1]:.1f}), p {probability(compared.adjusted)}"
    )


def _cells(figures: Mapping[str, Any]) -> list[str]:
    tested = figures["difference"] is not None
    paired = figures["z_matched_pairs"] is not None
    return [
        escape(figures["system"]),
        with_half(figures, "wer", "wer", plus_minus=" ±"),
        *(str(figures[kind]) for kind in ("substitutions", "deletions", "insertions")),
        with_half(figures, "difference", "difference", "+", " ±"),
        probability(figures["p_adjusted"]) if tested else "",
        f"{figures['z_matched_pairs']:.2f}" if paired else "",
        probability(figures["p_matched_pairs"]) if paired else "",
        "" if figures["verdict"] == Verdict.BASELINE else figures["verdict"],
    ]


def aligned(one: Aligned) -> str:
    """An utterance word by word: what was said, what was recognised, and S, D or I below what is wrong."""
    who = f", speaker {one.speaker}" if one.speaker else ""
    lines = [f"{one.id}{who}: {one.errors} errors, {one.words} words"]
    for part in _lines(one.steps):
        cells = [
            [step.reference or _ABSENT for step in part],
            [step.hypothesis or _ABSENT for step in part],
            ["" if step.kind is Kind.CORRECT else step.kind.value for step in part],
        ]
        lines += ["  " + " ".join(_padded(*pair) for pair in zip(line, part, strict=True)).rstrip() for line in cells]
    return "\n".join(lines)


def _lines(steps: Sequence[Step]) -> list[list[Step]]:
    """The columns of an alignment, cut into lines."""
    parts: list[list[Step]] = []
    used = _WIDTH
    for step in steps:
        if used + _width(step) + 1 > _WIDTH:
            parts.append([])
            used = 1
        parts[-1].append(step)
        used += _width(step) + 1
    return parts


def _width(step: Step) -> int:
    return max(cell_len(step.reference or _ABSENT), cell_len(step.hypothesis or _ABSENT))


def _padded(text: str, step: Step) -> str:
    return text + " " * (_width(step) - cell_len(text))
