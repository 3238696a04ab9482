"""Where a training run stands, kept on disk after every epoch so that it can go on exactly there."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from trainers.averaging import LastEpochs, MovingAverage
from trainers.model.network import Network
from trainers.precision import MixedPrecision
from trainers.spec import EpochReport
from trainers.store import write_text
from trainers.tensor_file import write_tensors

_STATE = "state.safetensors"
_HISTORY = "history.json"


@dataclass
class Progress:
    """How a run went so far.

    Attributes:
        reports: One an epoch.
        best_epoch: Epoch of the lowest dev WER so far, one-based; 0 before the first.
        best_weights: The weights that had it; of a run that averages its last epochs, the mean, once it has ended.
        bad_steps: Steps whose loss or gradient was no number, and which were therefore not taken.
        dropped: Training utterances that were left out, because their transcripts do not fit their frames.
        seconds: Wall time of all attempts.
        cpu_seconds: Processor time of all attempts.
        computed_on: Device, precision and the like of every attempt that differed from the one before.
        restarted: Whether the state of an interrupted attempt could not be read, so that the run began anew.
    """

    reports: list[EpochReport] = field(default_factory=list)
    best_epoch: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    bad_steps: int = 0
    dropped: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    computed_on: list[str] = field(default_factory=list)
    restarted: bool = False

    @property
    def best_wer(self) -> float:
        """The lowest dev WER so far, percent."""
        return self.reports[self.best_epoch - 1].dev_wer if self.best_epoch else math.inf

    def finish(self, folder: Path) -> None:
        """Leave the history of a finished run beside its checkpoint, in place of the state to go on from."""
        write_text(folder / _HISTORY, json.dumps(self._plain(), indent=1))
        (folder / _STATE).unlink(missing_ok=True)

    @classmethod
    def of(cls, folder: Path) -> "Progress":
        """The history of a finished run."""
        return cls._from_plain(json.loads((folder / _HISTORY).read_text(encoding="utf-8")))

    def _plain(self) -> dict[str, Any]:
        plain = {name: value for name, value in vars(self).items() if name != "best_weights"}
        return plain | {"reports": [asdict(report) for report in self.reports]}

    @classmethod
    def _from_plain(cls, plain: Mapping[str, Any]) -> "Progress":
        return cls(**{**plain, "reports": [EpochReport(**report) for report in plain["reports"]]})


@dataclass(frozen=True)
class Resumable:
    """Everything in a run that changes from epoch to epoch, beside its progress.

    What is random in an epoch, the order of its batches included, follows from the seed and the epoch's number, and
    the learning rate from the reports: neither has a state.

    Attributes:
        network: What trains.
        optimizer: Its optimiser.
        average: Its moving average.
        last: The weights of its last epochs.
        precision: What it computes in.
    """

    network: Network
    optimizer: torch.optim.Optimizer
    average: MovingAverage
    last: LastEpochs
    precision: MixedPrecision

    def save(self, folder: Path, progress: Progress) -> None:
        """Write everything a run needs to go on; the old state stays until the new one is whole.

        Raises:
            StoreError: It cannot be written, as on a full disk; the old state is untouched.
        """
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.state().items()}
        tensors |= {f"last.{name}": value for name, value in self.last.state().items()}
        tensors |= {f"best.{name}": value for name, value in progress.best_weights.items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
        plain = {"progress": progress._plain(), "precision": self.precision.state()}
        write_tensors(folder / _STATE, tensors, {name: json.dumps(value) for name, value in plain.items()})

    def restore(self, folder: Path) -> Progress:
        """Put the state of an interrupted run back where it came from.

        Returns:
            Its progress; that of a fresh run if there is no state, or none that can be read.
        """
        path = folder / _STATE
        if not path.is_file():
            return Progress()
        groups: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "last": {}, "best": {}, "optimizer": {}}
        try:
            with safe_open(path, "pt") as file:
                plain = {name: json.loads(text) for name, text in file.metadata().items()}
                for key in file.keys():  # an open file of tensors is no mapping
                    kind, name = key.split(".", 1)
                    groups[kind][name] = file.get_tensor(key)
        except SafetensorError:
            return Progress(restarted=True)
        self.network.load_state_dict(groups["network"])
        self.average.restore(groups["average"])
        self.last.restore(groups["last"])
        settings = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": _by_parameter(groups["optimizer"]), "param_groups": settings})
        self.precision.restore(plain["precision"])
        progress = Progress._from_plain(plain["progress"])
        progress.best_weights = groups["best"]
        return progress


def _by_parameter(flat: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    result: dict[int, dict[str, Tensor]] = {}
    for key, value in flat.items():
        index, name = key.split(".", 1)
        result.setdefault(int(index), {})[name] = value
    return result
