"""Where a training run stands, kept on disk after every epoch so that it can go on exactly there."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from trainers.averaging import MovingAverage
from trainers.model.network import Network
from trainers.spec import EpochReport
from trainers.store import write_text

_STATE = "state.safetensors"
_HISTORY = "history.json"


@dataclass
class Progress:
    """How a run went so far.

    Attributes:
        reports: One an epoch.
        best_epoch: Epoch of the lowest dev WER so far, one-based; 0 before the first.
        best_weights: The weights that had it.
        bad_steps: Steps whose loss or gradient was no number, and which were therefore not taken.
        seconds: Wall time of all attempts.
        cpu_seconds: Processor time of all attempts.
    """

    reports: list[EpochReport] = field(default_factory=list)
    best_epoch: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    bad_steps: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

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
        return {
            "reports": [asdict(report) for report in self.reports],
            "best_epoch": self.best_epoch,
            "bad_steps": self.bad_steps,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
        }

    @classmethod
    def _from_plain(cls, plain: Mapping[str, Any]) -> "Progress":
        return cls(**{**plain, "reports": [EpochReport(**report) for report in plain["reports"]]})


def save_state(
    folder: Path, network: Network, average: MovingAverage, optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    """Write everything a run needs to go on; the old state stays until the new one is whole."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.state().items()}
    tensors |= {f"best.{name}": value for name, value in progress.best_weights.items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
    beside = folder / f".{_STATE}"
    plain = {name: value.contiguous() for name, value in tensors.items()}
    save_file(plain, beside, {"progress": json.dumps(progress._plain())})
    with beside.open("rb") as file:
        os.fsync(file.fileno())  # a rename may reach the disk before what it renames
    beside.replace(folder / _STATE)


def restore_state(folder: Path, network: Network, average: MovingAverage, optimizer: torch.optim.Optimizer) -> Progress:
    """Put the state of an interrupted run back where it came from; a fresh run if there is none."""
    path = folder / _STATE
    if not path.is_file():
        return Progress()
    groups: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "best": {}, "optimizer": {}}
    with safe_open(path, "pt") as file:
        progress = Progress._from_plain(json.loads(file.metadata()["progress"]))
        for key in file.keys():  # an open file of tensors is no mapping
            kind, name = key.split(".", 1)
            groups[kind][name] = file.get_tensor(key)
    network.load_state_dict(groups["network"])
    average.restore(groups["average"])
    settings = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": _by_parameter(groups["optimizer"]), "param_groups": settings})
    progress.best_weights = groups["best"]
    return progress


def _by_parameter(flat: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    result: dict[int, dict[str, Tensor]] = {}
    for key, value in flat.items():
        index, name = key.split(".", 1)
        result.setdefault(int(index), {})[name] = value
    return result
