"""A teacher's best hypotheses for the utterances of a batch, in the student's labels.

Text is what teacher and student have in common: each student writes it in its own labels.
"""

import torch

from trainers.artifacts import Hypothesis
from trainers.data.batches import Batch
from trainers.data.labels import Alphabet
from trainers.data.sets import Corpus
from trainers.losses.sequence import Hypotheses
from trainers.teaching.teacher import Teacher


class TeacherHypotheses:
    """What a teacher may have heard in the utterances of the training set.

    Args:
        teacher: The teacher.
        corpus: What the student is trained on.
        count: Hypotheses an utterance at most.

    Attributes:
        dropped: Hypotheses that cannot be written in the student's labels.
        notes: That, in plain words; empty where every one can.
    """

    def __init__(self, teacher: Teacher, corpus: Corpus, count: int) -> None:
        said = teacher.n_best(count)
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


def _encode(hypotheses: list[Hypothesis], alphabet: Alphabet) -> tuple[list[list[int]], list[float]]:
    """Labels and score of each hypothesis that can be written; silence is written with none."""
    encoded = [(alphabet.encode(one.text) if one.text else [], one.acoustic) for one in hypotheses]
    written = [(labels, score) for labels, score in encoded if labels is not None and score is not None]
    return [labels for labels, _ in written], [score for _, score in written]
