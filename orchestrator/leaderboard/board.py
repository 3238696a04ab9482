"""One row a study, made from records and from what was recognised; nothing is read here."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from orchestrator.leaderboard.columns import COLUMNS, Kind
from orchestrator.leaderboard.comparison import Comparison, compare
from orchestrator.leaderboard.competition import flattery
from orchestrator.leaderboard.cost import Cost, behind, cost_with_needs, study_cost
from orchestrator.leaderboard.evidence import Evidence, rate_interval
from orchestrator.leaderboard.reproduction import command
from orchestrator.record import StudyRecord, TrialRecord, TrialState
from orchestrator.seed_noise import seed_noise
from search_spaces.campaign import Campaign, StudyDefinition, study_of

_Cells = dict[str, Any]


def leaderboard(
    studies: Sequence[StudyRecord],
    champion: TrialRecord | None = None,
    campaign: Campaign | None = None,
    evidence: Mapping[str, Evidence] | None = None,
    speakers: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The leaderboard, the lowest dev WER first; a study without a complete trial comes last.

    Args:
        studies: The studies with all their trials; those that `evidence.looked_at` names must be whole.
        champion: The campaign's champion.
        campaign: Says which study is the baseline, what needs what, and what is expected; without it nothing is tested.
        evidence: What was recognised, by study; without it there are no intervals, and nothing is tested.
        speakers: Speakers of the utterances, which are then resampled together; None resamples utterances.

    Returns:
        A table with the columns of `COLUMNS`; an empty cell is None or NA.
    """
    definitions = campaign.studies if campaign else {}
    baseline = campaign.baseline if campaign else None
    by_name = {study.name: study for study in studies}
    unread = Evidence(missing="what it recognised has not been read")
    known = {study.name: (evidence or {}).get(study.name, unread) for study in studies}
    flatteries = {study.name: flattery(study, known[study.name].sample) for study in studies}
    scorers = {study.name: study.result.outcome.scorer for study in studies if study.result and study.result.outcome}
    comparisons = compare(known, flatteries, baseline, scorers=scorers, speakers=speakers)
    costs = {study.name: study_cost(study) for study in studies}
    rows = []
    for study in studies:
        found = known[study.name]
        row = _what(study) | _result(study, champion) | _other_champion(study, champion)
        row |= _combined(study) | _spent(study.name, costs, definitions)
        row |= _uncertainty(found, flatteries[study.name], speakers) | _compared(comparisons[study.name])
        row |= _relative(study, by_name.get(baseline or ""))
        row |= _expected(row, definitions.get(study.name), found)
        row["command"] = command(study, by_name, definitions)
        row["remarks"] = "; ".join(_remarks(study, comparisons[study.name], found, definitions))
        rows.append(row)
    return _table(rows)


def _table(rows: Sequence[_Cells]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(object)
    for name, column in COLUMNS.items():
        if column.kind is Kind.COUNT:
            table[name] = table[name].astype("Int64")  # pandas would write 12 as 12.0 beside an empty cell
        elif column.kind.digits is not None:
            table[name] = table[name].astype("Float64")
        else:
            table[name] = table[name].fillna("")
    return table.sort_values("dev_wer", kind="stable", na_position="last", ignore_index=True)


def _what(study: StudyRecord) -> _Cells:
    return {
        "strategy": study.strategy,
        "study": study.name,
        "trials": len(study.trials),
        "completed": study.count(TrialState.COMPLETE),
        "pruned": study.count(TrialState.PRUNED),
        "failed": study.count(TrialState.FAILED),
        "running": study.count(TrialState.RUNNING),
        "waiting": study.count(TrialState.WAITING),
        "confirmations": study.finished - _searched(study),
    }


def _result(study: StudyRecord, champion: TrialRecord | None) -> _Cells:
    """What is said of the trial that stands for the study."""
    best, result = study.best, study.result
    if best is None or result is None or result.outcome is None or result.outcome.judged is None:
        return {}
    outcome, score, noise = result.outcome, result.outcome.judged, seed_noise(study)
    greedy = outcome.decoder == "greedy"
    return {
        "dev_wer": score.wer,
        "tuning_wer": result.dev_wer if result.parted else None,
        "best_dev_wer": best.dev_wer,
        "best_trial": best.number,
        "dev_mean": noise.mean if noise else None,
        "dev_sd": noise.sd if noise else None,
        "replicates": noise.replicates if noise else None,
        "confirms": result.confirms,
        "substitutions": score.substitutions,
        "deletions": score.deletions,
        "insertions": score.insertions,
        "reference_words": score.words,
        "units": outcome.units,
        "decoder": outcome.decoder,
        "decoder_settings": "" if greedy else _json(result.settings.get("decoding", {})),
        "decoder_tuned_on": "" if greedy else "the part of dev that tunes" if result.parted else "dev",
        "parameters": _json(result.params),
        "weights": outcome.weights,
        "scorer": outcome.scorer,
        "data": _json({name: key for name, key in result.provenance.items() if name.startswith("data_")}),
        "commit": result.provenance.get("commit"),
        "dirty": result.provenance.get("dirty"),
        "seed": result.seed,
        "trial": result.number,
        "run_id": result.run_id,
        "checkpoint": " ".join(f"store/{place}" for place in outcome.made_of.split()),
        "promoted": "champion" if _same(result, champion) else "study" if result.promoted else "",
    }


def _same(one: TrialRecord | None, other: TrialRecord | None) -> bool:
    return one is not None and other is not None and (one.study, one.number) == (other.study, other.number)


def _other_champion(study: StudyRecord, champion: TrialRecord | None) -> _Cells:
    """What is told of the champion where another trial of its study is shown: people use it all the same."""
    if champion is None or champion.study != study.name or _same(study.result, champion):
        return {}
    cells: _Cells = {"champion_trial": champion.number, "champion_dev_wer": champion.judged_wer}
    final = champion.final
    return cells | ({"champion_test_wer": final.score.wer, "champion_test_looks": final.look} if final else {})


def _combined(study: StudyRecord) -> _Cells:
    """Who an ensemble is made of, and what the best of its pool has alone, at whichever point suits that best."""
    result = study.result
    if result is None or result.outcome is None or result.outcome.ensemble is None:
        return {}
    report = result.outcome.ensemble
    found = [trial.outcome.ensemble for trial in study.trials if trial.outcome and trial.outcome.ensemble]
    single = min(found, key=lambda one: one.single_score.errors)
    return {
        "members": ", ".join(f"{part.name} {part.weight:.2f}" for part in report.members),
        "searches": report.searches,
        "best_single": single.single,
        "best_single_wer": single.single_judged.wer,
    }


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(values), ensure_ascii=False)


