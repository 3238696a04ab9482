"""What MLflow shows of a trial, made from its record alone: plain values, no MLflow.

Everything is a function of the record, so that it can be written again at any time: after a server that was down,
a process that was killed, or a store that was deleted.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from typing import Any

from orchestrator.record import StudyRecord, TrialRecord, TrialState
from orchestrator.seed_noise import seed_noise
from orchestrator.tracking.files import plain
from trainers.spec import EpochReport
from trainers.store import digest

PARENT = "mlflow.parentRunId"

STATUS = {
    TrialState.WAITING: "SCHEDULED",
    TrialState.RUNNING: "RUNNING",
    TrialState.COMPLETE: "FINISHED",
    TrialState.PRUNED: "KILLED",
    TrialState.FAILED: "FAILED",
}
ENDED = {STATUS[state] for state in TrialState if state.finished}

_CURVES = {
    "loss": "train_loss",
    "dev_wer": "dev_wer_epoch",
    "blank_share": "blank_share",
    "lr": "lr",
    "gradient_norm": "gradient_norm",
    "seconds": "epoch_seconds",
}
_PARAM_CHARACTERS = 6000
_TAG_CHARACTERS = 5000
_TRANSIENT = ("error", "notes", "not_finite.", "weights_freed")


_encode = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Point:
    """One epoch on the curves.

    Attributes:
        step: The epoch, one-based.
        elapsed: Seconds of training until then.
        metrics: Finite values by name.
    """

    step: int
    elapsed: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Projection:
    """What a run in MLflow has to show.

    Attributes:
        name: The run's name.
        status: MLflow's word for the state.
        params: Resolved settings, flattened.
        metrics: Results that have one value.
        points: The curves.
        tags: Everything else; whether the trial is promoted is not among them, since that changes afterwards.
    """

    name: str
    status: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    points: tuple[Point, ...]
    tags: Mapping[str, str]

    @cached_property
    def digest(self) -> str:
        """Key of all of it: a run that carries it needs no writing. The curves of a running trial still grow."""
        points = (
            [] if self.status == "RUNNING" else [(point.step, point.elapsed, point.metrics) for point in self.points]
        )
        return digest([self.name, self.status, self.params, self.metrics, points, self.tags])

    def obsolete(self, tags: Mapping[str, str]) -> list[str]:
        """Tags of an earlier attempt that do not hold any more."""
        return [name for name in tags if name.startswith(_TRANSIENT) and name not in self.tags]


def project_trial(record: TrialRecord, parent: str) -> Projection:
    """What the run of a trial shows.

    Args:
        record: The trial.
        parent: Its study's run; empty when that is not known.
    """
    points, odd = _curves(record)
    metrics, more = split_finite(_results(record))
    return Projection(
        name=f"{record.study}#{record.number}",
        status=STATUS[record.state],
        params=_params(record),
        metrics=metrics,
        points=tuple(points),
        tags=_tags(record, parent) | odd | {name: str(value) for name, value in more.items()},
    )


def study_path(study: StudyRecord) -> str:
    """``campaign/study``."""
    return f"{study.campaign}/{study.name}"


def project_study(study: StudyRecord) -> Projection:
    """What the run of a study shows, in the state of a study that nobody has open."""
    best = study.best
    counts = {f"trials_{state.value}": float(study.count(state)) for state in TrialState}
    tags = {
        "campaign": study.campaign,
        "study": study.name,
        "strategy": study.strategy,
        "record": study_path(study),
        "mlflow.source.name": "orchestrator",
        "mlflow.source.type": "LOCAL",
    }
    metrics: dict[str, float] = {}
    if best is not None and best.dev_wer is not None:
        tags["best_trial"] = str(best.number)
        metrics["best_wer"] = best.dev_wer
    promoted = next((trial for trial in study.trials if trial.promoted), None)
    if promoted is not None and promoted.dev_wer is not None:
        tags["promoted_trial"] = str(promoted.number)
        metrics["promoted_wer"] = promoted.dev_wer
        if promoted.outcome is not None and promoted.outcome.selection is not None:
            metrics["promoted_selection_wer"] = promoted.outcome.selection.wer
    if study.advice:
        tags["advice"] = _cut("\n".join(study.advice), _TAG_CHARACTERS)
    noise = seed_noise(study)
    if noise is not None:
        metrics |= {"dev_mean": noise.mean, "dev_sd": noise.sd, "replicates": float(noise.replicates)}
    ended = study.promoted is not None and not study.count(TrialState.WAITING)
    return Projection(
        name=study.name,
        status="RUNNING" if study.count(TrialState.RUNNING) else "FINISHED" if ended else "SCHEDULED",
        params={},
        metrics=counts | metrics,
        points=(),
        tags=tags,
    )


def epoch_metrics(report: EpochReport) -> dict[str, float]:
    """The points of one epoch on all curves, by the names that MLflow shows."""
    return {name: float(getattr(report, attribute)) for attribute, name in _CURVES.items()}


def split_finite(metrics: Mapping[str, float], step: int | None = None) -> tuple[dict[str, float], dict[str, str]]:
    """Part what can be drawn from what cannot.

    MLflow takes infinity for 1.8e308 and draws NaN as 0.

    Returns:
        The finite values, and a tag for each of the others.
    """
    where = "" if step is None else f" at epoch {step}"
    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    return finite, {f"not_finite.{name}": f"{metrics[name]}{where}" for name in metrics if name not in finite}


def milliseconds(time: datetime | None) -> int | None:
    """A local time as MLflow wants it."""
    return None if time is None else int(time.timestamp() * 1000)


def _params(record: TrialRecord) -> dict[str, str]:
    """Settings by dotted name, and the sampled ones that are no settings; nothing before they are resolved."""
    if not record.settings:
        return {}
    found = dict(_flat(plain(dict(record.settings)), ""))
    for name, value in record.params.items():
        found.setdefault(_allowed(name), _text(value))
    return found


def _flat(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{name}.")
        else:
            yield _allowed(name), _text(value)


@cache
def _allowed(name: str) -> str:
    """A name that MLflow takes."""
    return re.sub(r"[^\w.\- ]", "_", name)[:250]


def _text(value: Any) -> str:
    return _cut(value if isinstance(value, str) else _encode(value), _PARAM_CHARACTERS)


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


def _curves(record: TrialRecord) -> tuple[list[Point], dict[str, str]]:
    """The curves, and tags for the values that are no numbers."""
    reports = record.outcome.epochs if record.outcome is not None else ()
    epochs = [(report.epoch, report.seconds, epoch_metrics(report)) for report in reports]
    if not epochs:
        epochs = [(epoch, 0.0, {"dev_wer_epoch": wer}) for epoch, wer in sorted(record.curve.items())]
    points = []
    odd: dict[str, str] = {}
    elapsed, best = 0.0, math.inf
    for epoch, seconds, values in epochs:
        finite, tags = split_finite(values, epoch)
        odd |= tags
        elapsed += seconds if math.isfinite(seconds) else 0.0
        best = min(best, finite.get("dev_wer_epoch", math.inf))
        points.append(Point(epoch, elapsed, finite | ({"best_wer": best} if math.isfinite(best) else {})))
    return points, odd


def _results(record: TrialRecord) -> dict[str, float]:
    outcome = record.outcome
    found: dict[str, float] = {}
    if record.started is not None and record.finished is not None:
        found["duration_seconds"] = (record.finished - record.started).total_seconds()
    if outcome is None:
        return found
    found["weights"] = float(outcome.weights)
    found["cpu_seconds"] = outcome.cpu_seconds
    found["duration_seconds"] = outcome.seconds or found.get("duration_seconds", 0.0)
    if outcome.best_epoch is not None:
        found["best_epoch"] = float(outcome.best_epoch)
    if outcome.eliminated is not None:
        # names of their own: what was counted in a part of the set is never ranked beside `errors` or `dev_wer`
        found["decoded_utterances"] = float(outcome.eliminated.decoded)
        found["errors_in_decoded"] = float(outcome.eliminated.errors)
        found["rival_errors_in_decoded"] = float(outcome.eliminated.rival_errors)
    if record.dev_wer is not None and outcome.score is not None:
        score = outcome.score
        found["dev_wer"] = record.dev_wer
        found["errors"] = float(score.errors)
        found["substitutions"] = float(score.substitutions)
        found["deletions"] = float(score.deletions)
        found["insertions"] = float(score.insertions)
        found["reference_words"] = float(score.words)
    if outcome.selection is not None:
        found["selection_wer"] = outcome.selection.wer
    if record.final is not None:
        found["test_wer"] = record.final.score.wer
    return found


def _tags(record: TrialRecord, parent: str) -> dict[str, str]:
    outcome = record.outcome
    tags = {
        "campaign": record.campaign,
        "study": record.study,
        "strategy": record.strategy,
        "trial": str(record.number),
        "record": record.name,
        "state": record.state.value,
        "seed": "" if record.seed is None else str(record.seed),
        "key": record.key,
        "repeats": "" if record.repeats is None else str(record.repeats),
        "confirms": "" if record.confirms is None else str(record.confirms),
        "deaths": str(record.deaths) if record.deaths else "",
        "error": record.error,
        "decoder": outcome.decoder if outcome else "",
        "units": outcome.units if outcome else "",
        "scorer": outcome.scorer if outcome else "",
        "computed_on": outcome.computed_on if outcome else "",
        "still_improving": "yes" if outcome and outcome.still_improving else "",
        "lost_to": outcome.eliminated.rival if outcome and outcome.eliminated else "",
        "notes": "\n".join(outcome.notes) if outcome else "",
        "weights_freed": "yes" if record.freed else "",
        PARENT: parent,
        "mlflow.source.name": "orchestrator",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": record.provenance.get("commit", ""),
    }
    if record.final is not None:
        tags |= {"test_wer": f"{record.final.score.wer:.2f}", "test_look": str(record.final.look)}
    tags |= {_allowed(f"needs.{need}"): ", ".join(sources) for need, sources in record.needs.items()}
    tags |= {_allowed(f"provenance.{name}"): value for name, value in record.provenance.items()}
    return {name: _cut(value, _TAG_CHARACTERS) for name, value in tags.items() if value}
