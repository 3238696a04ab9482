"""Tables for a terminal of 80 columns, and how numbers are written in them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from orchestrator.progress import StudyProgress

if TYPE_CHECKING:
    from orchestrator.dry_run import Plan  # it needs torch, and a table does not
    from orchestrator.freeing import Freed


def duration(seconds: float) -> str:
    """A duration in two units at most: ``45 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(count: int) -> str:
    """A number of bytes in the largest unit that leaves a digit before the point."""
    number, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if number < 999.5:
            break
        number, unit = number / 1000, larger
    return f"{number:.3g} {unit}"


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
        table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=name in ("study", "done"))
    for row in rows:
        table.add_row(*row)
    return table


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
        "weights freed": "right",
    }
    rows = [
        [
            study.study,
            _done(study),
            *(str(count or "") for count in (study.complete, study.pruned, study.failed)),
            *(str(count or "") for count in (study.running, study.waiting)),
            percent(study.best_dev_wer),
            "?" if study.seconds_left is None else duration(study.seconds_left) if study.seconds_left else "",
            str(study.freed or ""),
        ]
        for study in studies
    ]
    return plain_table(columns, rows)


def _done(study: StudyProgress) -> str:
    """Trials that have ended, of all; of a study that is confirmed, those of the search and those that confirm it."""
    done = study.complete + study.pruned + study.failed
    if not study.confirmations:
        return f"{done}/{study.budget}"
    searched = f"{done - study.confirmed}/{study.budget - study.confirmations}"
    return f"{searched}+{study.confirmed}/{study.confirmations}"


def freed_table(freed: Sequence["Freed"]) -> Table:
    """What each study gave up, or would give up."""
    rows = []
    for study in dict.fromkeys(one.trial.study for one in freed):
        ours = [one for one in freed if one.trial.study == study]
        numbers = ", ".join(str(one.trial.number) for one in ours)
        rows.append([study, size(sum(one.size for one in ours)), numbers])
    return plain_table({"study": "left", "size": "right", "trials": "left"}, rows)


def plan_table(plan: "Plan") -> Table:
    """What a run would do for every study."""
    columns = {"study": "left", "there": "right", "resume": "right", "run": "right", "time": "right", "why": "left"}
    rows = [
        [
            study.study,
            str(study.finished or ""),
            str(study.resumed or ""),
            "+".join(str(count) for count in (study.fresh, study.confirmations) if count),
            "?" if study.seconds is None else duration(study.seconds) if study.seconds else "",
            study.why,
        ]
        for study in plan.studies
    ]
    return plain_table(columns, rows)
