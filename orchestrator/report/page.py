"""The page: one file that needs nothing beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from orchestrator.leaderboard.formats import LEGEND, SHOWN, cells
from orchestrator.leaderboard.view import notes
from orchestrator.record import TrialRecord
from orchestrator.report import figures
from orchestrator.report.answer import answer
from orchestrator.report.error_analysis import ErrorAnalysis, Group, analyse
from orchestrator.report.figures import Figure
from orchestrator.report.material import Material
from orchestrator.report.methods import methods
from orchestrator.report.power import power
from orchestrator.report.surfaces import surface_figures
from search_spaces.checking import unknown_name
from search_spaces.errors import UserError
from trainers.scoring.scorer import find_scorer

GENERATOR = "ctc-orchestrator report"
_TEMPLATE = "page.html.j2"


@dataclass(frozen=True, slots=True)
class Analysed:
    """Whose errors are analysed, and what came of that.

    Attributes:
        trial: The system.
        split: ``dev`` or ``test``.
        analysis: None where what it recognised is not here.
        figures: WER by length and by speaker.
    """

    trial: TrialRecord
    split: str
    analysis: ErrorAnalysis | None = None
    figures: Mapping[str, Figure] = field(default_factory=dict)


def is_report(path: Path) -> bool:
    """Whether a file is a report that was made here, and may be replaced by another."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return f'<meta name="generator" content="{GENERATOR}">' in file.read(1000)
    except OSError:
        return False


def render(material: Material, study: str | None = None, split: str = "dev", now: datetime | None = None) -> str:
    """The report of a campaign as HTML.

    Args:
        material: What it is made from.
        study: Whose errors are analysed; None takes the champion, or the lowest dev WER before there is one.
        split: On which set, ``dev`` or ``test``.
        now: The time that stands on the page.

    Raises:
        UserError: The study has no result, or test was not opened for it.
    """
    analysed = _analysed(material, study, split)
    system = analysed.trial if analysed else None
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = material.table.to_dict("records")
    return environment.get_template(_TEMPLATE).render(
        generator=GENERATOR,
        campaign=material.campaign.name,
        when=f"{now or datetime.now():%Y-%m-%d %H:%M}",
        answer=answer(material.table, material.champion),
        baseline=material.campaign.baseline,
        headings=list(SHOWN.values()),
        rows=[cells(row) for row in rows],
        notes=[*LEGEND, *notes(material.table), *_advice(material)] if rows else [],
        rates=figures.rates(material.table),
        differences=figures.differences(material.table),
        curves=figures.curves(material.studies),
        costs=figures.costs(material.table),
        surfaces=surface_figures(material),
        analysed=analysed,
        opened=bool(material.table["test_wer"].notna().any()),
        power=power(material, system),
        methods=" ".join(methods(material, system)),
        commands={row["study"]: row["command"] for row in rows if row["command"]},
    )


def _analysed(material: Material, study: str | None, split: str) -> Analysed | None:
    trial = _system(material, study)
    if trial is None:
        return None
    if split == "test" and trial.final is None:
        raise UserError(
            f"--split test: the test set was not opened for {trial.name}; open it with: orchestrator finalize "
            f"{material.campaign.name}"
        )
    opened = split == "test"
    errors = (material.errors_on_test if opened else material.errors_of)(trial)
    recordings = material.sets.test if opened else material.sets.dev
    if errors is None or trial.outcome is None:
        return Analysed(trial, split)
    speakers = {utterance.id: utterance.speaker for utterance in recordings or () if utterance.speaker}
    found = analyse(errors, find_scorer(trial.outcome.scorer), speakers)
    drawn = {"length": _by(found.lengths, "words of the reference"), "speaker": _by(found.speakers, "speaker")}
    return Analysed(trial, split, found, {what: figure for what, figure in drawn.items() if figure is not None})


def _advice(material: Material) -> Iterator[str]:
    """What the studies said when they ended."""
    return (f"{study.name}: {sentence}" for study in material.studies for sentence in study.advice)


def _system(material: Material, study: str | None) -> TrialRecord | None:
    """The trial whose errors are analysed; None where no trial is complete."""
    if study is None:
        best = (one.result for one in material.studies)
        ranked = sorted((one for one in best if one is not None), key=lambda one: one.judged_wer or 0.0)
        return material.champion or next(iter(ranked), None)
    names = [one.name for one in material.studies]
    if study not in names:
        known = study in material.campaign.studies
        why = "it has not been run" if known else unknown_name("study", study, names or material.campaign.studies)
        raise UserError(f"--study {study}: {why}")
    result = material.study(study).result
    if result is None:
        raise UserError(f"--study {study}: none of its trials is complete")
    return result


def _by(groups: Sequence[Group], what: str) -> Figure | None:
    """WER of groups of which there are two at least."""
    rows = [(group.name, group.rate) for group in groups if group.rate is not None]
    return figures.intervals(rows, "WER (%)", what) if len(rows) > 1 else None
