"""What `orchestrator finalize` says: what it will open, what came of it, and who has looked."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from orchestrator.finalization import Candidate, Finalization
from orchestrator.tables import percent, plain_table
from trainers.ledger import Look
from trainers.outcomes import load_errors
from trainers.scoring.bootstrap import Interval, bootstrap_rate


def opening(final: Finalization, candidates: Sequence[Candidate]) -> str:
    """What will be opened, and how often it was looked at before."""
    times = max((look.opening for look in final.looks), default=0)
    before = "never opened before" if not times else f"opened {times} time{'s' * (times > 1)} before"
    lines = [f"test set {final.test}, {len(final.test)} utterances, {before}"]
    for one in candidates:
        if one.look is None:
            said = f"look {one.number}" + ("" if one.number == 1 else " of its strategy at this set")
        elif one.look.score is None:
            said = f"look {one.number} goes on: it was interrupted on {_minute(one.look)} UTC"
        else:
            said = f"scored on {_minute(one.look)} UTC, is not scored again"
        role = f"{one.record.strategy}, the champion" if one.champion else one.record.strategy
        lines.append(f"  {one.record.study}#{one.record.number} ({role}): {said}")
    lines += [f"  {name} has no result: left out" for name in final.without]
    return "\n".join(lines)


def finals_table(final: Finalization, candidates: Sequence[Candidate]) -> Group:
    """The systems in the order of their dev WER, which chose them; the test set chooses nothing."""
    columns = {"study": "left", "dev WER": "right", "test WER": "right", "95 %": "left", "errors": "right"}
    columns |= {"look": "right"}
    rows = []
    for one, look, interval in _results(final, candidates):
        score = look.score
        assert score is not None  # a result
        between = f"{interval.low:.1f} to {interval.high:.1f}"
        name = one.title + (" *" if one.champion else "")
        cells = [name, percent(one.record.judged_wer), percent(score.wer), between]
        rows.append([*cells, f"{score.errors}/{score.words}", str(look.number)])
    legend = [Text("* champion", style="dim")] if any(one.champion for one in candidates) else []
    return Group(plain_table(columns, rows), *legend)


def finals_json(final: Finalization, candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """The same for a program."""
    return [
        {
            "study": one.record.study,
            "strategy": one.record.strategy,
            "trial": one.record.number,
            "promoted": "champion" if one.champion else "study",
            "dev_wer": one.record.judged_wer,
            "test_wer": interval.points,
            "test_low": interval.low,
            "test_high": interval.high,
            **(asdict(look.score) if look.score else {}),
            "look": look.number,
            "when": look.occasion.when,
        }
        for one, look, interval in _results(final, candidates)
    ]


def _results(final: Finalization, candidates: Sequence[Candidate]) -> list[tuple[Candidate, Look, Interval]]:
    found = []
    for one in sorted(candidates, key=lambda one: one.record.judged_wer or 0.0):
        assert one.look is not None  # all have been scored
        counts = load_errors(final.folder(one))
        found.append((one, one.look, bootstrap_rate(counts.errors, counts.words)))
    return found


def looks_table(looks: Sequence[Look]) -> Table:
    """The ledger of a test set."""
    columns = {"when (UTC)": "left", "who": "left", "system": "left", "look": "right", "test WER": "right"}
    rows = [
        [
            _minute(look),
            look.occasion.who,
            f"{look.submission.campaign}/{look.submission.study}#{look.submission.trial}",
            str(look.number),
            percent(look.score.wer) if look.score else "interrupted",
        ]
        for look in looks
    ]
    return plain_table(columns, rows)


def _minute(look: Look) -> str:
    return look.occasion.when[:16].replace("T", " ")


def looks_json(looks: Sequence[Look]) -> list[dict[str, Any]]:
    """The same for a program."""
    return [asdict(look) for look in looks]
