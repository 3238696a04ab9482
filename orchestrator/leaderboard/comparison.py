"""Each study against the baseline, on the same utterances: better, worse, a tie, or not tested.

The paired bootstrap decides (`trainers.scoring.bootstrap`): it gives the interval beside the verdict, takes seeds and
speakers in, and calls two equal systems different in 4.8 % at 5 %, the matched pairs test in 5.6 %
(``python benchmarks/significance.py``). Its probabilities are corrected by Holm's procedure for all studies that are
tested, whichever are shown afterwards.

Where dev is parted, they are compared on the part that chose neither. On the whole of dev both systems were chosen by
what they are compared on: a single run for its own WER, a configuration that was confirmed for the mean of its seeds,
among fewer and with less noise. The difference is moved by what that choice is expected to have given each
(`orchestrator.leaderboard.competition`), but only towards zero: an estimate may take a verdict away, and must not make
one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import NormalDist

import numpy as np

from orchestrator.leaderboard.evidence import Evidence
from search_spaces.errors import ScoringError
from search_spaces.scorers import DEFAULT
from trainers.outcomes import UtteranceErrors
from trainers.scoring.bootstrap import Difference, bootstrap_difference
from trainers.scoring.matched_pairs import MatchedPairs, matched_pairs
from trainers.scoring.multiplicity import holm
from trainers.scoring.power import detectable_difference
from trainers.scoring.scorer import find_scorer

_NO_BASELINE = "the campaign names no baseline; write baseline: STUDY in its file"

LEVEL = 0.05
FEWEST = 10
"""Utterances, or speakers, below which nothing is tested: of 10, 8 % of equal systems are called different at 5 %; of 6
or 4, 10 to 12 % (``python benchmarks/significance.py --utterances 10``)."""


class Verdict(StrEnum):
    """What a comparison came to."""

    BETTER = "better"
    WORSE = "worse"
    TIE = "tie"
    BASELINE = "baseline"
    NOT_TESTED = "not tested"


class Ground(StrEnum):
    """What a comparison is made on."""

    TEST = "test"
    CONFIRMED = "dev, fresh seeds"
    PART = "dev, the part that chose none of the trials"
    DEV = "dev, which chose the systems"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A study against the baseline.

    Attributes:
        verdict: What it came to.
        reason: Why nothing was tested; empty where something was.
        ground: What it was made on.
        difference: WER less the baseline's, its interval, and p of the paired bootstrap; corrected where dev chose.
        adjusted: That p, by Holm.
        matched_pairs: The matched pairs test, its p uncorrected; None with several seeds, or where the systems fitted
            other wordings of a reference.
        detectable: The difference that would be found with 80 %, points; None where no utterance differs.
    """

    verdict: Verdict
    reason: str = ""
    ground: Ground | None = None
    difference: Difference | None = None
    adjusted: float | None = None
    matched_pairs: MatchedPairs | None = None
    detectable: float | None = None


def compare(
    evidence: Mapping[str, Evidence],
    flatteries: Mapping[str, float | None],
    baseline: str | None,
    *,
    scorers: Mapping[str, str] | None = None,
    speakers: Mapping[str, str] | None = None,
) -> dict[str, Comparison]:
    """Compare every study with the baseline.

    Args:
        evidence: Of all studies, by name.
        flatteries: Points by which the dev WER of each is too low; None where that is not known.
        baseline: Name of the study to compare with; None where the campaign names none.
        scorers: Names of the scorers, by study; the plain one for those that are not among them.
        speakers: Speakers of the utterances, which are then drawn together; None draws utterances.
    """
    scorers = scorers or {}
    found: dict[str, Comparison] = {}
    for name, one in evidence.items():
        if name == baseline:
            found[name] = Comparison(Verdict.BASELINE)
        elif baseline is None or baseline not in evidence:
            found[name] = _untested(
                _NO_BASELINE if baseline is None else f"the baseline {baseline} is not among these studies"
            )
        else:
            pair = (one, evidence[baseline]), (flatteries.get(name), flatteries.get(baseline))
            scorer = scorers.get(name, DEFAULT), scorers.get(baseline, DEFAULT)
            found[name] = _test(*pair[0], *pair[1], scorer, speakers)
    return _decide(found)


