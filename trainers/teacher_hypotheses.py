"""A teacher's best hypotheses for the training set, searched once and kept as text.

Text is what teacher and student have in common: each student writes it in its own labels.
"""

import json
from pathlib import Path

import torch

from search_spaces.axes.decoding import DecodingSettings
from trainers.artifacts import Hypothesis
from trainers.data.batches import Batch
from trainers.data.labels import Alphabet
from trainers.data.sets import Corpus
from trainers.decoding.beam import BeamDecoder
from trainers.losses.sequence import Hypotheses
from trainers.source import open_source
from trainers.store import Store, digest
from trainers.teacher import NEED
from trainers.top_posteriors import TopPosteriors, top_posteriors
from trainers.trial import Trial

KIND = "hypotheses"
SEARCH = DecodingSettings(method="beam", alpha=0.0, beta=0.0, beam_width=50)
"""The search: by acoustic score alone, as wide as any n-best list may be long."""
_FORMAT = 1
_FILE = "n_best.jsonl"


class TeacherHypotheses:
    """What a teacher may have heard in the utterances of the training set.

    Args:
        trial: The student's trial.
        corpus: What the student is trained on.
        count: Hypotheses an utterance at most.

    Attributes:
        dropped: Hypotheses that cannot be written in the student's labels.
        notes: That, in plain words; empty where every one can.
    """

    def __init__(self, trial: Trial, corpus: Corpus, count: int) -> None:
        (ingredient,) = trial.spec.needs[NEED.name]
        teacher = open_source(trial, ingredient)
        said = n_best_lists(trial.store, top_posteriors(trial.store, teacher, "train"), teacher.alphabet, count)
        self._lists = [_encode(one, corpus.alphabet) for one in said]
        total = sum(map(len, said))
        self.dropped = total - sum(len(labels) for labels, _ in self._lists)
        self.notes: tuple[str, ...] = ()
        if self.dropped:
            self.notes = (f"{self.dropped} of the teacher's {total} hypotheses have words without labels: left out",)

    def __call__(self, batch: Batch) -> Hypotheses:
        """Hypotheses for a batch, in the student's labels, on the device of its targets."""
        lists = [self._lists[index] for index in batch.indices]
        labels = [one for many, _ in lists for one in many]
        counts = torch.tensor([len(many) for many, _ in lists])
        device = batch.targets.device
        return Hypotheses(
            torch.arange(len(lists)).repeat_interleave(counts).to(device),
            torch.tensor([label for one in labels for label in one], dtype=torch.int64, device=device),
            torch.tensor([len(one) for one in labels], dtype=torch.int64, device=device),
            torch.tensor([score for _, scores in lists for score in scores], dtype=torch.float64, device=device),
        )


def n_best_lists(store: Store, posteriors: TopPosteriors, alphabet: Alphabet, count: int) -> list[list[Hypothesis]]:
    """The best hypotheses of every utterance of a set by their acoustic scores, searched once and then read.

    Args:
        store: Where they live.
        posteriors: Of the set.
        alphabet: Names of the posteriors' columns.
        count: Hypotheses an utterance at most.

    Returns:
        A list for every utterance, the likeliest first.
    """

    def make(folder: Path) -> None:
        with BeamDecoder(alphabet, None) as decoder, (folder / _FILE).open("w", encoding="utf-8") as file:
            for index, name in enumerate(posteriors.ids):
                found = decoder.n_best(posteriors[index], SEARCH, count, name)
                entry = {"id": name, "texts": [h.text for h in found], "acoustic": [h.acoustic for h in found]}
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    key = digest([_FORMAT, posteriors.key, count, SEARCH.model_dump()])
    with (store.entry(KIND, key, make) / _FILE).open(encoding="utf-8") as file:
        entries = map(json.loads, file)
        return [[Hypothesis(e["id"], *pair) for pair in zip(e["texts"], e["acoustic"], strict=True)] for e in entries]


def _encode(hypotheses: list[Hypothesis], alphabet: Alphabet) -> tuple[list[list[int]], list[float]]:
    """Labels and score of each hypothesis that can be written; silence is written with none."""
    encoded = [(alphabet.encode(one.text) if one.text else [], one.acoustic) for one in hypotheses]
    written = [(labels, score) for labels, score in encoded if labels is not None and score is not None]
    return [labels for labels, _ in written], [score for _, score in written]
