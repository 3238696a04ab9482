"""A system ready to be used: a network, its decoder and its language model in one folder."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from search_spaces.axes.decoding import DecodingSettings
from search_spaces.errors import CheckpointError
from trainers.artifacts import Hypothesis, Posteriors
from trainers.checkpoint import DESCRIPTION, WEIGHTS, Checkpoint, load_checkpoint
from trainers.data.features import PackedFeatures
from trainers.data.labels import BLANK
from trainers.decoding.beam import BeamDecoder
from trainers.decoding.greedy import greedy_text
from trainers.decoding.language_model import ARPA, WORDS, LanguageModelFiles
from trainers.device import choose_device
from trainers.emission import emit
from trainers.store import write_text

DECODER = "decoder.json"
PROVENANCE = "provenance.json"


def export_system(
    folder: Path,
    checkpoint: Path,
    decoding: DecodingSettings,
    language_model: LanguageModelFiles | None,
    provenance: Mapping[str, Any],
) -> None:
    """Put everything that recognition needs into one folder.

    Args:
        folder: Empty.
        checkpoint: Folder of the network.
        decoding: How it is decoded.
        language_model: Of a beam search; None for greedy decoding.
        provenance: Where the system comes from, as plain values.
    """
    for name in (WEIGHTS, DESCRIPTION):
        shutil.copy2(checkpoint / name, folder / name)
    if language_model is not None:
        for name in (ARPA, WORDS):
            shutil.copy2(language_model.folder / name, folder / name)
    write_text(folder / DECODER, decoding.model_dump_json(indent=2) + "\n")
    write_text(folder / PROVENANCE, json.dumps(provenance, indent=2, ensure_ascii=False) + "\n")


@dataclass(frozen=True, slots=True)
class Recogniser:
    """A system read from its folder.

    Attributes:
        checkpoint: The network.
        decoding: How it is decoded.
        language_model: Of a beam search; None without one.
        provenance: Where it comes from.
    """

    checkpoint: Checkpoint
    decoding: DecodingSettings
    language_model: LanguageModelFiles | None
    provenance: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path) -> "Recogniser":
        """Read a system.

        Raises:
            CheckpointError: A part of it is missing or cannot be read.
        """
        checkpoint = load_checkpoint(folder)
        try:
            decoding = DecodingSettings.model_validate_json((folder / DECODER).read_text(encoding="utf-8"))
            provenance = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
        except (OSError, ValueError, ValidationError) as error:
            raise CheckpointError(f"{folder} is not a whole system: {error}") from error
        files = LanguageModelFiles(folder, "") if (folder / ARPA).is_file() else None
        return cls(checkpoint, decoding, files, provenance)

    def recognise(self, features: PackedFeatures) -> list[Hypothesis]:
        """Hypotheses for a set of utterances.

        Args:
            features: Made with the checkpoint's own feature settings.
        """
        torch.set_num_threads(1)
        log_probs, offsets = emit(self.checkpoint.network().to(choose_device()), features)
        alphabet = self.checkpoint.alphabet
        posteriors = Posteriors(features.ids, log_probs, offsets, alphabet.labels, BLANK)
        if self.decoding.method == "greedy":
            pairs = zip(posteriors.ids, posteriors, strict=True)
            return [Hypothesis(name, greedy_text(frames, alphabet)) for name, frames in pairs]
        with BeamDecoder(alphabet, self.language_model) as decoder:
            return decoder.decode_set(posteriors, self.decoding)
