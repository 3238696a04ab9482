"""What of a leaderboard is shown, in which order, and what has to be said with it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from orchestrator.leaderboard.columns import COLUMNS
from orchestrator.leaderboard.comparison import Ground, Verdict
from search_spaces.checking import unknown_name
from search_spaces.errors import UserError


def arrange(table: pd.DataFrame, order: str = "", filters: Sequence[str] = ()) -> pd.DataFrame:
    """Some of the rows, in another order. Nothing is computed anew: a study that is hidden was tested all the same.

    Args:
        table: The leaderboard.
        order: Column to sort by, the lowest first; with ``-`` before it the highest first. Empty leaves the order.
        filters: ``COLUMN=VALUE[,VALUE...]`` each; a row is shown if it passes all of them.

    Raises:
        UserError: There is no such column, or no row has such a value.
    """
    for condition in filters:
        name, mark, values = condition.partition("=")
        if not mark:
            raise UserError(f"--filter {condition}: write COLUMN=VALUE, such as verdict=better")
        texts = table[_known(name, "--filter")].map(_text)
        wanted = values.split(",")
        if not set(wanted) & set(texts):
            there = ", ".join(dict.fromkeys(filter(None, texts))) or "nothing"
            raise UserError(f"--filter {condition}: no row that is left has it; {name} holds {there}")
        table = table[texts.isin(wanted)]
    if order:
        name = _known(order.removeprefix("-"), "--sort")
        table = table.sort_values(name, ascending=not order.startswith("-"), kind="stable", na_position="last")
    return table.reset_index(drop=True)


def _known(name: str, option: str) -> str:
    if name not in COLUMNS:
        raise UserError(f"{option}: {unknown_name('column', name, COLUMNS)}")
    return name


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def notes(table: pd.DataFrame) -> Iterator[str]:
    """Sentences without which the table would be misread."""
    rows = table.to_dict("records")
    if any(row["compared_on"] == Ground.DEV for row in rows):
        yield (
            "compared on dev, which chose the systems: differences are moved towards zero by what the choice is "
            "expected to have given each; test has the last word"
        )
    parted = [(row["tuned_on"], row["judged_on"]) for row in rows if not pd.isna(row["tuned_on"])]
    for tuned, judged in dict.fromkeys(parted):
        yield f"tuned on {tuned} utterances of dev, judged on the other {judged}, whose figures these are"
    for row in rows:
        if row["verdict"] == Verdict.NOT_TESTED and row["remarks"]:
            yield f"{row['study']} is not tested: {row['remarks'].split('; ')[0]}"
    ties = [row for row in rows if row["verdict"] == Verdict.TIE and not pd.isna(row["detectable"])]
    if ties:
        told = ", ".join(f"{row['study']} {row['detectable']:.1f}" for row in ties)
        here = (
            "test finds" if ties[0]["compared_on"] == Ground.TEST else f"these {ties[0]['reference_words']} words find"
        )
        yield f"a tie is no equality: {here} a difference of so many points in 80 of 100 cases: {told}"
    unequal = [row for row in rows if not pd.isna(row["trials_over_baseline"]) and row["trials_over_baseline"] != 0]
    if unequal:
        told = ", ".join(f"{row['study']} {_searched(row)}" for row in unequal)
        baseline = _searched(unequal[0]) - unequal[0]["trials_over_baseline"]
        yield f"not searched with the same number of trials: the baseline had {baseline}, {told}"
    yield from _seeds(rows)
    for row in rows:
        if not pd.isna(row["confirms"]):
            yield (
                f"{row['study']} is shown by trial {row['trial']}, one of {row['replicates']} fresh seeds that confirm "
                f"trial {row['confirms']} with {row['dev_mean']:.1f} ± {row['dev_sd']:.1f} %; the lowest of the search "
                f"was {row['best_dev_wer']:.1f} %{_where_tuned(row)}"
            )
        elif not pd.isna(row["best_trial"]) and row["best_trial"] != row["trial"]:
            yield (
                f"{row['study']} is shown by trial {row['trial']}; the lowest dev WER is {row['best_dev_wer']:.1f} % "
                f"of trial {row['best_trial']}{_where_tuned(row)}"
            )
    for row in rows:
        if not pd.isna(row["champion_trial"]):
            which = f"trial {row['champion_trial']} of {row['study']}"
            yield f"the champion is {which}, not the one shown: {_of_champion(row)}"
    for row in rows:
        if row["members"]:
            cost = "" if pd.isna(row["inference_cost"]) else f" at {row['inference_cost']:.1f} times the weights"
            many = "searches" if row["searches"] > 1 else "search"
            yield (
                f"{row['study']}: {row['dev_wer']:.1f} % of {row['members']}{cost}, {row['searches']} {many}; best "
                f"single of the same pool: {row['best_single_wer']:.1f} % of {row['best_single']}"
            )
    again = [row["study"] for row in rows if not pd.isna(row["test_looks"]) and row["test_looks"] > 1]
    if again:
        yield f"not the first look of the strategy at the test set, so that its test WER flatters: {', '.join(again)}"
    for row in rows:
        if row["hypothesis_held"]:
            told = {"yes": "held", "no": "did not hold", "open": "is open"}[row["hypothesis_held"]]
            yield (
                f"{row['study']}: the hypothesis of {row['hypothesis_low']:g} to {row['hypothesis_high']:g} % {told} "
                f"({row['hypothesis_on']})"
            )


def _where_tuned(row: Mapping[Any, Any]) -> str:
    """What a WER is of that is not of the part that judges."""
    return "" if pd.isna(row["tuned_on"]) else f" where the trials were tuned; there it has {row['tuning_wer']:.1f} %"


def _of_champion(row: Mapping[Any, Any]) -> str:
    told = f"dev WER {row['champion_dev_wer']:.1f} %"
    if pd.isna(row["champion_test_wer"]):
        return told
    look = f" (look {row['champion_test_looks']})" if row["champion_test_looks"] > 1 else ""
    return f"{told}, test WER {row['champion_test_wer']:.1f} %{look}"


def _searched(row: Mapping[Any, Any]) -> int:
    """Trials of the search that have ended."""
    return int(row["completed"] + row["pruned"] + row["failed"] - row["confirmations"])


def _seeds(rows: Sequence[Mapping[Any, Any]]) -> Iterator[str]:
    """Which comparisons are of means over seeds, and which are not because one side has none."""
    means = [row for row in rows if row["compared_on"] == Ground.CONFIRMED]
    if means:
        told = ", ".join(f"{row['study']} {row['replicates']}" for row in means)
        yield f"compared by means over seeds, drawn anew with the utterances: {told}"
    baseline = next((row for row in rows if row["verdict"] == Verdict.BASELINE), None)
    alone = [row["study"] for row in rows if row["compared_on"] == Ground.DEV and not pd.isna(row["confirms"])]
    if baseline is not None and pd.isna(baseline["replicates"]) and alone:
        yield (
            f"the baseline was not confirmed with fresh seeds, so that one run of it is compared with one of "
            f"{', '.join(alone)}"
        )
