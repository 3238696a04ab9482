"""Tables for a terminal of 80 columns, and how numbers are written in them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from orchestrator.home import Home
from orchestrator.leaderboard import leaderboard
from orchestrator.progress import StudyProgress
from orchestrator.record import StudyRecord, TrialRecord
from search_spaces.campaign import Campaign

if TYPE_CHECKING:
    from orchestrator.dry_run import Plan  # it needs torch, and a table does not


def duration(seconds: float) -> str:
    """A duration in two units at most: ``45 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def percent(wer: float | None) -> str:
    """A WER for reading."""
    return "" if wer is None else f"{wer:.1f} %"


def plain_table(columns: Mapping[str, str], rows: Sequence[Sequence[str]]) -> Table:
    """A table without lines.

    Args:
        columns: Headings, each with ``left`` or ``right``.
        rows: Cells.
    """
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for name, justify in columns.items():
        table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=name == "study")
    for row in rows:
        table.add_row(*row)
    return table


def board(studies: Sequence[StudyRecord], champion: TrialRecord | None) -> Table:
    """The leaderboard; where another trial than the promoted one has the lowest WER, that stands beside."""
    rows = leaderboard(studies, champion).to_dict("records")
    columns = {
        "study": "left",
        "dev WER": "right",
        **({"lowest": "right"} if any(map(_lowest, rows)) else {}),
        "errors": "right",
        "decoder": "left",
        "trials": "right",
        "time": "right",
        "": "left",
    }
    return plain_table(columns, [_cells(row, "lowest" in columns) for row in rows])


def _lowest(row: Mapping[Any, Any]) -> str:
    """WER and number of the trial of the lowest WER, if another one was promoted."""
    same = pd.isna(row["dev_wer"]) or row["best_trial"] == row["trial"]
    return "" if same else f"{row['best_dev_wer']:.1f} % #{row['best_trial']}"


def _cells(row: Mapping[Any, Any], lowest: bool) -> list[str]:
    beside = [_lowest(row)] if lowest else []
    trials = f"{row['completed']}+{row['pruned']}+{row['failed']}"
    if pd.isna(row["dev_wer"]):
        return [row["study"], "none", *beside, "", "", trials, duration(row["training_seconds"]), ""]
    errors = sum(int(row[name]) for name in ("substitutions", "deletions", "insertions"))
    return [
        row["study"],
        f"{row['dev_wer']:.1f} %",
        *beside,
        f"{errors}/{int(row['reference_words'])}",
        row["decoder"],
        trials,
        duration(row["training_seconds"]),
        "*" if row["promoted"] == "champion" else "",
    ]


def summary(campaign: Campaign, home: Home, records: Sequence[StudyRecord], champion: TrialRecord | None) -> int:
    """Show where the studies stand at the end of a run, and what to type next.

    Returns:
        The exit status: 1 if a study has no complete trial.
    """
    console = Console(highlight=False)
    console.print()
    console.print(board(records, champion))
    console.print("[dim]* champion; trials: complete + stopped early + failed[/]")
    console.print("[dim]the best of several trials flatters itself on the set that chose it[/]")
    empty = [study.name for study in records if study.best is None]
    if empty:
        console.print(f"[yellow]without a result: {', '.join(empty)}; logs are under {home.logs}[/]")
    console.print(f"\nNext: orchestrator leaderboard {campaign.name} --csv leaderboard.csv")
    console.print("      orchestrator ui")
    return 1 if empty else 0


def progress_table(studies: Sequence[StudyProgress]) -> Table:
    """How far every study is."""
    columns = {
        "study": "left",
        "done": "right",
        "complete": "right",
        "pruned": "right",
        "failed": "right",
        "running": "right",
        "waiting": "right",
        "best": "right",
        "left": "right",
    }
    rows = [
        [
            study.study,
            f"{study.complete + study.pruned + study.failed}/{study.budget}",
            *(str(count or "") for count in (study.complete, study.pruned, study.failed)),
            *(str(count or "") for count in (study.running, study.waiting)),
            percent(study.best_dev_wer),
            "?" if study.seconds_left is None else duration(study.seconds_left) if study.seconds_left else "",
        ]
        for study in studies
    ]
    return plain_table(columns, rows)


def plan_table(plan: "Plan") -> Table:
    """What a run would do for every study."""
    columns = {"study": "left", "there": "right", "resume": "right", "run": "right", "time": "right", "why": "left"}
    rows = [
        [
            study.study,
            str(study.finished or ""),
            str(study.resumed or ""),
            str(study.fresh or ""),
            "?" if study.seconds is None else duration(study.seconds) if study.seconds else "",
            study.why,
        ]
        for study in plan.studies
    ]
    return plain_table(columns, rows)
