"""Running a trained network over a set, once: its posteriors are kept in the store."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search_spaces.axes.features import FeatureSettings
from trainers.artifacts import Posteriors
from trainers.checkpoint import Checkpoint
from trainers.data.batches import iterate
from trainers.data.features import FRAME_SECONDS, PackedFeatures
from trainers.data.labels import BLANK
from trainers.device import choose_device
from trainers.model.network import Network
from trainers.store import Store, digest

_BATCH_FRAMES = 6000
_PROBE = 960  # frames by which a network shows how many of them become one


def emit(network: Network, features: PackedFeatures) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Log-probabilities of every frame of a set.

    Args:
        network: In evaluation mode; it runs where its weights are, in float32.
        features: The set.

    Returns:
        (output frames of all utterances, labels), float32, in the order of the set; and the offsets of the
        utterances, (utterances + 1,), int64.
    """
    lengths = network.output_lengths(features.lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    result = np.empty((int(offsets[-1]), network.labels), np.float32)
    for indices, log_probs, _ in emit_batches(network, features):
        for row, index in enumerate(indices):
            result[offsets[index] : offsets[index + 1]] = log_probs[row, : lengths[index]].numpy()
    return result, offsets


def emitted(network: Network, checkpoint: Checkpoint, features: PackedFeatures) -> Posteriors:
    """Posteriors of a set that is no set of a campaign; they are not kept.

    Args:
        network: In evaluation mode.
        checkpoint: What it was made of.
        features: The set.
    """
    log_probs, offsets = emit(network, features)
    return Posteriors(features.ids, log_probs, offsets, checkpoint.alphabet.labels, BLANK)


def emit_batches(network: Network, features: PackedFeatures) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
    """Log-probabilities of a set batch by batch, by length, for those who need not hold them all.

    Args:
        network: In evaluation mode; it runs where its weights are, in float32.
        features: The set.

    Yields:
        Which utterances, (batch,); their log-probabilities, (batch, frames, labels), float32; their frames, (batch,);
        all of it in main memory.
    """
    device = next(network.parameters()).device
    for batch in iterate(features, _BATCH_FRAMES):
        inputs = batch.to(device)
        with torch.inference_mode():
            log_probs, lengths = network(inputs.features, inputs.lengths)
            log_probs, lengths = log_probs.cpu(), lengths.cpu()
        yield batch.indices, log_probs, lengths


def frame_seconds(network: Network, settings: FeatureSettings) -> float | None:
    """How long a frame of a network's posteriors lasts; None where stored features do not say.

    Args:
        network: The network.
        settings: The features it reads.
    """
    if settings.kind != "logmel":
        return None
    ratio = _PROBE / int(network.output_lengths(np.array([_PROBE]))[0])
    # what a module of the user's own loses at the ends of an utterance is no part of the ratio
    subsampling = round(ratio) if abs(ratio - round(ratio)) < 0.05 else ratio
    return FRAME_SECONDS * settings.step * subsampling


def posteriors_key(checkpoint: str, features: PackedFeatures) -> str:
    """Key of the posteriors of a checkpoint over a set, read as its settings say."""
    return digest([checkpoint, features.key, features.settings.model_dump()])


def posteriors(store: Store, key: str, checkpoint: Checkpoint, features: PackedFeatures) -> tuple[str, Posteriors]:
    """The posteriors of a checkpoint over a set, computed once and then mapped into memory.

    Args:
        store: Where they live.
        key: Key of the checkpoint.
        checkpoint: The network.
        features: The set.

    Returns:
        Their key in the store, and the posteriors.
    """
    name = posteriors_key(key, features)

    def make(folder: Path) -> None:
        log_probs, offsets = emit(checkpoint.network().to(choose_device()), features)
        write_posteriors(folder, features.ids, offsets, checkpoint.alphabet.labels, [log_probs])

    return name, load_posteriors(store.entry("posteriors", name, make))


def write_posteriors(
    folder: Path,
    ids: Sequence[str],
    offsets: NDArray[np.int64],
    labels: Sequence[str],
    blocks: Iterable[NDArray[np.float32]],
) -> None:
    """Write posteriors into an empty folder, as `load_posteriors` reads them.

    Args:
        folder: Where to.
        ids: Of the utterances.
        offsets: As in `Posteriors`.
        labels: Names of the columns, the blank first.
        blocks: The frames of all utterances in their order, in pieces of any size, (frames, labels).
    """
    # not through a memory map: a disk that runs full kills the process there, and is an error here
    with (folder / "log_probs.npy").open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (int(offsets[-1]), len(labels))}
        np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call]
        for block in blocks:
            file.write(np.ascontiguousarray(block, "<f4").tobytes())
    index = {"ids": list(ids), "offsets": offsets.tolist(), "labels": list(labels), "blank": BLANK}
    (folder / "index.json").write_text(json.dumps(index, ensure_ascii=False), encoding="utf-8")


def load_posteriors(folder: Path) -> Posteriors:
    """Posteriors from their folder, mapped into memory."""
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    return Posteriors(
        tuple(index["ids"]),
        np.load(folder / "log_probs.npy", mmap_mode="r"),
        np.array(index["offsets"], np.int64),
        tuple(index["labels"]),
        index["blank"],
    )
