"""A system of several networks: their checkpoints, rule, weights, decoder and language model in one folder."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from search_spaces.axes.decoding import DecodingSettings
from search_spaces.errors import CheckpointError
from trainers.artifacts import Hypothesis, Posteriors
from trainers.checkpoint import Checkpoint, copy_checkpoint, load_checkpoint
from trainers.combining.combination import combine
from trainers.combining.members import Member
from trainers.combining.proposals import propose, scored
from trainers.combining.report import Part
from trainers.combining.rule import FusionRule, HypothesisRule
from trainers.combining.settings import point_of
from trainers.data.features import PackedFeatures
from trainers.data.labels import Alphabet
from trainers.decoding.adjust import adjust_set
from trainers.decoding.beam import BeamDecoder
from trainers.decoding.greedy import greedy_set
from trainers.decoding.language_model import LanguageModelFiles
from trainers.decoding.pool import DecoderPool
from trainers.decoding.text_scores import TextScorer
from trainers.device import choose_device
from trainers.emission import emitted, frame_seconds
from trainers.fusion import plain_rule, read_rule
from trainers.model.network import Network
from trainers.recogniser import Recogniser, read_decoder, refuse_workers, write_decoder
from trainers.store import write_text
from trainers.system import Session, System

ENSEMBLE = "ensemble.json"


def export_ensemble(
    folder: Path,
    members: Sequence[tuple[Part, Path]],
    rule: FusionRule,
    n_best: int,
    decoding: DecodingSettings,
    language_model: LanguageModelFiles | None,
    provenance: Mapping[str, Any],
) -> None:
    """Put everything that recognition needs into one folder.

    Args:
        folder: Empty.
        members: The members, each with the folder of its checkpoint.
        rule: How they are combined.
        n_best: Hypotheses of an utterance that a member puts into the pool at most.
        decoding: How they are decoded.
        language_model: Of a beam search; None for greedy decoding.
        provenance: Where the system comes from, as plain values.
    """
    entries = []
    for number, (part, checkpoint) in enumerate(members, 1):
        place = folder / "members" / str(number)
        place.mkdir(parents=True)
        copy_checkpoint(checkpoint, place)
        entries.append({"folder": f"members/{number}", "name": part.name, "weight": part.weight})
    about = {**plain_rule(rule), "n_best": n_best, "members": entries}
    write_text(folder / ENSEMBLE, json.dumps(about, indent=2, ensure_ascii=False) + "\n")
    write_decoder(folder, decoding, language_model, provenance)


def load_system(folder: Path) -> System:
    """A system of one network or of several, as its folder has it.

    Raises:
        CheckpointError: A part of it is missing or cannot be read.
    """
    return EnsembleRecogniser.load(folder) if (folder / ENSEMBLE).is_file() else Recogniser.load(folder)


@dataclass(frozen=True, slots=True)
class EnsembleRecogniser(System):
    """A system of several networks, read from its folder.

    Attributes:
        members: Names and networks.
        weights: Their shares.
        rule: How they are combined.
        count: Hypotheses of an utterance that a member puts into the pool at most.
        decoding: How they are decoded.
        language_model: Of a beam search; None without one.
        provenance: Where it comes from.
    """

    members: Mapping[str, Checkpoint]
    weights: Mapping[str, float]
    rule: FusionRule
    count: int
    decoding: DecodingSettings
    language_model: LanguageModelFiles | None
    provenance: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path) -> "EnsembleRecogniser":
        """Read a system.

        Raises:
            CheckpointError: A part of it is missing or cannot be read.
        """
        decoding, files, provenance = read_decoder(folder)
        try:
            about = json.loads((folder / ENSEMBLE).read_text(encoding="utf-8"))
            rule = read_rule(about)
            members = {entry["name"]: load_checkpoint(folder / entry["folder"]) for entry in about["members"]}
            weights = {entry["name"]: float(entry["weight"]) for entry in about["members"]}
            return cls(members, weights, rule, int(about["n_best"]), decoding, files, provenance)
        except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
            raise CheckpointError(f"{folder / ENSEMBLE} is no ensemble of this version: {error}") from error

    @property
    def networks(self) -> tuple[Checkpoint, ...]:
        """The members' networks, the heaviest first."""
        return tuple(self.members.values())

    @property
    def untimed(self) -> str:
        """Why its words have no times in seconds; empty if they have."""
        if isinstance(self.rule, HypothesisRule):
            return "words that several systems agree on have none; choose --format text or json"
        return Recogniser(self.networks[0], self.decoding, None, {}).untimed

    @contextmanager
    def opened(self, workers: int = 1) -> Iterator[Session]:
        """The system with its networks and its language model in memory, for many sets.

        Args:
            workers: How many processes search for every alphabet; each has the language model in memory.

        Raises:
            UserError: Several are asked for, and nothing is searched.
        """
        refuse_workers(self.decoding, workers)
        torch.set_num_threads(1)
        networks = [one.network().to(choose_device()) for one in self.networks]
        decoders: dict[Alphabet, BeamDecoder | DecoderPool] = {}
        files = self.language_model
        with ExitStack() as stack:
            if self.decoding.method == "beam":
                for alphabet in dict.fromkeys(one.alphabet for one in self.networks):
                    if workers == 1:
                        decoders[alphabet] = stack.enter_context(BeamDecoder(alphabet, files))
                    else:
                        decoders[alphabet] = stack.enter_context(DecoderPool(alphabet, files, workers))
            scorer = TextScorer(files, self.decoding.unknown_offset) if files is not None and decoders else None
            yield _EnsembleSession(self, networks, decoders, scorer)


