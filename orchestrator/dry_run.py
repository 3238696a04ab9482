"""What a run would do, without doing it."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from orchestrator.confirmation import confirmations_of, how_confirmed
from orchestrator.cost import training_cost
from orchestrator.home import Home
from orchestrator.language_models import language_models
from orchestrator.planning import base_settings, model_points, replicated_study
from orchestrator.progress import seconds_a_trial
from orchestrator.record import StudyRecord, TrialState
from orchestrator.start import schema_of
from orchestrator.widening import own_budget
from search_spaces.axes.settings import Settings
from search_spaces.campaign import Campaign
from search_spaces.schema import StrategySchema
from trainers.artifacts import Utterance
from trainers.data.features import FRAME_SECONDS, features_key
from trainers.data.labels import Alphabet
from trainers.data.manifest import fingerprint, read_manifest
from trainers.data.sets import load_set
from trainers.decoding.language_model import language_model_key
from trainers.store import Store


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """What a run would do for one study.

    Attributes:
        study: Its name.
        strategy: Its strategy.
        finished: Trials that are there already.
        resumed: Trials that were interrupted and would go on.
        fresh: Trials that would start, without those that would confirm.
        confirmations: Trials that would confirm the best configurations, at most.
        seconds: Expected wall time of all of them on one worker; None when it cannot be told.
        why: What decides it.
    """

    study: str
    strategy: str
    finished: int
    resumed: int
    fresh: int
    confirmations: int
    seconds: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do.

    Attributes:
        studies: The studies in their order.
        cached: Shared things that are there already.
        made: Shared things that would be made first.
        seconds: Expected wall time with all workers, of what can be told.
        megabytes: Expected space that the weights kept take on disk.
        unknown: Whether some study's time cannot be told.
    """

    studies: tuple[StudyPlan, ...]
    cached: tuple[str, ...]
    made: tuple[str, ...]
    seconds: float
    megabytes: float
    unknown: bool


def dry_run(campaign: Campaign, names: Sequence[str], stored: Sequence[StudyRecord], workers: int) -> Plan:
    """Plan a run.

    Args:
        campaign: The campaign.
        names: The studies, each after those it needs.
        stored: What is stored of the campaign.
        workers: Trials at once.

    Raises:
        DataError: A manifest cannot be used.
    """
    store = Store(Home.here().store)
    train, dev = read_manifest(campaign.data.train), read_manifest(campaign.data.dev)
    records = {record.name: record for record in stored}
    shared: dict[str, bool] = {}
    studies, megabytes = [], 0.0
    for name in names:
        definition = campaign.studies[name]
        trained = replicated_study(campaign, definition)
        schema = schema_of(trained)
        settings = base_settings(campaign, trained, model_points(campaign, trained)[0])
        record = records.get(name, StudyRecord(campaign.name, name, definition.strategy))
        waiting = record.count(TrialState.WAITING, TrialState.RUNNING)
        resumed = sum(bool(trial.key) for trial in record.trials if not trial.state.finished)
        budget = own_budget(definition)
        fresh = max(budget - len(record.searched), 0) + waiting - resumed
        confirm = how_confirmed(definition, record, budget)
        confirmations = confirmations_of(record, definition.space, confirm, budget)
        confirmations -= len(record.trials) - len(record.searched)
        new, left = fresh + confirmations, resumed + fresh + confirmations
        took = seconds_a_trial(record)
        why = f"median of {record.count(TrialState.COMPLETE)} finished trials"
        if schema.trains:
            for split, utterances in (("train", train), ("dev", dev)):
                key = features_key(utterances, settings.features)
                shared[f"features of {split}, {len(utterances)} utterances"] = store.has("features", key)
            lengths = _lengths(campaign, store, train, settings) if took is None and new else None
            if lengths is not None:
                labels = len(Alphabet.of(settings.units, (utterance.text for utterance in train)))
                cost = training_cost(settings, *lengths, labels)
                took, why = cost.seconds * _trainings(schema, settings), "three steps of its network, timed now"
                kept = min(new, definition.keep.best or new)
                megabytes += kept * cost.megabytes * _trainings(schema, settings)
        for model in language_models(campaign, definition):
            key = language_model_key(model, "" if model.files else fingerprint(train))
            made = f"{model.title} language model"
            shared[made] = shared.get(made, True) and store.has("language_models", key)
        if not left:
            why = "done"
        elif took is None:
            why = "cannot be told yet"
        elif resumed:
            why += "; interrupted trials go on from their last epoch"
        if confirmations:
            why += f"; {confirmations} confirm the best"
        seconds = 0.0 if not left else None if took is None else took * left
        studies.append(
            StudyPlan(name, definition.strategy, record.finished, resumed, fresh, confirmations, seconds, why)
        )
    return Plan(
        studies=tuple(studies),
        cached=tuple(name for name, there in shared.items() if there),
        made=tuple(name for name, there in shared.items() if not there),
        seconds=_makespan(studies, workers),
        megabytes=megabytes,
        unknown=any(study.seconds is None for study in studies),
    )


def _trainings(schema: StrategySchema, settings: Settings) -> int:
    """How often a trial trains its network at most."""
    return int(attrgetter(schema.repeats)(settings)) if schema.repeats else 1


def _lengths(
    campaign: Campaign, store: Store, train: tuple[Utterance, ...], settings: Settings
) -> tuple[NDArray[np.int64], int] | None:
    """Frames of every utterance and dimensions of a frame; None when only computing the features would tell."""
    if store.has("features", features_key(train, settings.features)):
        features = load_set(store, campaign.data.train, settings.features).features
        return np.diff(features.offsets), features.dimensions
    durations = [utterance.duration for utterance in train if utterance.duration is not None]
    if len(durations) < len(train) or settings.features.kind != "logmel":
        return None
    lengths = np.array([max(round(duration / FRAME_SECONDS), 1) for duration in durations])
    return lengths, settings.features.bands * settings.features.blocks


def _makespan(studies: Sequence[StudyPlan], workers: int) -> float:
    """Time of all studies one after another, each on as many workers as it has trials."""
    total = 0.0
    for study in studies:
        count = study.fresh + study.confirmations + study.resumed
        if study.seconds and count:
            total += study.seconds / count * -(-count // workers)
    return total
