"""A leaderboard written for other programs and for papers."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from orchestrator.leaderboard.columns import COLUMNS, Kind
from orchestrator.leaderboard.view import notes

SHOWN = {
    "study": "study",
    "dev_wer": "dev",
    "dev_corrected": "corrected",
    "dev_mean": "mean (seeds)",
    "test_wer": "test",
    "difference": "difference",
    "p_adjusted": "p",
    "p_matched_pairs": "MAPSSWE",
    "verdict": "verdict",
    "weights": "weights",
    "decoder": "decoder",
    "trials": "trials",
    "cost": "hours",
}
"""Columns of a table for readers, and their headings."""

_ESCAPES = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"\textpm{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """The digits that are published; a table for readers is made of the unrounded, lest 20.845 become 20.9."""
    return table.round({name: column.kind.digits for name, column in COLUMNS.items() if column.kind.digits is not None})


def as_csv(table: pd.DataFrame) -> str:
    """Every column; what `pandas.read_csv` makes of it is the same table."""
    return rounded(table).to_csv(index=False)


def as_json(table: pd.DataFrame) -> str:
    """A list of objects, one a row; what is not known is null."""
    return rounded(table).to_json(orient="records", indent=1, force_ascii=False)


def as_markdown(table: pd.DataFrame, campaign: str) -> str:
    """A table for readers, with what has to be said below it.

    Args:
        table: The leaderboard.
        campaign: Its name.
    """
    rows = [list(SHOWN.values()), ["---", *("---:" if _is_number(name) else "---" for name in list(SHOWN)[1:])]]
    rows += [cells(row) for row in table.to_dict("records")]
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    said = [f"- {sentence}" for sentence in (*LEGEND, *notes(table))]
    return "\n".join([f"### Word error rates of {campaign}, percent", "", *lines, "", *said, ""])


def as_latex(table: pd.DataFrame, campaign: str) -> str:
    """The same for a paper; needs the packages booktabs and, for words that are not ASCII, a Unicode engine.

    Args:
        table: The leaderboard.
        campaign: Its name.
    """
    columns = "".join("r" if _is_number(name) else "l" for name in SHOWN)
    rows = [[escape(cell) for cell in row] for row in ([*SHOWN.values()], *map(cells, table.to_dict("records")))]
    heading, *body = [f"{' & '.join(row)} \\\\" for row in rows]
    said = " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in (*LEGEND, *notes(table)))
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{Word error rates of {escape(campaign)}, percent.}}",
            rf"\label{{tab:{campaign}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            heading,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\par\smallskip\footnotesize {escape(said)}",
            r"\end{table}",
            "",
        ]
    )


LEGEND = (
    "dev and test with 95 % intervals (bootstrap over utterances); corrected: dev with what choosing the best of "
    "several trials took from it put back; mean (seeds): mean ± standard deviation of so many runs that differ by seed",
    "difference from the baseline on the same utterances, 95 % interval and p (by Holm) of the paired bootstrap: "
    "better or worse below 0.05; MAPSSWE: p of the matched pairs test, uncorrected",
    "hours: of the processor, or wall time on a GPU, for all trials of a study and of what it needs",
)
"""What the columns of `SHOWN` hold."""


def escape(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(_ESCAPES.get(character, character) for character in text)


def _is_number(name: str) -> bool:
    return name == "cost" or COLUMNS[name].kind is not Kind.TEXT


def cells(row: Mapping[Any, Any]) -> list[str]:
    """A row of the leaderboard as a reader sees it, in the order of `SHOWN`."""
    return [_WRITTEN.get(name, _plain)(row, name) for name in SHOWN]


def _plain(row: Mapping[Any, Any], name: str) -> str:
    value = row[name]
    if pd.isna(value):
        return ""
    kind = COLUMNS[name].kind
    return f"{value:.1f}" if kind is Kind.POINTS else f"{value:,}" if kind is Kind.COUNT else str(value)


def _with_interval(row: Mapping[Any, Any], name: str) -> str:
    if pd.isna(row[name]):
        return "not opened" if name == "test_wer" else ""
    low, high = (row[f"{name.removesuffix('_wer')}_{end}"] for end in ("low", "high"))
    sign = "+" if name == "difference" else ""
    interval = "" if pd.isna(low) else f" [{low:{sign}.1f}, {high:{sign}.1f}]"
    look = f" (look {row['test_looks']})" if name == "test_wer" and row["test_looks"] > 1 else ""
    return f"{row[name]:{sign}.1f}{interval}{look}"


def over_seeds(row: Mapping[Any, Any]) -> str:
    """Mean, standard deviation and number of the trials that differ by seed alone; empty where there are none."""
    return "" if pd.isna(row["dev_mean"]) else f"{row['dev_mean']:.1f} ± {row['dev_sd']:.1f} ({row['replicates']})"


def with_half(row: Mapping[Any, Any], name: str, stem: str, sign: str = "", plus_minus: str = " ± ") -> str:
    """A value ± half of its interval; empty where there is none.

    Args:
        row: A row of the leaderboard.
        name: Column of the value.
        stem: What the columns of the interval's ends begin with.
        sign: ``+`` writes the sign of every value.
        plus_minus: What stands between the two.
    """
    if pd.isna(row[name]):
        return ""
    low, high = row[f"{stem}_low"], row[f"{stem}_high"]
    return f"{row[name]:{sign}.1f}" + ("" if pd.isna(low) else f"{plus_minus}{(high - low) / 2:.1f}")


def probability(value: float) -> str:
    """A probability for reading."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _probability(row: Mapping[Any, Any], name: str) -> str:
    return "" if pd.isna(row[name]) else probability(row[name])


def _trials(row: Mapping[Any, Any], name: str) -> str:
    return f"{row['completed']}+{row['pruned']}+{row['failed']}"


def _cost(row: Mapping[Any, Any], name: str) -> str:
    shown = [(row[f"{device}_hours_with_needs"], device.upper()) for device in ("cpu", "gpu")]
    return " + ".join(f"{hours:.2f} {device}" for hours, device in shown if hours >= 0.005) or f"{shown[0][0]:.4f} CPU"


_WRITTEN: dict[str, Callable[[Mapping[Any, Any], str], str]] = {
    "dev_wer": _with_interval,
    "dev_mean": lambda row, name: over_seeds(row),
    "test_wer": _with_interval,
    "difference": _with_interval,
    "p_adjusted": _probability,
    "p_matched_pairs": _probability,
    "trials": _trials,
    "cost": _cost,
}
