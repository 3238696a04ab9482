"""Whether a challenger takes the place of a campaign's champion.

The two are compared as two studies of the leaderboard are (`orchestrator.leaderboard.comparison`): by the paired
bootstrap on dev, the difference moved towards zero by what choosing each as the best of its trials is expected to have
given it. The winner's curse is taken in because the challenger is by construction the best of all: uncorrected, a study
of 50 trials would sooner or later beat every champion by luck alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.leaderboard.comparison import Comparison, compare
from orchestrator.leaderboard.competition import flattery
from orchestrator.leaderboard.evidence import Evidence, read_evidence
from orchestrator.record import StudyRecord, TrialRecord
from search_spaces.campaign import PromotionSettings


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate says.

    Attributes:
        passes: Whether the challenger becomes champion.
        reason: Why or why not, in a sentence.
        facts: The same as plain values, for provenance.
    """

    passes: bool
    reason: str
    facts: Mapping[str, Any]


BY_HAND = Decision(True, "by hand, past the gate", {"rule": "by hand"})


def judge(
    challenger: TrialRecord,
    champion: TrialRecord,
    studies: Sequence[StudyRecord],
    outcomes: Path,
    promotion: PromotionSettings,
) -> Decision:
    """Decide between two complete trials.

    Args:
        challenger: The one that would become champion.
        champion: The one that is.
        studies: All studies of the campaign with their trials.
        outcomes: Folder of the outcomes, by the trials' keys.
        promotion: What the campaign asks for.
    """
    found = _compare(challenger, champion, studies, outcomes)
    difference = found.difference
    facts = {"rule": promotion.kind, "against": champion.name, "against_dev_wer": champion.judged_wer}
    if difference is not None:
        facts |= {"level": promotion.level, "points": difference.points, "p": difference.p}
        facts |= {"low": difference.low, "high": difference.high}
    measured = _said(challenger, champion, found)
    if promotion.kind == "always":
        return Decision(True, f"{measured}; the campaign promotes always", facts)
    if difference is not None and difference.points < 0 and difference.p < promotion.level:
        return Decision(True, f"{measured}: more than noise", facts)
    if difference is not None and _cheaper(challenger, champion):
        return Decision(True, f"{measured}: within noise, and it has fewer weights ({_weights(challenger)})", facts)
    why = "within noise" if difference is not None else "not more than noise as far as can be told"
    return Decision(False, f"{measured}: {why}, so the champion stays", facts)


def first(
    challenger: TrialRecord, rivals: Sequence[TrialRecord], studies: Sequence[StudyRecord], outcomes: Path
) -> Decision:
    """The first champion of a campaign needs no gate; it is said from which rivals noise does not tell it apart.

    Args:
        challenger: The promoted trial of the lowest judged WER.
        rivals: The promoted trials of the other studies.
        studies: All studies of the campaign with their trials.
        outcomes: Folder of the outcomes, by the trials' keys.
    """
    alike = list(_within_noise(challenger, rivals, studies, outcomes))
    said = f"; within noise of it: {'; '.join(alike)}" if alike else ""
    return Decision(True, f"the first champion, by the lowest dev WER{said}", {"rule": "first", "within_noise": alike})


def _within_noise(
    best: TrialRecord, rivals: Sequence[TrialRecord], studies: Sequence[StudyRecord], outcomes: Path
) -> Iterator[str]:
    for rival in rivals:
        difference = _compare(best, rival, studies, outcomes).difference
        if difference is not None and (difference.points >= 0 or difference.p >= PromotionSettings().level):
            yield f"{rival.study}#{rival.number} ({rival.judged_wer:.1f} %, p = {difference.p:.2g})"


def _compare(
    challenger: TrialRecord, champion: TrialRecord, studies: Sequence[StudyRecord], outcomes: Path
) -> Comparison:
    """The challenger against the champion on dev."""
    evidence: dict[str, Evidence] = {}
    flatteries: dict[str, float | None] = {}
    scorers = {}
    for role, trial in (("challenger", challenger), ("champion", champion)):
        study = next(study for study in studies if study.name == trial.study)
        # the study as if this trial stood for it
        shown = replace(study, promoted=trial.number, promoted_beside=study.best.number if study.best else None)
        evidence[role] = replace(read_evidence([shown], outcomes)[study.name], test=None, looks=0)
        flatteries[role] = flattery(shown, evidence[role].sample)
        scorers[role] = trial.outcome.scorer if trial.outcome else ""
    return compare(evidence, flatteries, "champion", scorers=scorers)["challenger"]


def _said(challenger: TrialRecord, champion: TrialRecord, found: Comparison) -> str:
    """The two figures, and the corrected difference with its interval."""
    name = f"{champion.study}#{champion.number}"
    figures = f"dev WER {challenger.judged_wer:.1f} % against {champion.judged_wer:.1f} % of {name}"
    if found.difference is None:
        return f"{figures}, not tested ({found.reason})"
    one = found.difference
    interval = f"95 % interval {one.low:+.1f} to {one.high:+.1f}, p = {one.p:.2g}"
    return f"{figures}, corrected {one.points:+.1f} points ({interval})"


def _cheaper(challenger: TrialRecord, champion: TrialRecord) -> bool:
    """Whether a challenger costs less and shows no higher WER."""
    lower = (challenger.judged_wer or 0.0) <= (champion.judged_wer or 0.0)
    return lower and _weights(challenger) < _weights(champion)


def _weights(trial: TrialRecord) -> int:
    return trial.outcome.weights if trial.outcome else 0
