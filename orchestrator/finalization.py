"""The opening of a campaign's test set: once for each promoted system, all of them together, every look noted.

The champion is among them whichever trial it is: by hand, or because the gate kept it, it may be another than the one
that stands for its study, and it is the system that people use.
"""

import getpass
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from orchestrator.champion import champion_among, champion_folder
from orchestrator.home import Home
from orchestrator.overlap import check_test_set
from orchestrator.planning import stored_spec
from orchestrator.provenance import provenance
from orchestrator.record import StudyRecord, TrialRecord, TrialState
from orchestrator.sampling import Sampling
from orchestrator.start import pinned_start
from orchestrator.stored import in_order
from orchestrator.tracking import Tracker, trial_folders
from search_spaces.campaign import Campaign
from search_spaces.errors import UserError
from search_spaces.reading import unknown_study
from trainers.artifacts import Hypothesis
from trainers.data.sealed import SealedSet
from trainers.ledger import Ledger, Look, Occasion, Submission
from trainers.outcomes import FINALS, final_key, load_outcome, write_outcome
from trainers.pipeline import recognise
from trainers.scoring.scorer import find_scorer
from trainers.spec import TrialOutcome
from trainers.store import Store


@dataclass(frozen=True, slots=True)
class Candidate:
    """A promoted system and its look at the test set.

    Attributes:
        record: Its trial.
        look: What the ledger says of it; None if it has not looked.
        number: The number of that look, or of the one it would be.
        champion: Whether it is the campaign's champion.
    """

    record: TrialRecord
    look: Look | None
    number: int
    champion: bool = False

    @property
    def title(self) -> str:
        """The study that it stands for; ``study#number`` of a champion that stands for none."""
        return self.record.study if self.record.promoted else f"{self.record.study}#{self.record.number}"

    @property
    def submission(self) -> Submission:
        """What the ledger is told."""
        record = self.record
        return Submission(record.key, record.strategy, record.campaign, record.study, record.number)


class Finalization:
    """What opening the test set of a campaign would do, and doing it.

    Args:
        campaign: The campaign.
        names: Studies whose systems are scored; none for all of the campaign.
        home: Where results are.

    Attributes:
        test: The test set.
        without: Studies that came to their end without a result.
        warnings: What the user should know before opening it.

    Raises:
        UserError: There is no test set, or a study has not come to its end; nothing has been opened.
    """

    def __init__(self, campaign: Campaign, names: Sequence[str], home: Home) -> None:
        self.test = _test_set(campaign)
        self._campaign = campaign
        self._home = home
        self._store = Store(home.store)
        self._sampling = Sampling(home)
        self._ledger = Ledger(self._store.root)
        self._studies = in_order(campaign, self._sampling.records(campaign.name))
        chosen = _chosen(campaign, names, self._studies)
        self.warnings = [*check_test_set(campaign), *_lost_champion(home, campaign, self._studies)]
        self.without = tuple(study.name for study in chosen if study.best is None)
        self._champion = champion_among(home, campaign.name, chosen)
        self._records = [
            trial for study in chosen for trial in study.trials if trial.promoted or trial is self._champion
        ]
        if not self._records:
            raise UserError(f"no study of campaign {campaign.name} has a promoted system: there is nothing to score")

    @property
    def looks(self) -> list[Look]:
        """Every look at the test set so far, whoever's."""
        return self._ledger.looks(self.test.key)

    @property
    def candidates(self) -> list[Candidate]:
        """The systems, as the ledger knows them now."""
        known = {look.submission.system: look for look in self.looks}
        blank = [Candidate(record, known.get(record.key), 0, record is self._champion) for record in self._records]
        numbers = self._ledger.preview(self.test.key, [candidate.submission for candidate in blank])
        return [replace(candidate, number=number) for candidate, number in zip(blank, numbers, strict=True)]

    def run(self, hearing: Callable[[TrialRecord], None]) -> list[Candidate]:
        """Score what has not been scored, and give all results at once.

        Every system hears the recordings before anyone reads a transcript: what cannot be heard costs no look.

        Args:
            hearing: Told of each system that begins to hear the test set.

        Raises:
            UserError: A part of a system, or a recording, is gone.
        """
        with FileLock(self._home.lock("finalize")):
            open_ = [one for one in self.candidates if one.look is None or one.look.score is None]
            heard = {one.record.key: self._hear(one.record, hearing) for one in open_}
            if open_:
                submissions = {one.record.key: one.submission for one in open_}
                looks = self._ledger.note(self.test.key, str(self.test), [*submissions.values()], _occasion())
                references = self.test.open(self._ledger, submissions)
                scored = [self._score(look, *heard[look.submission.system], references) for look in looks]
                for look, outcome in zip(looks, scored, strict=True):
                    assert outcome.score is not None  # of a whole set
                    self._ledger.record(look, outcome.score)
            self._show(self.candidates)
        return self.candidates

    def folder(self, candidate: Candidate) -> Path:
        """Where what a system said of the test set lies, utterance by utterance."""
        return self._store.path(FINALS, final_key(self.test.key, candidate.record.key))

    def _hear(
        self, record: TrialRecord, hearing: Callable[[TrialRecord], None]
    ) -> tuple[TrialRecord, list[Hypothesis]]:
        if self._store.has(FINALS, final_key(self.test.key, record.key)):
            return record, []  # a process died after that was kept and before the ledger said so
        hearing(record)
        plain = self._sampling.load(record.campaign, record.study).attribute("start") or {"needs": {}, "inherited": {}}
        spec = stored_spec(self._campaign, record, pinned_start(plain, self._store))
        assert record.outcome is not None  # it is complete
        return record, recognise(spec, record.outcome, self.test, self._store)

    def _score(
        self, look: Look, record: TrialRecord, hypotheses: list[Hypothesis], references: dict[str, str]
    ) -> TrialOutcome:
        """Keep what a system said of the test set as an outcome beside that of dev."""

        def make(folder: Path) -> None:
            assert record.outcome is not None  # it is complete
            scorer = find_scorer(record.outcome.scorer)
            score = scorer.score_set((references[one.id] for one in hypotheses), (one.text for one in hypotheses))
            outcome = replace(
                record.outcome, score=score, selection=None, epochs=(), best_epoch=None, posteriors="", notes=()
            )
            write_outcome(folder, outcome, hypotheses, references)

        return load_outcome(self._store.entry(FINALS, final_key(look.test_set, look.submission.system), make))

    def _show(self, candidates: Sequence[Candidate]) -> None:
        """Let the records say what the ledger says, and MLflow what the records say."""
        for one in candidates:
            assert one.look is not None  # every one has been scored
            assert one.look.score is not None
            study = self._sampling.load(one.record.campaign, one.record.study)
            final = {"test_set": one.look.test_set, "look": one.look.number, "score": asdict(one.look.score)}
            noted = study.attribute("finals") or {}
            if noted.get(str(one.record.number)) != final:
                study.note("finals", {**noted, str(one.record.number): final})
        records = in_order(self._campaign, self._sampling.records(self._campaign.name))
        Tracker(self._home).sync(records, lambda record: trial_folders(self._home, record))


