"""Trials from their specs to their outcomes; what was done before is not done again."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from search_spaces.axes.settings import Settings, with_sections
from trainers.artifacts import Hypothesis
from trainers.data.manifest import read_manifest
from trainers.scoring.wer import score_pair
from trainers.spec import EpochReport, TrialOutcome, TrialSpec
from trainers.store import Store
from trainers.strategies import find_strategy, sections
from trainers.trial import Report, Trial

OUTCOME = "outcome.json"
HYPOTHESES = "hypotheses.jsonl"


def resolve_settings(tree: dict[str, Any]) -> Settings:
    """Settings from a tree of plain values, with the sections of all strategies."""
    return with_sections(sections()).model_validate(tree)


def run_trial(spec: TrialSpec, store: Store, report: Report) -> TrialOutcome:
    """Run a trial, or take its outcome from the store if it has been run before.

    Args:
        spec: What is asked.
        store: Where artifacts come from and go to.
        report: Told every epoch; False asks the trial to stop because it is losing.

    Raises:
        UserError: The data, a checkpoint or the settings do not fit.
    """
    ((_, outcome),) = run_trials([spec], store, lambda _, epoch: report(epoch))
    return outcome


def run_trials(
    specs: Sequence[TrialSpec], store: Store, report: Callable[[TrialSpec, EpochReport], bool]
) -> Iterator[tuple[TrialSpec, TrialOutcome]]:
    """Run trials of one strategy, or take their outcomes from the store.

    Args:
        specs: What is asked.
        store: Where artifacts come from and go to.
        report: Told every epoch of every trial; False asks the trial to stop because it is losing.

    Yields:
        Each spec with its outcome as soon as there is one, in any order.

    Raises:
        UserError: The data, a checkpoint or the settings of one of them do not fit; no further one is run.
    """
    trials = []
    for spec in specs:
        if store.has("outcomes", spec.key):
            yield spec, load_outcome(store.path("outcomes", spec.key))
        else:
            trials.append(Trial(spec, resolve_settings(dict(spec.settings)), store, partial(report, spec)))
    if trials:
        for trial, outcome, hypotheses in find_strategy(specs[0].strategy).run_all(trials):
            yield trial.spec, _keep(trial.spec, store, outcome, hypotheses)


def _keep(spec: TrialSpec, store: Store, outcome: TrialOutcome, hypotheses: list[Hypothesis]) -> TrialOutcome:
    """Put what came of a trial into the store, unless it was stopped."""
    if outcome.pruned:
        return outcome

    def make(folder: Path) -> None:
        # the texts alone: a trial that decodes has no settings for features, those are its checkpoint's
        references = {utterance.id: utterance.text for utterance in read_manifest(spec.dev)}
        lines = [_line(hypothesis, references[hypothesis.id]) for hypothesis in hypotheses]
        (folder / HYPOTHESES).write_text("".join(lines), encoding="utf-8")
        (folder / OUTCOME).write_text(json.dumps(asdict(outcome), indent=1), encoding="utf-8")

    return load_outcome(store.entry("outcomes", spec.key, make))


def _line(hypothesis: Hypothesis, reference: str) -> str:
    score = asdict(score_pair(reference, hypothesis.text))
    entry = {"id": hypothesis.id, "reference": reference, "hypothesis": hypothesis.text, **score}
    entry |= {"acoustic": hypothesis.acoustic, "language": hypothesis.language}
    return json.dumps(entry, ensure_ascii=False) + "\n"


def load_outcome(folder: Path) -> TrialOutcome:
    """The outcome in its folder."""
    return TrialOutcome.of(json.loads((folder / OUTCOME).read_text(encoding="utf-8")))
