"""What a trial is asked to do, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search_spaces.axes.decoding import FILE_SETTINGS
from search_spaces.scorers import DEFAULT
from trainers.artifacts import Score
from trainers.combining.report import EnsembleReport
from trainers.store import code_digest, digest

IMPORTED_POSTERIORS = "imported_posteriors"
"""Kind of the store's entries that hold posteriors of other programs."""
ENSEMBLES = "ensembles"
"""Kind of the store's entries that say what an ensemble is made of."""
TUNING = "tuning"
"""Name, among the data of a trial, of the share of dev that tunes."""
SCORER = "scorer"
"""Name, among the data of a trial, of the scorer, if it is not the plain one."""


@dataclass(frozen=True, slots=True)
class Ingredient:
    """A finished trial, or what was made elsewhere, that a trial starts from.

    Attributes:
        name: The study it comes from, or the path that was written in the campaign file.
        number: The trial's number in that study; None for a path.
        folder: Folder of its checkpoint, of posteriors that were imported, or of what says who is in an ensemble.
        key: What that was made from, as a digest.
    """

    name: str
    folder: Path
    key: str
    number: int | None = None

    @property
    def title(self) -> str:
        """``study#number``, or the path."""
        return self.name if self.number is None else f"{self.name}#{self.number}"

    def plain(self) -> dict[str, Any]:
        """As plain values; where it lies is left out."""
        return {"name": self.name, "number": self.number, "key": self.key}


@dataclass(frozen=True, slots=True)
class Race:
    """Whom a trial is held against while it decodes, so that it can be stopped when it has lost (`trainers.racing`).

    Attributes:
        rival: The complete trial that it has to beat, ``study#number``.
        key: Key of the rival's outcome.
        seconds: A trial that decodes the whole set in less is not stopped.
        level: Probability of stopping a trial that makes as many errors on the whole set as its rival.
    """

    rival: str
    key: str
    seconds: float
    level: float


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """One trial, complete: the same spec gives the same result on the same machine.

    Attributes:
        campaign: Name of the campaign.
        study: Name of the study.
        number: Number within the study.
        strategy: Name of the strategy.
        settings: The sections of settings that the strategy uses, resolved.
        train: Manifest of the training set.
        dev: Manifest of the set that selects.
        data: Fingerprints of every file that decides the result, by name; under `TUNING` the share of dev that tunes,
            under `SCORER` what counts its errors.
        needs: What it takes from other studies.
        code: Digest of the source that will run it.
        race: Whom it races against; no part of what decides the result of a trial that is not stopped.
    """

    campaign: str
    study: str
    number: int
    strategy: str
    settings: Mapping[str, Any]
    train: Path
    dev: Path
    data: Mapping[str, str] = field(default_factory=dict)
    needs: Mapping[str, tuple[Ingredient, ...]] = field(default_factory=dict)
    code: str = field(default_factory=code_digest)
    race: Race | None = None

    @property
    def name(self) -> str:
        """``study#number``."""
        return f"{self.study}#{self.number}"

    @property
    def tuning(self) -> float | None:
        """Share of dev by which the trial chooses and is chosen (`trainers.data.parting`); None where all of it is."""
        return float(self.data[TUNING]) if TUNING in self.data else None

    @property
    def scorer(self) -> str:
        """Name of the scorer that counts the trial's errors."""
        return self.data.get(SCORER, DEFAULT)

    @property
    def key(self) -> str:
        """Digest of all that decides the result; where files lie and which study asks does not."""
        needs = {name: [source.key for source in sources] for name, sources in self.needs.items()}
        return digest([self.strategy, without_paths(self.settings), dict(self.data), needs, self.code])


