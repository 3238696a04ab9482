"""Every trial of a campaign read from Optuna's tables at once.

Optuna makes an object of every row of every table, 8 s for 10,000 trials of 14 epochs; a query for each table gives the
same trials, and those that a listing does not look at closely need little of it (``python benchmarks/leaderboard.py``).
A trial's attributes are written before its state changes, so states are read first.
"""

import gc
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
from sqlalchemy import ColumnElement, Connection, Select, and_, select
from sqlalchemy.engine import Engine

from orchestrator.record import StudyRecord, TrialRecord
from orchestrator.sampling.records import study_record, trial_record
from search_spaces.replicates import SEED

Choice = Callable[[StudyRecord], Iterable[int]]
"""Numbers of the trials of a study that are to be read whole."""

_NOTED = ("outcome", "started", "overrides", "error", "run_id", "deaths", "repeats")
_EPOCHS = re.compile(r'"epochs": \[[^\]]*\]')  # of an outcome; within text a quotation mark has a backslash before it

_trials = models.TrialModel.__table__
_Rows = Mapping[int, dict[str, Any]]


def read_studies(engine: Engine, campaign: str, whole: Choice | None = None) -> list[StudyRecord]:
    """The studies of a campaign with all their trials, in the order in which they were made.

    Args:
        engine: Of Optuna's database.
        campaign: Name of the campaign.
        whole: Says of a study which trials to read whole; None reads all. Of the others only state, times, and the
            outcome but for its epochs are read. A study whose trials differ by seed is always read whole: which of
            them are alike stands in their settings.
    """
    study, noted = models.StudyModel, models.StudyUserAttributeModel
    with engine.connect() as connection, _no_collection():
        found = connection.execute(
            select(study.study_id, study.study_name)
            .where(study.study_name.startswith(f"{campaign}/", autoescape=True))
            .order_by(study.study_id)
        ).all()
        query = select(noted.study_id, noted.key, noted.value_json).where(noted.key != "definition")
        attributes = _values(connection, query.where(noted.study_id.in_([key for key, _ in found])))
        return [
            _study(connection, key, campaign, name.removeprefix(f"{campaign}/"), attributes[key], whole)
            for key, name in found
        ]


@contextmanager
def _no_collection() -> Iterator[None]:
    """No search for garbage while nothing but records is made: it takes a third of the time, and finds none."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _study(
    connection: Connection, key: int, campaign: str, name: str, attributes: Mapping[str, Any], whole: Choice | None
) -> StudyRecord:
    among = _trials.c.study_id == key
    if whole is None or _seeded(connection, among):
        return study_record(campaign, name, attributes, _whole(connection, among))
    brief = study_record(campaign, name, attributes, _brief(connection, among))
    chosen = _whole(connection, and_(among, _trials.c.number.in_(list(whole(brief)))))
    known: dict[int, TrialRecord] = {trial.number: trial_record(campaign, name, attributes, trial) for trial in chosen}
    return replace(brief, trials=tuple(known.get(trial.number, trial) for trial in brief.trials))


def _seeded(connection: Connection, among: ColumnElement[bool]) -> bool:
    """Whether trials may differ by seed: because it is searched, or laid over points."""
    param, noted = models.TrialParamModel, models.TrialUserAttributeModel
    searched = _of(param, among).where(param.param_name == SEED)
    laid = _of(noted, among).where(noted.key == "overrides", noted.value_json.contains(f'"{SEED}"', autoescape=True))
    return any(connection.execute(query.limit(1)).first() for query in (searched, laid))


def _brief(connection: Connection, among: ColumnElement[bool]) -> list[FrozenTrial]:
    rows = _rows(connection, among)
    noted = models.TrialUserAttributeModel
    outcomes = _of(noted, among, noted.key, noted.value_json).where(noted.key == "outcome")
    attributes = _values(connection, outcomes, lambda text: _EPOCHS.sub('"epochs": []', text, count=1))
    return [_trial(row, user_attrs=attributes[row.trial_id]) for row in rows]


def _whole(connection: Connection, among: ColumnElement[bool]) -> list[FrozenTrial]:
    rows = _rows(connection, among)
    noted, queued = models.TrialUserAttributeModel, models.TrialSystemAttributeModel
    param, epoch = models.TrialParamModel, models.TrialIntermediateValueModel
    attributes = _values(connection, _of(noted, among, noted.key, noted.value_json).where(noted.key.in_(_NOTED)))
    system = _values(connection, _of(queued, among, queued.key, queued.value_json).where(queued.key == "fixed_params"))
    params: dict[int, dict[str, Any]] = defaultdict(dict)
    values = _of(param, among, param.param_name, param.param_value, param.distribution_json).order_by(param.param_id)
    for trial, name, value, distribution in connection.execute(values):
        params[trial][name] = _distribution(distribution).to_external_repr(value)
    curves: dict[int, dict[int, float]] = defaultdict(dict)
    points = _of(epoch, among, epoch.step, epoch.intermediate_value, epoch.intermediate_value_type)
    for trial, step, value, kind in connection.execute(points):
        curves[trial][step] = epoch.stored_repr_to_intermediate_value(value, kind)
    return [
        _trial(
            row,
            params=params[row.trial_id],
            user_attrs=attributes[row.trial_id],
            system_attrs=system[row.trial_id],
            intermediate_values=curves[row.trial_id],
        )
        for row in rows
    ]


def _rows(connection: Connection, among: ColumnElement[bool]) -> list[Any]:
    return list(connection.execute(select(_trials).where(among).order_by(_trials.c.number)))


def _of(model: Any, among: ColumnElement[bool], *columns: Any) -> Select[Any]:
    """Columns of a table that belong to certain trials, behind the trial's key."""
    return select(model.trial_id, *columns).join(_trials, model.trial_id == _trials.c.trial_id).where(among)


def _values(connection: Connection, query: Select[Any], cut: Callable[[str], str] | None = None) -> _Rows:
    """Attributes by their owner and key."""
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    for owner, key, text in connection.execute(query):
        found[owner][key] = json.loads(cut(text) if cut else text)
    return found


def _trial(row: Any, **parts: Any) -> FrozenTrial:
    empty: dict[str, Any] = {"params": {}, "system_attrs": {}, "intermediate_values": {}}
    return FrozenTrial(
        number=row.number,
        state=row.state,
        value=None,
        datetime_start=_local(row.datetime_start),
        datetime_complete=_local(row.datetime_complete),
        distributions={},
        trial_id=row.trial_id,
        **{**empty, **parts},
    )


@cache
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)


def _local(time: datetime | None) -> datetime | None:
    """A stored time as Optuna gives it: stored in UTC, local without a zone."""
    return None if time is None else time.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
