"""A trained network on disk: weights as safetensors, everything else as JSON. Nothing in it can run code."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from search_spaces.axes.features import FeatureSettings
from search_spaces.axes.model import ModelSettings
from search_spaces.errors import CheckpointError, ModelError
from trainers.data.features import PackedFeatures
from trainers.data.labels import Alphabet
from trainers.model.build import build_network
from trainers.model.network import Network
from trainers.store import Store, digest_files, write_text
from trainers.tensor_file import write_tensors

WEIGHTS = "model.safetensors"
DESCRIPTION = "checkpoint.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All it takes to rebuild a network.

    Attributes:
        folder: Where it lies.
        model: The encoder and its size.
        features: What the network reads.
        inputs: Dimensions of a feature frame.
        alphabet: What it writes.
        weights: Number of trained weights.
        training: Where it comes from: campaign, study, trial, epoch, and how it was trained.
        rate: Sampling rate in Hz of the recordings that it was trained on; None where it reads stored features, and in
            checkpoints that do not say it.
    """

    folder: Path
    model: ModelSettings
    features: FeatureSettings
    inputs: int
    alphabet: Alphabet
    weights: int
    training: Mapping[str, Any]
    rate: int | None

    @property
    def digest(self) -> str:
        """Key of its content."""
        return digest_files([self.folder / WEIGHTS, self.folder / DESCRIPTION])

    def network(self) -> Network:
        """The network with its weights, in evaluation mode.

        Raises:
            CheckpointError: The weights cannot be read or do not fit, or its class is not there.
        """
        try:
            network = build_network(self.model, self.inputs, len(self.alphabet))
        except ModelError as error:
            raise CheckpointError(f"{self.folder} needs the class {self.model.class_path}: {error}") from error
        self.load_into(network)
        return network.eval()

    def refuse_other_features(self, features: PackedFeatures, name: str) -> None:
        """Refuse features that the network was not trained on.

        Args:
            features: Those of a set.
            name: The set, for the message.

        Raises:
            CheckpointError: They are of another width, or of recordings of another sampling rate.
        """
        if features.dimensions != self.inputs:
            raise CheckpointError(
                f"{self.folder}: the network reads features of {self.inputs} dimensions, and {name} has "
                f"{features.dimensions}"
            )
        if features.rate is not None and self.rate is not None and features.rate != self.rate:
            raise CheckpointError(
                f"{self.folder}: the network was trained on recordings of {self.rate} Hz, and those of {name} have "
                f"{features.rate} Hz; resample them"
            )

    def load_into(self, network: Network) -> None:
        """Give a network these weights.

        Raises:
            CheckpointError: They cannot be read, or are of other names or shapes; the message names them.
        """
        try:
            weights = load_file(self.folder / WEIGHTS)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{self.folder / WEIGHTS} cannot be read: {error}") from error
        refuse_misfit(self.folder, network.state_dict(), weights)
        network.load_state_dict(weights)


def refuse_misfit(place: Path, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Name every weight that is missing, unexpected, or of another shape.

    Args:
        place: Where the weights were found, for the message.
        wanted: The weights that the network has.
        found: Those that it shall have.

    Raises:
        CheckpointError: There is one.
    """
    faults = [f"{name} is missing" for name in wanted if name not in found]
    faults += [f"{name} is unexpected" for name in found if name not in wanted]
    faults += [
        f"{name} has shape {tuple(found[name].shape)}, the network needs {tuple(weight.shape)}"
        for name, weight in wanted.items()
        if name in found and found[name].shape != weight.shape
    ]
    if faults:
        raise CheckpointError(f"{place}: the weights do not fit the network: " + "; ".join(faults))


def copy_checkpoint(source: Path, folder: Path) -> None:
    """Copy what a checkpoint is made of into an empty folder."""
    for name in (WEIGHTS, DESCRIPTION):
        shutil.copy2(source / name, folder / name)


def keep_checkpoint(store: Store, checkpoint: Checkpoint) -> tuple[str, Path]:
    """A checkpoint's copy in the store, whatever becomes of its folder: the key of its content, and where it lies."""
    key = checkpoint.digest
    return key, store.entry("checkpoints", key, lambda folder: copy_checkpoint(checkpoint.folder, folder))


def save_checkpoint(
    folder: Path,
    network: Network,
    *,
    model: ModelSettings,
    features: FeatureSettings,
    inputs: int,
    alphabet: Alphabet,
    training: Mapping[str, Any],
    rate: int | None,
) -> None:
    """Write a network and all it takes to rebuild it into a folder."""
    write_tensors(folder / WEIGHTS, network.state_dict())
    description = {
        "format": _FORMAT,
        "model": model.model_dump(),
        "features": features.model_dump(),
        "inputs": inputs,
        "rate": rate,
        "alphabet": {"units": alphabet.units, "labels": list(alphabet.labels)},
        "weights": network.weights(),
        "training": dict(training),
    }
    write_text(folder / DESCRIPTION, json.dumps(description, indent=2, ensure_ascii=False) + "\n")


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint's description.

    Raises:
        CheckpointError: The folder holds no checkpoint, or one that this version cannot read.
    """
    path = folder / DESCRIPTION
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != _FORMAT:
            raise CheckpointError(f"{path} has format {found['format']}; this version reads format {_FORMAT}")
        return Checkpoint(
            folder,
            ModelSettings.model_validate(found["model"]),
            FeatureSettings.model_validate(found["features"]),
            int(found["inputs"]),
            Alphabet(found["alphabet"]["units"], tuple(found["alphabet"]["labels"])),
            int(found["weights"]),
            found["training"],
            found.get("rate"),
        )
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} holds no checkpoint: {DESCRIPTION} is not there") from error
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {error}") from error