def without_paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without the places of files, which a fingerprint stands for: a folder may be moved."""
    result = dict(settings)
    model = result.get("language_model")
    if isinstance(model, Mapping):
        result["language_model"] = {name: value for name, value in model.items() if name not in FILE_SETTINGS}
    return result


@dataclass(frozen=True, slots=True)
class EpochReport:
    """One epoch of training.

    Attributes:
        epoch: One-based.
        epochs: How many there will be at most.
        loss: Training loss a token, mean over the epoch.
        dev_wer: Greedy WER on dev, percent; on the part that tunes if it is parted.
        blank_share: Share of dev frames whose best label is the blank.
        lr: Learning rate after the last step.
        gradient_norm: Mean norm of the gradient before clipping.
        seconds: Wall time of the epoch, dev included.
    """

    epoch: int
    epochs: int
    loss: float
    dev_wer: float
    blank_share: float
    lr: float
    gradient_norm: float
    seconds: float

    @property
    def on_plateau(self) -> bool:
        """Whether the network says hardly anything but blank: it has not begun to recognise."""
        return self.blank_share >= 0.98


@dataclass(frozen=True, slots=True)
class DecodingReport:
    """A part of a set is decoded.

    Attributes:
        decoded: Utterances that are done.
        utterances: All of the set.
        seconds: Wall time of an utterance, mean over those that are done.
    """

    decoded: int
    utterances: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Elimination:
    """How a trial lost its race: counts of a part of the set, to be held against the rival's on the same part alone.

    Attributes:
        decoded: Utterances that were decoded.
        utterances: All of the set.
        errors: Word errors in those that were decoded.
        rival: The trial it lost to, ``study#number``.
        rival_errors: The rival's word errors in the same.
    """

    decoded: int
    utterances: int
    errors: int
    rival: str
    rival_errors: int

    def __str__(self) -> str:
        return (
            f"stopped: decoded {self.decoded} of {self.utterances} utterances, {self.errors} errors where {self.rival} "
            f"has {self.rival_errors}"
        )


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """What came of a trial that ran to its end, or was stopped because it was losing.

    Attributes:
        pruned: Whether it was stopped.
        score: Word errors on dev, pooled, in the part that tunes if it is parted; None for a trial that was stopped.
        selection: Word errors in the part of dev that judges; None where it is not parted, and like `score`.
        eliminated: How it lost its race; None for every trial that did not.
        scorer: Name and version of the scorer.
        decoder: The decoder and its settings in one line.
        units: Units of the alphabet.
        weights: Trained weights of the network, of all members together.
        checkpoint: Key of the checkpoint it made or used; empty without one, and for several.
        imported: Key of the posteriors of another program that it used instead of one; empty without them.
        posteriors: Key of the dev posteriors; empty for those of several.
        language_model: Key of the language model that decoded; empty without one.
        prior: Key of the label prior that the posteriors were divided by; empty without one.
        ensemble: Who was combined, and how; None for one system alone.
        epochs: One report an epoch; empty for a trial that trains nothing.
        best_epoch: The epoch of the lowest dev WER, which is the checkpoint's unless the last epochs were averaged;
            None for a trial that trains nothing.
        seconds: Wall time, of all attempts.
        cpu_seconds: Time of the processor, of all attempts.
        computed_on: Device, precision and the like of the training; empty for a trial that trains nothing.
        still_improving: Whether a run was getting better when its budget ended: it was judged before it had converged.
        notes: What a reader of the result should know.
    """

    pruned: bool = False
    score: Score | None = None
    selection: Score | None = None
    eliminated: Elimination | None = None
    scorer: str = ""
    decoder: str = ""
    units: str = ""
    weights: int = 0
    checkpoint: str = ""
    imported: str = ""
    posteriors: str = ""
    language_model: str = ""
    prior: str = ""
    ensemble: EnsembleReport | None = None
    epochs: tuple[EpochReport, ...] = ()
    best_epoch: int | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    computed_on: str = ""
    still_improving: bool = False
    notes: tuple[str, ...] = ()

    @property
    def judged(self) -> Score | None:
        """Word errors that are told and compared: in the part of dev that judges, in all of it if there is none."""
        return self.score if self.selection is None else self.selection

    @property
    def made_of(self) -> str:
        """Kind and key of the checkpoint, or of the imported posteriors, in the store; of an ensemble all of them."""
        kinds = {True: "checkpoints", False: IMPORTED_POSTERIORS}
        if self.ensemble is not None and not self.checkpoint:
            return " ".join(f"{kinds[part.is_network]}/{part.key}" for part in self.ensemble.members)
        return f"{kinds[not self.imported]}/{self.imported or self.checkpoint}"

    @property
    def has_network(self) -> bool:
        """Whether it can recognise recordings: nothing in it was imported without a network."""
        parts = self.ensemble.members if self.ensemble is not None else ()
        return not self.imported and all(part.is_network for part in parts)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "TrialOutcome":
        """An outcome from plain values, as `dataclasses.asdict` makes them."""
        return cls(
            **{
                **plain,
                "score": Score(**plain["score"]) if plain["score"] else None,
                "selection": Score(**plain["selection"]) if plain.get("selection") else None,
                "eliminated": Elimination(**plain["eliminated"]) if plain.get("eliminated") else None,
                "epochs": tuple(EpochReport(**report) for report in plain["epochs"]),
                "notes": tuple(plain["notes"]),
                "ensemble": EnsembleReport.of(plain["ensemble"]) if plain.get("ensemble") else None,
            }
        )
