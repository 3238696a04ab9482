"""Posteriors as files that other programs read, and that `trainers.data.matrix_sets` reads back bit for bit."""

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from search_spaces.errors import PosteriorsError
from trainers.artifacts import Posteriors
from trainers.data.matrices import append_ark, can_read_arks

LABELS = "labels.txt"


def _write_npz(folder: Path, split: str, posteriors: Posteriors) -> None:
    """``SPLIT.npz``: all frames, the frames of each utterance, ids and labels."""
    np.savez(
        folder / f"{split}.npz",
        log_probs=posteriors.log_probs,
        lengths=np.diff(posteriors.offsets),
        ids=np.array(posteriors.ids),
        labels=np.array(posteriors.labels),
    )


def _write_npy(folder: Path, split: str, posteriors: Posteriors) -> None:
    """``SPLIT/ID.npy``, and the labels as text."""
    for name, frames in zip(posteriors.ids, posteriors, strict=True):
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts:
            raise PosteriorsError(f"utterance {name} names a place outside the folder; write --format npz")
        path = folder / split / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, frames)
    _write_labels(folder, posteriors)


def _write_ark(folder: Path, split: str, posteriors: Posteriors) -> None:
    """``SPLIT.ark``, binary, in float32, and the labels as text."""
    if not can_read_arks():
        raise PosteriorsError("writing Kaldi's archives needs the package kaldiio: pip install kaldiio")
    with (folder / f"{split}.ark").open("wb") as file:
        for name, frames in zip(posteriors.ids, posteriors, strict=True):
            if len(name.split()) != 1:
                raise PosteriorsError(f"utterance {name!r}: an id in an archive has no spaces; write --format npz")
            append_ark(file, name, np.asarray(frames))
    _write_labels(folder, posteriors)


def _write_labels(folder: Path, posteriors: Posteriors) -> None:
    (folder / LABELS).write_text("".join(f"{label}\n" for label in posteriors.labels), encoding="utf-8", newline="\n")


FORMS: Mapping[str, Callable[[Path, str, Posteriors], None]] = {"npz": _write_npz, "ark": _write_ark, "npy": _write_npy}
"""Writers of a split into a folder, by the name of the format."""