def looks_of(campaign: Campaign, home: Home) -> list[Look]:
    """Every look at a campaign's test set, whichever campaign's systems looked.

    Raises:
        UserError: The campaign has no test set.
    """
    return Ledger(Store(home.store).root).looks(_test_set(campaign).key)


def _test_set(campaign: Campaign) -> SealedSet:
    if campaign.data.test is None:
        raise UserError(f"campaign {campaign.name} has no test set; name one in {campaign.path}: data: {{test: FILE}}")
    return SealedSet(campaign.data.test)


def _chosen(campaign: Campaign, names: Sequence[str], studies: Sequence[StudyRecord]) -> list[StudyRecord]:
    """The studies to finalize, all of which have come to their end.

    Raises:
        UserError: One has not, or there is none of a name.
    """
    stored = {study.name: study for study in studies}
    for name in names:
        if name not in stored and name not in campaign.studies:
            raise UserError(unknown_study(campaign, name))
    wanted = tuple(dict.fromkeys(names)) or tuple(dict.fromkeys([*campaign.studies, *stored]))
    lacking = [f"  {name} {why}" for name in wanted for why in _unfinished(stored.get(name))]
    if lacking:
        ended = [name for name in wanted if not list(_unfinished(stored.get(name)))]
        alone = f", or finalize those that have ended: orchestrator finalize {campaign.name} {' '.join(ended)}"
        raise UserError(
            "a test set is opened for systems that are final, and these studies have not come to their end:\n"
            + "\n".join(lacking)
            + f"\nrun them with: orchestrator run {campaign.name}"
            + (alone if ended else "")
        )
    return [stored[name] for name in wanted]


def _lost_champion(home: Home, campaign: Campaign, studies: Sequence[StudyRecord]) -> Iterator[str]:
    """Say that people use a system that cannot be scored; nothing if that is not so."""
    folder = champion_folder(home, campaign.name)
    if folder is not None and champion_among(home, campaign.name, studies) is None:
        yield f"the champion in {folder} is of no study of this campaign that is stored here, and is not scored"


def _unfinished(study: StudyRecord | None) -> Iterator[str]:
    """Why a study has not come to its end; nothing if it has."""
    if study is None or not study.trials:
        yield "has not been run"
        return
    running, waiting = study.count(TrialState.RUNNING), study.count(TrialState.WAITING)
    if running:
        yield f"is running: {running} of its trials are not done"
    elif waiting or study.finished < study.budget:
        yield f"has {study.finished} of {max(study.budget, len(study.trials))} trials"
    elif study.result is not None and not study.result.promoted:
        yield "has no promoted trial yet" if study.promoted is None else "has a better trial than the promoted one"


def _occasion() -> Occasion:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in containers
        user = str(os.getuid())
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Occasion(now, f"{user}@{socket.gethostname()}", provenance({}).get("commit", ""))