def _untested(reason: str) -> Comparison:
    return Comparison(Verdict.NOT_TESTED, reason)


def _decide(found: Mapping[str, Comparison]) -> dict[str, Comparison]:
    """Correct the probabilities of those that were tested for their number, and say what they come to."""
    tested = {name: one.difference for name, one in found.items() if one.difference is not None}
    decided = dict(found)
    adjusted = holm([difference.p for difference in tested.values()])
    for (name, difference), p in zip(tested.items(), adjusted, strict=True):
        sign = Verdict.BETTER if difference.points < 0 else Verdict.WORSE
        decided[name] = replace(found[name], adjusted=p, verdict=sign if p < LEVEL else Verdict.TIE)
    return decided


def _test(
    one: Evidence,
    other: Evidence,
    flattery: float | None,
    others: float | None,
    scorers: tuple[str, str],
    speakers: Mapping[str, str] | None,
) -> Comparison:
    ground, first, second = _common(one, other)
    if not first or not second:
        return _untested(one.missing if not first else f"the baseline: {other.missing}")
    if scorers[0] != scorers[1]:
        return _untested(f"scored by {scorers[0]}, the baseline by {scorers[1]}")
    if not all(system.comparable(second[0]) for system in (*first, *second)):
        return _untested("the baseline was scored on other utterances")
    ids = second[0].ids
    blocks = None if speakers is None else [speakers.get(name, name) for name in ids]
    drawn = len(set(ids if blocks is None else blocks))
    if drawn < FEWEST:
        what = "utterances" if blocks is None else "speakers"
        return _untested(f"too few {what} to test on: {drawn}, and {FEWEST} are needed")
    errors, baseline = (np.stack([system.errors for system in systems]) for systems in (first, second))
    words = np.stack([np.mean([system.words for system in systems], axis=0) for systems in (first, second)])
    correction = 0.0
    if ground is Ground.DEV:
        if flattery is None or others is None:
            whose = "its" if flattery is None else "the baseline's"
            return _untested(
                f"how much {whose} WER flatters itself is not known: too few of the trials are in the store"
            )
        correction = flattery - others
    elif ground is Ground.CONFIRMED:
        correction = one.flattered - other.flattered
    rates = [
        100 * system.mean(axis=0).sum() / said.sum() for system, said in zip((errors, baseline), words, strict=True)
    ]
    measured = float(rates[0] - rates[1])
    correction = _towards_zero(measured, correction)
    difference = bootstrap_difference(errors, baseline, words, blocks, correction=correction)
    error = (difference.high - difference.low) / (2 * NormalDist().inv_cdf(0.975))
    return Comparison(
        Verdict.TIE,
        ground=ground,
        difference=difference,
        matched_pairs=_matched_pairs(first, second, scorers[0]),
        detectable=detectable_difference(error, LEVEL) if error else None,
    )


def _common(one: Evidence, other: Evidence) -> tuple[Ground, Sequence[UtteranceErrors], Sequence[UtteranceErrors]]:
    """The best ground that both stand on: one that chose neither, if there is one."""
    if one.test is not None and other.test is not None:
        return Ground.TEST, [one.test], [other.test]
    if one.confirmed and other.confirmed:
        return Ground.CONFIRMED, one.confirmed, other.confirmed
    ground = Ground.PART if one.tuned_on and other.tuned_on else Ground.DEV
    return ground, [one.dev] if one.dev else [], [other.dev] if other.dev else []


def _towards_zero(measured: float, correction: float) -> float:
    """As much of a correction as brings a difference nearer to zero."""
    corrected = measured + correction
    return min(max(corrected, min(measured, 0.0)), max(measured, 0.0)) - measured


def _matched_pairs(
    first: Sequence[UtteranceErrors], second: Sequence[UtteranceErrors], scorer: str
) -> MatchedPairs | None:
    if len(first) > 1 or len(second) > 1:
        return None
    align = find_scorer(scorer).align
    one, other = ([align(*pair) for pair in system[0].texts] for system in (first, second))
    try:
        return matched_pairs(one, other)
    except ScoringError:  # wordings that differ: nobody knows where they meet again
        return None
