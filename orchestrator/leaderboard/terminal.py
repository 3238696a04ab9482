"""The leaderboard on a terminal of 80 columns."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.console import Group
from rich.table import Table
from rich.text import Text

from orchestrator.leaderboard.view import notes
from orchestrator.tables import plain_table

_COLUMNS = {
    "study": "left",
    "dev WER": "right",
    "corr.": "right",
    "diff.": "right",
    "verdict": "left",
    "trials": "right",
    "cost": "right",
}


def board(table: pd.DataFrame) -> Group:
    """The columns that matter and, below them, what has to be said with them.

    Args:
        table: The leaderboard.
    """
    rows = table.to_dict("records")
    shown: list[Table | Text] = [plain_table(_COLUMNS, [_cells(row) for row in rows])]
    shown += [Text(sentence, style="dim") for sentence in (_LEGEND, *notes(table))]
    return Group(*shown)


_LEGEND = (
    "percent and points, ± half of the 95 % interval; corr.: what the best of several trials is expected to have on "
    "other utterances; diff.: from the baseline; cost: all trials, and those of what is needed; * champion"
)


def _cells(row: Mapping[Any, Any]) -> list[str]:
    seconds = 3600 * (row["cpu_hours_with_needs"] + row["gpu_hours_with_needs"])
    return [
        row["study"] + (" *" if row["promoted"] == "champion" else ""),
        _half(row, "dev_wer", "dev") or "none",
        "" if pd.isna(row["dev_corrected"]) else f"{row['dev_corrected']:.1f}",
        _half(row, "difference", "difference", "+"),
        row["verdict"],
        f"{row['completed'] + row['pruned'] + row['failed']}",
        _short(seconds),
    ]


def _short(seconds: float) -> str:
    """A duration in one unit."""
    return next(
        f"{seconds / size:.{digits}f} {unit}"
        for size, digits, unit in ((3600, 1, "h"), (60, 1, "min"), (1, 0, "s"))
        if seconds >= size or size == 1
    )


def _half(row: Mapping[Any, Any], name: str, stem: str, sign: str = "") -> str:
    """A value and half its interval."""
    if pd.isna(row[name]):
        return ""
    low, high = row[f"{stem}_low"], row[f"{stem}_high"]
    return f"{row[name]:{sign}.1f}" + ("" if pd.isna(low) else f" ±{(high - low) / 2:.1f}")
