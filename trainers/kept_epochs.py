"""The weights after chosen epochs of a run, kept beside its checkpoint.

``train.keep_epochs`` names epochs and ``train.keep_last`` asks for the last ones, wherever the run ends. Each is a
checkpoint of its own in a folder of the run's checkpoint, ``epochs/075`` for epoch 75, with the weights that dev was
evaluated with after that epoch: the moving average, where the run has one. `load_epoch` opens it, and its folder serves
wherever that of a checkpoint does.
"""

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from torch import Tensor

from search_spaces.axes.train import TrainSettings
from search_spaces.errors import CheckpointError
from trainers.checkpoint import WEIGHTS, Checkpoint, load_checkpoint
from trainers.tensor_file import write_tensors

_FOLDER = "epochs"


def epoch_folder(checkpoint: Path, epoch: int) -> Path:
    """Where the weights after an epoch are kept.

    Args:
        checkpoint: Folder of the run's checkpoint.
        epoch: One-based.
    """
    return checkpoint / _FOLDER / f"{epoch:03d}"


def kept_epochs(checkpoint: Path) -> tuple[int, ...]:
    """The epochs whose weights are kept, ascending.

    Args:
        checkpoint: Folder of the run's checkpoint.
    """
    return tuple(sorted(int(path.parent.name) for path in (checkpoint / _FOLDER).glob(f"*/{WEIGHTS}")))


def load_epoch(checkpoint: Path, epoch: int) -> Checkpoint:
    """The checkpoint of an epoch whose weights were kept.

    Args:
        checkpoint: Folder of the run's checkpoint.
        epoch: One-based.

    Raises:
        CheckpointError: They were not kept, or cannot be read.
    """
    there = kept_epochs(checkpoint)
    if epoch not in there:
        held = f"it kept {', '.join(map(str, there))}" if there else "it kept none"
        raise CheckpointError(
            f"{checkpoint} did not keep the weights after epoch {epoch}: {held}; train.keep_epochs and "
            "train.keep_last say before a run which are kept"
        )
    return load_checkpoint(epoch_folder(checkpoint, epoch))


def wanted_epochs(done: int, chosen: Collection[int], last: int) -> set[int]:
    """The epochs whose weights are kept once so many have been trained.

    Args:
        done: Epochs trained.
        chosen: Epochs that are kept for themselves.
        last: How many of the last ones are kept beside them.
    """
    return {epoch for epoch in range(1, done + 1) if epoch in chosen or epoch > done - last}


class EpochKeeper:
    """Keeps weights while a run trains.

    An epoch's weights are written before the run's state, and what is not wanted any more is removed after it: a run
    that is killed between the two trains that epoch again, to the same bits.

    Args:
        folder: Where the run's checkpoint is being made.
        settings: Which epochs.
    """

    def __init__(self, folder: Path, settings: TrainSettings) -> None:
        self._folder = folder
        self._chosen = settings.keep_epochs
        self._last = settings.keep_last

    def take(self, epoch: int, weights: Mapping[str, Tensor]) -> None:
        """Write the weights after an epoch, a state dict, if they are wanted.

        Raises:
            StoreError: They cannot be written.
        """
        if epoch in wanted_epochs(epoch, self._chosen, self._last):
            write_tensors(epoch_folder(self._folder, epoch) / WEIGHTS, weights)

    def clear(self, done: int) -> None:
        """Remove what is not wanted once so many epochs have been trained, what a lost attempt left included."""
        for epoch in set(kept_epochs(self._folder)) - wanted_epochs(done, self._chosen, self._last):
            shutil.rmtree(epoch_folder(self._folder, epoch))
