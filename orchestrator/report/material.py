"""What a report is made from: records, the leaderboard, what was recognised, and the sets as far as they are here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from orchestrator import leaderboard as boards
from orchestrator.champion import champion_among, champion_folder, read_provenance
from orchestrator.home import Home
from orchestrator.leaderboard import Evidence
from orchestrator.record import StudyRecord, TrialRecord
from orchestrator.start import schema_of
from orchestrator.stored import in_order, stored_studies
from orchestrator.surface import ErrorsOf, Surface, errors_in, find_surface
from search_spaces.campaign import Campaign
from search_spaces.errors import UserError
from trainers.artifacts import Utterance
from trainers.data.manifest import read_manifest
from trainers.data.sealed import SealedSet
from trainers.ledger import Ledger, Look
from trainers.outcomes import FINALS, UtteranceErrors, final_key, find_errors
from trainers.store import Store


@dataclass(frozen=True, slots=True)
class Sets:
    """The sets of a campaign; None for one that cannot be read here.

    Attributes:
        train: Utterances of the training set.
        dev: Utterances of the set that selects.
        test: Recordings of the test set, without transcripts.
    """

    train: Sequence[Utterance] | None = None
    dev: Sequence[Utterance] | None = None
    test: Sequence[Utterance] | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """What a report is made from.

    Attributes:
        campaign: The campaign.
        studies: Its studies that have been begun; empty where nothing has been run.
        table: The leaderboard.
        evidence: What was recognised, by study.
        champion: The campaign's champion; None before there is one.
        errors_of: Gives the errors of a complete trial on dev, in the part that judges if it is parted.
        errors_on_test: Likewise on test; None before that is opened for the trial.
        surfaces: What studies over saved posteriors found, by study.
        sets: The sets.
        looks: Every look at the test set on which systems of this campaign were scored.
    """

    campaign: Campaign
    studies: Sequence[StudyRecord]
    table: pd.DataFrame
    evidence: Mapping[str, Evidence]
    champion: TrialRecord | None
    errors_of: ErrorsOf = lambda trial: None
    errors_on_test: ErrorsOf = lambda trial: None
    surfaces: Mapping[str, Surface] = field(default_factory=dict)
    sets: Sets = field(default_factory=Sets)
    looks: Sequence[Look] = ()

    def study(self, name: str) -> StudyRecord:
        """The record of a study."""
        return next(study for study in self.studies if study.name == name)


def read_material(campaign: Campaign) -> Material:
    """Read all that a report is made from; where nothing has been run, no home is made.

    Args:
        campaign: The campaign.
    """
    sets = Sets(_utterances(campaign.data.train), _utterances(campaign.data.dev), _recordings(campaign))
    stored = in_order(campaign, stored_studies(campaign.name, lambda study: _whole(campaign, study)))
    if not stored:
        return Material(campaign, (), boards.leaderboard(()), {}, None, sets=sets)
    home = Home.here()
    store = Store(home.store)
    judged, tuned = errors_in(store, "selection"), errors_in(store)
    evidence = boards.read_evidence(stored, home.store / "outcomes")
    champion = champion_among(home, campaign.name, stored)
    table = boards.leaderboard(stored, champion, campaign, evidence)
    surfaces = {study.name: found for study in stored if (found := _surface(campaign, study, tuned))}
    tests = errors_on_test(store)
    return Material(campaign, stored, table, evidence, champion, judged, tests, surfaces, sets, _looks(stored, store))


def _whole(campaign: Campaign, study: StudyRecord) -> set[int]:
    """Numbers of the trials that a report looks at closely."""
    if _has_surface(campaign, study.name):
        return {trial.number for trial in study.trials}
    numbers = boards.looked_at(study)
    folder = champion_folder(Home.here(), campaign.name)
    if folder is not None and (origin := read_provenance(folder))["study"] == study.name:
        numbers.add(origin["trial"])
    return numbers


def _has_surface(campaign: Campaign, name: str) -> bool:
    return name in campaign.studies and schema_of(campaign.studies[name]).surface


def _surface(campaign: Campaign, study: StudyRecord, errors_of: ErrorsOf) -> Surface | None:
    if not _has_surface(campaign, study.name):
        return None
    return find_surface(campaign.studies[study.name].space, study.trials, errors_of)


def errors_on_test(store: Store) -> ErrorsOf:
    """Reads the errors that trials made on test from the outcomes in a store."""

    def errors_of(trial: TrialRecord) -> UtteranceErrors | None:
        if trial.final is None:
            return None
        return find_errors(store.path(FINALS, final_key(trial.final.test_set, trial.key)))

    return errors_of


def _looks(studies: Sequence[StudyRecord], store: Store) -> tuple[Look, ...]:
    keys = {trial.final.test_set for study in studies for trial in study.trials if trial.final}
    return tuple(look for key in sorted(keys) for look in Ledger(store.root).looks(key))


def _utterances(manifest: Path) -> Sequence[Utterance] | None:
    try:
        return read_manifest(manifest)
    except UserError:  # the report of a home that was copied from elsewhere does without
        return None


def _recordings(campaign: Campaign) -> Sequence[Utterance] | None:
    try:
        return SealedSet(campaign.data.test).recordings if campaign.data.test is not None else None
    except UserError:
        return None
