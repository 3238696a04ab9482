"""How often a network says each label on its training set: the prior that a decoder may divide by."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search_spaces.errors import CheckpointError
from trainers.data.labels import Alphabet
from trainers.source import Source
from trainers.store import Store

PRIOR = "prior.json"


def label_prior(store: Store, source: Source) -> tuple[str, NDArray[np.float64]]:
    """The mean training posterior of a source, computed once.

    The posteriors themselves are not kept: of a large training set they would take gigabytes. No label has less than
    one frame's share, so that one which is never said is not made likely without bounds.

    Args:
        store: Where it lives.
        source: Where the posteriors come from.

    Returns:
        Its key in the store, and the probability of every label, (labels,).
    """
    name = source.posteriors_key("train")

    def make(folder: Path) -> None:
        total = np.zeros(len(source.alphabet))
        for _, log_probs, lengths in source.batches("train"):
            for row, length in zip(log_probs, lengths.tolist(), strict=True):
                total += row[:length].double().exp().sum(0).numpy()
        shares = np.maximum(total, 1.0)
        shares /= shares.sum()
        named = dict(zip(source.alphabet.labels, shares.tolist(), strict=True))
        (folder / PRIOR).write_text(json.dumps(named, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    return name, read_prior(store.entry("priors", name, make), source.alphabet)


def read_prior(folder: Path, alphabet: Alphabet) -> NDArray[np.float64]:
    """A prior from its folder, (labels,).

    Raises:
        CheckpointError: It is missing, cannot be read, or is of other labels.
    """
    path = folder / PRIOR
    try:
        named = json.loads(path.read_text(encoding="utf-8"))
        prior = np.array([named[label] for label in alphabet.labels], np.float64)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is no label prior of this network: {error}") from error
    if not (np.isfinite(prior).all() and (prior > 0).all()):
        raise CheckpointError(f"{path}: every label needs a probability above 0")
    return prior
