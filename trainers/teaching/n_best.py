"""The likeliest hypotheses for a training set, searched once and kept as text."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from search_spaces.axes.decoding import DecodingSettings
from trainers.artifacts import Hypothesis
from trainers.data.labels import Alphabet
from trainers.decoding.beam import BeamDecoder
from trainers.store import Store, digest
from trainers.teaching.top_posteriors import TopPosteriors

KIND = "hypotheses"
SEARCH = DecodingSettings(method="beam", alpha=0.0, beta=0.0, beam_width=50)
"""The search: by acoustic score alone, as wide as any n-best list may be long."""
_FORMAT = 1
_FILE = "n_best.jsonl"

Lists = list[list[Hypothesis]]


def n_best_lists(store: Store, posteriors: TopPosteriors, alphabet: Alphabet, count: int) -> Lists:
    """The best hypotheses of every utterance of a set by their acoustic scores, searched once and then read.

    Args:
        store: Where they live.
        posteriors: Of the set.
        alphabet: Names of the posteriors' columns.
        count: Hypotheses an utterance at most.

    Returns:
        A list for every utterance, the likeliest first.
    """

    def search() -> Iterable[list[Hypothesis]]:
        with BeamDecoder(alphabet, None) as decoder:
            for index, name in enumerate(posteriors.ids):
                yield decoder.n_best(posteriors[index], SEARCH, count, name)

    return keep_lists(store, digest([_FORMAT, posteriors.key, count, SEARCH.model_dump()]), search)


def keep_lists(store: Store, key: str, search: Callable[[], Iterable[list[Hypothesis]]]) -> Lists:
    """Lists of hypotheses from the store, where they are put when they are first asked for.

    Args:
        store: Where they live.
        key: What they depend on.
        search: Finds the list of every utterance, one after the other, none of them empty.
    """

    def make(folder: Path) -> None:
        with (folder / _FILE).open("w", encoding="utf-8") as file:
            for found in search():
                entry = {"id": found[0].id, "texts": [h.text for h in found], "acoustic": [h.acoustic for h in found]}
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    with (store.entry(KIND, key, make) / _FILE).open(encoding="utf-8") as file:
        entries = map(json.loads, file)
        return [[Hypothesis(e["id"], *pair) for pair in zip(e["texts"], e["acoustic"], strict=True)] for e in entries]
