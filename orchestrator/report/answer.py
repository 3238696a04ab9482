"""The answer in plain words: what each strategy changed, which system is best, and what it cost.

Every figure is a cell of the leaderboard, written as its tables write it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from orchestrator.leaderboard.comparison import Ground, Verdict
from orchestrator.leaderboard.formats import probability, with_half
from orchestrator.record import TrialRecord
from orchestrator.tables import duration

Row = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reader in a hurry reads.

    Attributes:
        short: All strategies in one line.
        sentences: One a strategy.
        best: The best system and its cost, in sentences.
    """

    short: str
    sentences: Sequence[str]
    best: Sequence[str]


def answer(table: pd.DataFrame, champion: TrialRecord | None) -> Answer:
    """What a leaderboard says.

    Args:
        table: The leaderboard.
        champion: The campaign's champion; None before there is one.
    """
    rows = table.to_dict("records")
    judged = [row for row in rows if row["verdict"] != Verdict.BASELINE]
    alike: dict[str, list[str]] = {}
    for row in judged:
        alike.setdefault(_short(row), []).append(name(row))
    short = "; ".join(f"{', '.join(names)}: {clause}" for clause, names in alike.items())
    nothing = "Nothing is compared yet: only the baseline has been run" if rows else "Nothing has been run yet"
    return Answer(f"{_sentence_case(short or nothing)}.", [_sentence(row) for row in rows], list(_best(rows, champion)))


def name(row: Row) -> str:
    """A study in words, its decoder behind it where that is more than greedy."""
    words = str(row["study"]).replace("_", "-")
    return words if row["decoder"] in ("", "greedy") else f"{words} ({row['decoder']})"


def _sentence_case(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def half(row: Row, column: str, stem: str, sign: str = "") -> str:
    """A value ± half of its interval, with a minus as printers set it; empty where there is none."""
    return with_half(row, column, stem, sign).replace("-", "−")


def cost(row: Row) -> str:
    """What all trials of a study and of what it needs took."""
    shown = (("cpu", "of the processor"), ("gpu", "on a GPU"))
    times = [(3600 * row[f"{device}_hours_with_needs"], where) for device, where in shown]
    spent = [f"{_time(seconds)} {where}" for seconds, where in times if seconds > 0]
    return " and ".join(spent) or "less than a second"


def _time(seconds: float) -> str:
    return duration(seconds) if seconds >= 1 else "less than a second"


def _short(row: Row) -> str:
    if pd.isna(row["dev_wer"]):
        return "no result"
    match row["verdict"]:
        case Verdict.TIE:
            return "no difference"
        case Verdict.BETTER | Verdict.WORSE:
            return half(row, "difference", "difference", "+")
    return "not tested"


def _sentence(row: Row) -> str:
    """What came of one strategy."""
    who = _sentence_case(name(row))
    if pd.isna(row["dev_wer"]):
        return f"{who}: no trial is complete ({_states(row)})."
    if row["verdict"] == Verdict.BASELINE:
        return f"{who}: what the others are compared with, {_rate(row)}."
    if row["verdict"] == Verdict.NOT_TESTED:
        return f"{who}: not tested, {_rate(row)}; {str(row['remarks']).split('; ')[0]}."
    difference, where = half(row, "difference", "difference", "+"), _where(row)
    if row["verdict"] == Verdict.TIE:
        told = f"{who}: no difference found, {difference} points {where} ({_probability(row['p_adjusted'])} by Holm)"
        if pd.isna(row["detectable"]):
            return f"{told}."
        return (
            f"{told}; this set shows a difference of {row['detectable']:.1f} points in 80 of 100 cases, a smaller one "
            "less often."
        )
    return (
        f"{who}: {row['verdict']} than the baseline, {difference} points {where} "
        f"({_probability(row['p_adjusted'])} by Holm), {_rate(row)}."
    )


def _where(row: Row) -> str:
    match row["compared_on"]:
        case Ground.TEST:
            return "on test"
        case Ground.CONFIRMED:
            return "on dev with fresh seeds"
        case Ground.PART:
            return "on the part of dev that judges"
    return "on dev, corrected for the choice made there"


def _rate(row: Row) -> str:
    if not pd.isna(row["test_wer"]):
        return f"test WER {half(row, 'test_wer', 'test')} %, dev WER {half(row, 'dev_wer', 'dev')} %"
    return f"dev WER {half(row, 'dev_wer', 'dev')} %"


def _probability(value: float) -> str:
    written = probability(value)
    return f"p {written}" if written.startswith("<") else f"p = {written}"


def _states(row: Row) -> str:
    counts = [(row[state], state) for state in ("pruned", "failed", "running", "waiting")]
    return ", ".join(f"{count} {state}" for count, state in counts if count) or "none has begun"


def _best(rows: Sequence[Row], champion: TrialRecord | None) -> Iterator[str]:
    """The system of the lowest dev WER, what it cost, and the champion if that is another."""
    best = next((row for row in rows if not pd.isna(row["dev_wer"])), None)
    if best is None:
        return
    corrected = ""
    if not pd.isna(best["dev_corrected"]) and f"{best['dev_corrected']:.1f}" != f"{best['dev_wer']:.1f}":
        corrected = (
            f"; on other utterances about {best['dev_corrected']:.1f} % is expected, since the best of several trials "
            "flatters itself"
        )
    yield f"The lowest dev WER is that of {name(best)}, trial {best['trial']}: {_rate(best)}{corrected}."
    yield f"It took {cost(best)}, all trials of the study and of what it needs counted."
    if not pd.isna(best["inference_cost"]) and best["inference_cost"] != 1:
        yield f"It has {best['inference_cost']:.2f} times the weights of the baseline."
    if champion is None:
        yield "The campaign has no champion yet."
    elif (champion.study, champion.number) == (best["study"], best["trial"]):
        yield "It is the champion of the campaign."
    else:
        who = f"{champion.study}, trial {champion.number}"
        test = f", test WER {champion.final.score.wer:.1f} %" if champion.final else ""
        yield f"The champion of the campaign is {who}: dev WER {champion.judged_wer:.1f} %{test}."