@dataclass(frozen=True, slots=True)
class _EnsembleSession(Session):
    """An ensemble at work.

    Attributes:
        system: The ensemble.
        networks: Its members' networks, in evaluation mode.
        decoders: The search for every alphabet; empty for greedy decoding.
        scorer: The language model of texts; None for greedy decoding.
    """

    system: EnsembleRecogniser
    networks: Sequence[Network]
    decoders: Mapping[Alphabet, BeamDecoder | DecoderPool]
    scorer: TextScorer | None

    @property
    def frame_seconds(self) -> float | None:
        """That of the members, which have one and the same where words have times."""
        return frame_seconds(self.networks[0], self.system.networks[0].features)

    def n_best(self, features: Sequence[PackedFeatures], count: int) -> list[list[Hypothesis]]:
        """One hypothesis for every utterance of a set, whatever the count: ensembles know one alone."""
        system, decoding = self.system, self.system.decoding
        members = []
        for name, network, heard in zip(system.members, self.networks, features, strict=True):
            checkpoint = system.members[name]
            checkpoint.refuse_other_features(heard, "this set")
            frames = adjust_set(emitted(network, checkpoint, heard), decoding)
            member = Member(name, frames, checkpoint.alphabet, frame_seconds=frame_seconds(network, heard.settings))
            members.append(member)
        combination = combine(
            members,
            system.rule,
            features[0].ids,
            point_of(decoding),
            lambda: scored([self._proposed(member) for member in members], system.count, self.scorer),
            self._decode,
        )
        weights = np.array([system.weights[member.name] for member in combination.members])
        return [[hypothesis] for hypothesis in combination.hypotheses(weights)]

    def _proposed(self, member: Member) -> Member:
        found = propose(member, self.system.decoding, self.decoders.get(member.alphabet))
        return replace(member, hypotheses=found)

    def _decode(self, alphabet: Alphabet, posteriors: Posteriors) -> list[Hypothesis]:
        decoder = self.decoders.get(alphabet)
        if decoder is None:
            return greedy_set(posteriors, alphabet)
        return decoder.decode_set(posteriors, self.system.decoding)
