"""The best system of a campaign, exported and named.

``champions/<campaign>`` is a link to a numbered folder beside it, so that it is replaced at one instant; the model
registry's alias ``champion`` follows it. The link is the truth: a run that was killed between the two moves the
alias when it next comes by.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from orchestrator.champion import champion_among, champion_folder, read_provenance
from orchestrator.gate import BY_HAND, Decision, first, judge
from orchestrator.home import Home
from orchestrator.record import StudyRecord, TrialRecord
from orchestrator.tracking import Tracker
from search_spaces.axes.decoding import DecodingSettings
from search_spaces.campaign import PromotionSettings
from search_spaces.errors import UserError
from trainers.combining.settings import EnsembleSettings, rule_of
from trainers.decoding.language_model import LanguageModelFiles
from trainers.ensemble_recogniser import export_ensemble
from trainers.pipeline import resolve_settings
from trainers.recogniser import export_system
from trainers.store import Store

_NO_NETWORK = "without a network that could recognise recordings: no champion"


def best_of(studies: Sequence[StudyRecord]) -> TrialRecord | None:
    """The promoted trial of the lowest judged WER; of equals the one with fewer weights, then of the earlier study.

    One that is made of posteriors of another program is left out: it has no network to recognise anything with.
    """
    return min(_promoted(studies, imported=False), key=_rank, default=None)


def better_without_network(studies: Sequence[StudyRecord], champion: TrialRecord | None) -> str:
    """Say which promoted trial without a network is better than the champion; empty if none is."""
    best = min(_promoted(studies, imported=True), key=_rank, default=None)
    if best is None or (champion is not None and _rank(champion)[0] <= _rank(best)[0]):
        return ""
    instead = f"; {champion.name} has one, and is the champion" if champion is not None else ""
    return f"{best.name} ({_rank(best)[0]:.1f} %) is made of posteriors of another program, {_NO_NETWORK}{instead}"


def _promoted(studies: Sequence[StudyRecord], *, imported: bool) -> list[TrialRecord]:
    complete = [trial for study in studies for trial in study.trials if trial.promoted and trial.dev_wer is not None]
    return [trial for trial in complete if trial.outcome is not None and trial.outcome.has_network != imported]


def _rank(trial: TrialRecord) -> tuple[float, int]:
    """Judged WER and weights of a complete trial."""
    return trial.judged_wer or 0.0, trial.outcome.weights if trial.outcome else 0


class Champions:
    """The exported systems of a home.

    Args:
        home: Where they lie.
        tracker: Whose registry follows.
    """

    def __init__(self, home: Home, tracker: Tracker) -> None:
        self._home = home
        self._tracker = tracker
        self._store = Store(home.store)

    def current(self, campaign: str) -> Path | None:
        """Folder of a campaign's champion; None before there is one."""
        return champion_folder(self._home, campaign)

    def keys(self) -> frozenset[str]:
        """Keys of the trials whose systems are or were champions, of all campaigns."""
        folders = self._home.champions.glob(".versions/*/[0-9]*")
        return frozenset(str(read_provenance(folder)["key"]) for folder in folders)

    def versions(self, campaign: str) -> list[Path]:
        """Folders of every system that was champion, the oldest first."""
        folder = self._versions(campaign)
        return sorted(path for path in folder.iterdir() if path.name.isdigit()) if folder.is_dir() else []

    def challenge(
        self, challenger: TrialRecord, studies: Sequence[StudyRecord], promotion: PromotionSettings
    ) -> Decision:
        """Make a trial the champion if it is better than the present one by more than noise, or if there is none.

        A system that was taken back by `undo` does not come again by itself.

        Args:
            challenger: A complete trial.
            studies: All studies of the campaign with their trials.
            promotion: What the campaign asks for.
        """
        decision = self._decide(challenger, studies, promotion)
        if decision.passes:
            self.promote(challenger, decision)
        return decision

    def _decide(
        self, challenger: TrialRecord, studies: Sequence[StudyRecord], promotion: PromotionSettings
    ) -> Decision:
        outcomes = self._home.store / "outcomes"
        folder = self.current(challenger.campaign)
        if folder is None:
            rivals = [trial for trial in _promoted(studies, imported=False) if trial.key != challenger.key]
            return first(challenger, rivals, studies, outcomes)
        key = read_provenance(folder)["key"]
        if key == challenger.key:
            return Decision(True, "it is the champion already", {})
        taken_back = [path for path in self.versions(challenger.campaign) if path.name > folder.name]
        again = f"orchestrator promote {challenger.campaign} --study {challenger.study} --trial {challenger.number}"
        if challenger.key in [read_provenance(path)["key"] for path in taken_back]:
            return Decision(False, f"it was champion and was taken back; {again} brings it back", {})
        champion = champion_among(self._home, challenger.campaign, studies)
        if champion is None:
            return Decision(False, f"the trial of the champion in {folder} is not stored here; {again} passes it", {})
        return judge(challenger, champion, studies, outcomes, promotion)

    def promote(self, record: TrialRecord, decision: Decision = BY_HAND) -> Path:
        """Make a complete trial's system the champion: folder, link, registry, alias.

        Promoting what is champion already changes nothing but mends an alias that does not follow.

        Args:
            record: The trial.
            decision: Why it is promoted.

        Raises:
            UserError: The trial is not complete, has no network, or its weights were freed.
        """
        if record.dev_wer is None or record.outcome is None:
            raise UserError(f"{record.name} is {record.state}; only a complete trial can be promoted")
        if not record.outcome.has_network:
            raise UserError(f"{record.name} is made of posteriors of another program, {_NO_NETWORK}")
        record.refuse_freed()
        current = self.current(record.campaign)
        if current is None or read_provenance(current)["key"] != record.key:
            current = self._export(record, current, decision)
            self._point(record.campaign, current)
        self._follow(record.campaign, current)
        return current

    def undo(self, campaign: str) -> Path:
        """Go back to the champion before the present one.

        Raises:
            UserError: There is none.
        """
        current = self.current(campaign)
        before: str | None = read_provenance(current)["promoted"]["before"] if current is not None else None
        if before is None:
            raise UserError(f"campaign {campaign} has no earlier champion to go back to")
        earlier = self._versions(campaign) / before
        self._point(campaign, earlier)
        self._follow(campaign, earlier)
        return earlier

    def _versions(self, campaign: str) -> Path:
        return self._home.champions / ".versions" / campaign

    def _export(self, record: TrialRecord, before: Path | None, decision: Decision) -> Path:
        outcome = record.outcome
        assert outcome is not None  # promote() has seen to it
        decoding = DecodingSettings.model_validate(record.settings.get("decoding", {}))
        key = outcome.language_model
        files = LanguageModelFiles(self._store.path("language_models", key), key) if key else None
        folder = self._versions(record.campaign)
        number = max((int(path.name) for path in self.versions(record.campaign)), default=0) + 1
        beside = folder / f".{number:04d}.unfinished"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        provenance = {
            "campaign": record.campaign,
            "study": record.study,
            "strategy": record.strategy,
            "trial": record.number,
            "key": record.key,
            "run_id": record.run_id,
            "dev_wer": record.judged_wer,
            "scorer": outcome.scorer,
            "params": dict(record.params),
            "promoted": {"why": decision.reason, "before": before and before.name, **decision.facts},
            **{f"from_{name}": value for name, value in record.provenance.items()},
        }
        if outcome.ensemble is not None and not outcome.checkpoint:
            settings = resolve_settings(dict(record.settings))
            count = settings.section("ensemble", EnsembleSettings).n_best
            members = [(part, self._store.path("checkpoints", part.key)) for part in outcome.ensemble.members]
            export_ensemble(beside, members, rule_of(settings), count, decoding, files, provenance)
        else:
            prior = self._store.path("priors", outcome.prior) if outcome.prior else None
            checkpoint = self._store.path("checkpoints", outcome.checkpoint)
            export_system(beside, checkpoint, decoding, files, provenance, prior)
        place = folder / f"{number:04d}"
        beside.rename(place)
        return place

    def _point(self, campaign: str, folder: Path) -> None:
        """Move the link at one instant; it is relative, so that the home can be moved."""
        link = self._home.champions / campaign
        beside = self._home.champions / f".{campaign}.{os.getpid()}"
        beside.unlink(missing_ok=True)
        beside.symlink_to(os.path.relpath(folder, self._home.champions))
        beside.replace(link)

    def _follow(self, campaign: str, folder: Path) -> None:
        """Let the registry's alias name the version that the link names."""
        provenance = read_provenance(folder)
        why = {f"promoted.{name}": str(value) for name, value in provenance["promoted"].items() if value is not None}
        self._tracker.follow_champion(campaign, folder, provenance["run_id"], provenance["key"], why)
