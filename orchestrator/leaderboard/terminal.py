"""The leaderboard on a terminal of 80 columns."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.console import Group
from rich.table import Table
from rich.text import Text

from orchestrator.leaderboard.formats import over_seeds, with_half
from orchestrator.leaderboard.view import notes
from orchestrator.tables import plain_table

_COLUMNS = {
    "study": "left",
    "dev WER": "right",
    "corr.": "right",
    "seeds": "right",
    "test WER": "right",
    "look": "right",
    "diff.": "right",
    "verdict": "left",
    "trials": "right",
    "cost": "right",
}

_BEFORE_TEST = ("corr.", "trials")
_OF_TEST = ("test WER", "look")
_OF_SEEDS = ("seeds",)


def board(table: pd.DataFrame) -> Group:
    """The columns that matter and, below them, what has to be said with them.

    Args:
        table: The leaderboard.
    """
    rows = table.to_dict("records")
    opened = bool(table["test_wer"].notna().any())
    if opened:
        hidden, said = {*_BEFORE_TEST, *_OF_SEEDS}, _OF_LOOKS
    elif table["confirms"].notna().any():
        hidden, said = {*_OF_TEST, *_BEFORE_TEST}, _OF_CONFIRMATION
    else:
        hidden, said = {*_OF_TEST, *_OF_SEEDS}, _OF_CORRECTION
    columns = {name: side for name, side in _COLUMNS.items() if name not in hidden}
    cells = [[cell for name, cell in _cells(row).items() if name in columns] for row in rows]
    shown: list[Table | Text] = [plain_table(columns, cells)]
    legend = _LEGEND.format(said)
    shown += [Text(sentence, style="dim") for sentence in (legend, *notes(table))]
    return Group(*shown)


_LEGEND = (
    "percent and points, ± half of the 95 % interval; {}; diff.: from the baseline; cost: all trials, and those of "
    "what is needed; * champion"
)
_OF_CORRECTION = "corr.: what the best of several trials is expected to have on other utterances"
_OF_CONFIRMATION = "seeds: mean ± standard deviation of so many runs that differ by seed alone"
_OF_LOOKS = "look: how often test was opened for systems of that strategy, this time included"


def _cells(row: Mapping[Any, Any]) -> dict[str, str]:
    seconds = 3600 * (row["cpu_hours_with_needs"] + row["gpu_hours_with_needs"])
    return {
        "study": row["study"] + (" *" if row["promoted"] == "champion" else ""),
        "dev WER": _half(row, "dev_wer", "dev") or "none",
        "corr.": "" if pd.isna(row["dev_corrected"]) else f"{row['dev_corrected']:.1f}",
        "seeds": over_seeds(row),
        "test WER": _half(row, "test_wer", "test"),
        "look": "" if pd.isna(row["test_looks"]) else f"{row['test_looks']}",
        "diff.": _half(row, "difference", "difference", "+"),
        "verdict": row["verdict"],
        "trials": f"{row['completed'] + row['pruned'] + row['failed']}",
        "cost": _short(seconds),
    }


def _short(seconds: float) -> str:
    """A duration in one unit."""
    return next(
        f"{seconds / size:.{digits}f} {unit}"
        for size, digits, unit in ((3600, 1, "h"), (60, 1, "min"), (1, 0, "s"))
        if seconds >= size or size == 1
    )


def _half(row: Mapping[Any, Any], name: str, stem: str, sign: str = "") -> str:
    return with_half(row, name, stem, sign, " ±")
