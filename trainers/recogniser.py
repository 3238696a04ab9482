"""A system of one network: the network, its decoder and its language model in one folder."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from search_spaces.axes.decoding import DecodingSettings
from search_spaces.errors import CheckpointError, UserError
from trainers.artifacts import Hypothesis
from trainers.checkpoint import Checkpoint, copy_checkpoint, load_checkpoint
from trainers.data.features import PackedFeatures
from trainers.decoding.adjust import adjust_set
from trainers.decoding.beam import BeamDecoder
from trainers.decoding.greedy import greedy_set
from trainers.decoding.language_model import ARPA, WORDS, LanguageModelFiles
from trainers.decoding.pool import DecoderPool
from trainers.device import choose_device
from trainers.emission import emitted, frame_seconds
from trainers.model.network import Network
from trainers.prior import PRIOR, read_prior
from trainers.store import write_text
from trainers.system import Session, System

DECODER = "decoder.json"
PROVENANCE = "provenance.json"


def export_system(
    folder: Path,
    checkpoint: Path,
    decoding: DecodingSettings,
    language_model: LanguageModelFiles | None,
    provenance: Mapping[str, Any],
    prior: Path | None = None,
) -> None:
    """Put everything that recognition needs into one folder.

    Args:
        folder: Empty.
        checkpoint: Folder of the network.
        decoding: How it is decoded.
        language_model: Of a beam search; None for greedy decoding.
        provenance: Where the system comes from, as plain values.
        prior: Folder of the label prior, where the decoder divides by one.
    """
    copy_checkpoint(checkpoint, folder)
    if prior is not None:
        shutil.copy2(prior / PRIOR, folder / PRIOR)
    write_decoder(folder, decoding, language_model, provenance)


def write_decoder(
    folder: Path,
    decoding: DecodingSettings,
    language_model: LanguageModelFiles | None,
    provenance: Mapping[str, Any],
) -> None:
    """Put what every system has beside its networks into its folder; see `export_system`."""
    if language_model is not None:
        for path in (language_model.model, language_model.folder / WORDS):
            shutil.copy2(path, folder / path.name)
    write_text(folder / DECODER, decoding.model_dump_json(indent=2) + "\n")
    write_text(folder / PROVENANCE, json.dumps(provenance, indent=2, ensure_ascii=False) + "\n")


def read_decoder(folder: Path) -> tuple[DecodingSettings, LanguageModelFiles | None, Mapping[str, Any]]:
    """What `write_decoder` wrote: the decoder, its language model, and where the system comes from.

    Raises:
        CheckpointError: A part of it is missing or cannot be read.
    """
    try:
        decoding = DecodingSettings.model_validate_json((folder / DECODER).read_text(encoding="utf-8"))
        provenance = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
    except (OSError, ValueError, ValidationError) as error:
        raise CheckpointError(f"{folder} is not a whole system: {error}") from error
    stored = LanguageModelFiles(folder, "")
    files = stored if stored.model.is_file() else None
    if decoding.method == "beam" and files is None:
        raise CheckpointError(f"{folder} is not a whole system: its beam search needs {ARPA}, which is not there")
    return decoding, files, provenance


def refuse_workers(decoding: DecodingSettings, workers: int) -> None:
    """Refuse several processes where nothing is searched.

    Raises:
        UserError: They are asked for.
    """
    if decoding.method == "greedy" and workers > 1:
        raise UserError(
            "this system takes the best label of every frame, and workers would have no search to share; use one"
        )


@dataclass(frozen=True, slots=True)
class Recogniser(System):
    """A system read from its folder.

    Attributes:
        checkpoint: The network.
        decoding: How it is decoded.
        language_model: Of a beam search; None without one.
        provenance: Where it comes from.
        prior: Probability of every label, (labels,), where the decoder divides by it; None elsewhere.
    """

    checkpoint: Checkpoint
    decoding: DecodingSettings
    language_model: LanguageModelFiles | None
    provenance: Mapping[str, Any]
    prior: NDArray[np.float64] | None = None

    @classmethod
    def load(cls, folder: Path) -> "Recogniser":
        """Read a system.

        Raises:
            CheckpointError: A part of it is missing or cannot be read.
        """
        checkpoint = load_checkpoint(folder)
        decoding, files, provenance = read_decoder(folder)
        prior = read_prior(folder, checkpoint.alphabet) if decoding.prior_scale else None
        return cls(checkpoint, decoding, files, provenance, prior)

    @property
    def networks(self) -> tuple[Checkpoint, ...]:
        """Its one network."""
        return (self.checkpoint,)

    @property
    def untimed(self) -> str:
        """Why its words have no times in seconds; empty if they have."""
        if self.checkpoint.features.kind == "logmel":
            return ""
        return "stored features do not say how long a frame lasts; choose --format json, which gives frames"

    def recognise(self, features: PackedFeatures) -> list[Hypothesis]:
        """The best hypothesis of every utterance of a set.

        Args:
            features: Made with the checkpoint's own feature settings.
        """
        return [found[0] for found in self.n_best(features, 1)]

    def n_best(self, features: PackedFeatures, count: int) -> list[list[Hypothesis]]:
        """Hypotheses for every utterance of a set, the best first.

        Args:
            features: Made with the checkpoint's own feature settings.
            count: At most so many an utterance, and at least one; a greedy decoder knows one alone.
        """
        with self.opened() as session:
            return session.n_best([features], count)

    @contextmanager
    def opened(self, workers: int = 1) -> Iterator[Session]:
        """The system with its network and its language model in memory, for many sets.

        Args:
            workers: How many processes search; each has the language model in memory.

        Raises:
            UserError: Several are asked for, and nothing is searched.
        """
        refuse_workers(self.decoding, workers)
        torch.set_num_threads(1)
        network = self.checkpoint.network().to(choose_device())
        if self.decoding.method == "greedy":
            yield _NetworkSession(self, network, None)
            return
        alphabet, model = self.checkpoint.alphabet, self.language_model
        with BeamDecoder(alphabet, model) if workers == 1 else DecoderPool(alphabet, model, workers) as decoder:
            yield _NetworkSession(self, network, decoder)


@dataclass(frozen=True, slots=True)
class _NetworkSession(Session):
    """A system at work.

    Attributes:
        system: The system.
        network: Its network, in evaluation mode.
        decoder: Its search; None for greedy decoding.
    """

    system: Recogniser
    network: Network
    decoder: BeamDecoder | DecoderPool | None

    @property
    def frame_seconds(self) -> float | None:
        """How long a frame of the posteriors lasts; None where stored features do not say."""
        return frame_seconds(self.network, self.system.checkpoint.features)

    def n_best(self, features: Sequence[PackedFeatures], count: int) -> list[list[Hypothesis]]:
        """Hypotheses for every utterance of a set, the best first; a greedy decoder knows one alone."""
        (heard,) = features
        self.system.checkpoint.refuse_other_features(heard, "this set")
        alphabet, settings = self.system.checkpoint.alphabet, self.system.decoding
        posteriors = adjust_set(emitted(self.network, self.system.checkpoint, heard), settings, self.system.prior)
        if self.decoder is None:
            return [[hypothesis] for hypothesis in greedy_set(posteriors, alphabet)]
        if count == 1:
            return [[hypothesis] for hypothesis in self.decoder.decode_set(posteriors, settings)]
        return self.decoder.n_best_set(posteriors, settings, count)