def _spent(name: str, costs: Mapping[str, Cost], definitions: Mapping[str, StudyDefinition]) -> _Cells:
    own, whole = costs[name], cost_with_needs(name, costs, definitions)
    return {
        "cpu_hours": own.cpu / 3600,
        "gpu_hours": own.gpu / 3600,
        "cpu_hours_with_needs": whole.cpu / 3600,
        "gpu_hours_with_needs": whole.gpu / 3600,
    }


def _uncertainty(found: Evidence, flattered: float | None, speakers: Mapping[str, str] | None) -> _Cells:
    row: _Cells = {"test_looks": found.looks or None}
    if found.tuned_on and found.dev is not None:
        row |= {"tuned_on": found.tuned_on, "judged_on": len(found.dev.ids)}
    for split, errors in (("dev", found.dev), ("test", found.test)):
        interval = None if errors is None else rate_interval(errors, speakers)
        if interval is not None:
            row |= {f"{split}_low": interval.low, f"{split}_high": interval.high}
            row |= {"test_wer": interval.points} if split == "test" else {}
            if split == "dev" and flattered is not None:
                row["dev_corrected"] = interval.points + flattered
    return row


def _compared(comparison: Comparison) -> _Cells:
    row: _Cells = {"verdict": comparison.verdict.value, "compared_on": comparison.ground and comparison.ground.value}
    difference = comparison.difference
    if difference is not None:
        row |= {"difference": difference.points, "difference_low": difference.low, "difference_high": difference.high}
        pairs = comparison.matched_pairs
        row |= {"p": difference.p, "p_adjusted": comparison.adjusted, "p_matched_pairs": pairs.p if pairs else None}
        row |= {"detectable": comparison.detectable}
    return row


def _relative(study: StudyRecord, baseline: StudyRecord | None) -> _Cells:
    """What is told in comparison with the baseline, beside errors."""
    if baseline is None:
        return {}
    row: _Cells = {"trials_over_baseline": _searched(study) - _searched(baseline)}
    weights = [one.result.outcome.weights if one.result and one.result.outcome else 0 for one in (study, baseline)]
    return row | ({"inference_cost": weights[0] / weights[1]} if all(weights) else {})


def _searched(study: StudyRecord) -> int:
    return sum(trial.state.finished for trial in study.searched)


def _expected(row: _Cells, definition: StudyDefinition | None, found: Evidence) -> _Cells:
    """The range that the campaign expects, and whether what was measured lies in it."""
    if definition is None or definition.hypothesis is None:
        return {}
    low, high = definition.hypothesis
    cells: _Cells = {"hypothesis_low": low, "hypothesis_high": high}
    split = "test" if found.test is not None else "dev"
    shown = row.get("test_wer") if split == "test" else row.get("dev_corrected")
    if shown is None or row.get(f"{split}_low") is None:
        return cells
    moved = shown - row["dev_wer"] if split == "dev" else 0.0
    outside = row[f"{split}_low"] + moved > high or row[f"{split}_high"] + moved < low
    held = "yes" if low <= shown <= high else "no" if outside else "open"
    return cells | {"hypothesis_held": held, "hypothesis_on": _told_by(split, found)}


def _told_by(split: str, found: Evidence) -> str:
    return "test" if split == "test" else "dev, the part that judges" if found.tuned_on else "dev, corrected"


def _remarks(
    study: StudyRecord, comparison: Comparison, found: Evidence, definitions: Mapping[str, StudyDefinition]
) -> Iterator[str]:
    if comparison.reason:
        yield comparison.reason
    if found.dev is None and found.missing and found.missing not in comparison.reason:
        yield found.missing
    best, result = study.best, study.result
    if result is not None and result.confirms is not None:
        yield f"trial {result.number} trains the configuration of trial {result.confirms} again, with a fresh seed"
    elif best is not None and result is not None and best.number != result.number:
        where = ", where the trials were tuned" if found.tuned_on else ""
        yield f"trial {best.number} has a lower dev WER, {best.dev_wer:.1f} %{where}, and does not stand for the study"
    if result is not None and result.outcome is not None:
        yield from result.outcome.notes
    outside = [
        source
        for name in behind(study.name, definitions)
        if name in definitions
        for sources in definitions[name].needs.values()
        for source in sources
        if study_of(source) not in definitions
    ]
    if outside:
        yield f"the cost of {', '.join(dict.fromkeys(outside))} is not known"
