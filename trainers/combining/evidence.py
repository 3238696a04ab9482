"""Everything that is known of the pooled hypotheses of a set, in arrays: rescoring at other weights is then a product.

A table for a study that weighs members against each other is made once; thousands of points over it take seconds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rapidfuzz.distance import Levenshtein

from trainers.combining.likelihood import log_likelihoods
from trainers.combining.members import Member, Pool
from trainers.data.labels import Alphabet

_CELLS = 2**22  # scores that are computed at once

Floats = NDArray[np.float64]
TextScores = Callable[[Sequence[str]], Floats]


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """Hypotheses of a set, those of one utterance behind each other in alphabetical order, and their scores.

    Attributes:
        ids: Utterance ids.
        starts: Utterance i has the hypotheses ``starts[i]`` to ``starts[i + 1]``, one at least; (utterances + 1,).
        texts: The hypotheses.
        acoustic: ln P_CTC of each under each member, (members, hypotheses); minus infinity for one that a member cannot
            write or that needs more frames than it has.
        proposed: Whether a member's own list has it, (members, hypotheses).
        language: ln P_LM, (hypotheses,); 0 without a language model.
        words: Number of words, (hypotheses,).
    """

    ids: tuple[str, ...]
    starts: NDArray[np.int64]
    texts: tuple[str, ...]
    acoustic: Floats
    proposed: NDArray[np.bool_]
    language: Floats
    words: Floats

    def totals(self, weights: ArrayLike, alpha: ArrayLike, beta: ArrayLike) -> Floats:
        r"""Scores of all hypotheses at one or many points, in nats.

        .. math:: \sum_k w_k \ln P_k(y|x) + \alpha \ln P_{LM}(y) + \beta |y|

        A hypothesis that a member of positive weight cannot write is out of the race, unless all of its utterance are:
        then those stay that members of the most weight can write. One that members of weight 0 alone propose is not
        there.

        Args:
            weights: Of the members, (members,) or (points, members), none negative.
            alpha: Of the language model, a number or (points,).
            beta: For every word, a number or (points,).

        Returns:
            (hypotheses,) or (points, hypotheses); minus infinity for those out of the race.
        """
        shares = np.atleast_2d(np.asarray(weights, np.float64))
        alphas, betas = (np.asarray(value, np.float64).reshape(-1, 1) for value in (alpha, beta))
        impossible = np.isneginf(self.acoustic)
        totals: Floats = shares @ np.where(impossible, 0.0, self.acoustic) + alphas * self.language + betas * self.words
        unwritten = shares @ impossible
        unwritten[(shares > 0).astype(np.float64) @ self.proposed == 0] = np.inf
        least = np.minimum.reduceat(unwritten, self.starts[:-1], axis=1)
        totals[unwritten > np.repeat(least, np.diff(self.starts), axis=1)] = -np.inf
        return totals if np.ndim(weights) == 2 else totals.reshape(-1)

    def best(self, weights: ArrayLike, alpha: ArrayLike, beta: ArrayLike) -> NDArray[np.int64]:
        """The best hypothesis of every utterance, the first of equal ones; see `totals` for the arguments.

        Returns:
            Indices into `texts`, (utterances,) or (points, utterances).
        """
        shares = np.atleast_2d(np.asarray(weights, np.float64))
        alphas, betas = (np.broadcast_to(value, len(shares)) for value in (alpha, beta))
        found = np.empty((len(shares), len(self.ids)), np.int64)
        size = max(1, _CELLS // len(self.texts))
        for first in range(0, len(shares), size):
            part = slice(first, first + size)
            totals = self.totals(shares[part], alphas[part], betas[part])
            for index, (start, end) in enumerate(zip(self.starts[:-1], self.starts[1:], strict=True)):
                found[part, index] = start + totals[:, start:end].argmax(axis=1)
        return found if np.ndim(weights) == 2 else found.reshape(-1)

    def errors(self, references: Sequence[str]) -> NDArray[np.int64]:
        """Word errors of every hypothesis, (hypotheses,); those of chosen ones add up to a set's.

        Args:
            references: What was said in each utterance.
        """
        said = [reference.split() for reference in references]
        owners = np.repeat(np.arange(len(self.ids)), np.diff(self.starts))
        pairs = zip(owners.tolist(), self.texts, strict=True)
        return np.array([Levenshtein.distance(said[owner], text.split()) for owner, text in pairs], np.int64)


class Evidence:
    """What members and a language model say of texts; nothing is computed twice, whatever pool asks.

    Args:
        language: ln P of texts, in nats; None without a language model.
    """

    def __init__(self, language: TextScores | None = None) -> None:
        self._language = language
        self._acoustic: dict[str, dict[tuple[str, str], float]] = {}

    def table(self, pool: Pool, count: int) -> ScoreTable:
        """The pooled hypotheses of a set, with their scores.

        Args:
            pool: The members, with their hypotheses.
            count: Hypotheses an utterance that a member puts into the pool at most.

        Raises:
            FusionError: A member has no hypothesis of an utterance.
        """
        proposals = [[{one.text for one in found} for found in pool.lists(member, count)] for member in pool.members]
        texts = [sorted(set().union(*lists)) for lists in zip(*proposals, strict=True)]
        flat = tuple(text for lists in texts for text in lists)
        return ScoreTable(
            pool.ids,
            np.cumsum([0, *map(len, texts)]).astype(np.int64),
            flat,
            np.stack([np.concatenate(self.acoustic(member, texts)) for member in pool.members]),
            np.array(
                [
                    [text in own for own, lists in zip(found, texts, strict=True) for text in lists]
                    for found in proposals
                ]
            ),
            np.zeros(len(flat)) if self._language is None else self._language(flat),
            np.array([len(text.split()) for text in flat], np.float64),
        )

    def acoustic(self, member: Member, texts: Sequence[Sequence[str]]) -> list[Floats]:
        """Exact CTC log-likelihoods of texts under a member, each in the member's own units.

        Args:
            member: One of a pool.
            texts: Those of every utterance.

        Returns:
            For every utterance an array of as many values; minus infinity for a text that cannot be written or needs
            more frames than there are.
        """
        known = self._acoustic.setdefault(member.name, {})
        ids = member.posteriors.ids
        encode = _Writer(member.alphabet)
        new = [
            {text: labels for text in lists if (name, text) not in known and (labels := encode(text)) is not None}
            for name, lists in zip(ids, texts, strict=True)
        ]
        asked = [index for index, labels in enumerate(new) if labels]
        frames = [member.posteriors[index] for index in asked]
        found = log_likelihoods(frames, [list(new[index].values()) for index in asked], member.posteriors.blank)
        for index, values in zip(asked, found, strict=True):
            known.update(zip(((ids[index], text) for text in new[index]), values.tolist(), strict=True))
        return [
            np.array([known.get((name, text), -np.inf) for text in lists])
            for name, lists in zip(ids, texts, strict=True)
        ]


class _Writer:
    """An alphabet that remembers how words are written: hypotheses are many, their words are few."""

    def __init__(self, alphabet: Alphabet) -> None:
        self._alphabet = alphabet
        self._words: dict[str, list[int] | None] = {}
        spaces = [index for index, label in enumerate(alphabet.labels) if label == " "]
        self._between = spaces or None if alphabet.units == "char" else []

    def __call__(self, text: str) -> list[int] | None:
        """Labels of a text; None where a word cannot be written."""
        labels: list[int] = []
        for word in text.split():
            if word not in self._words:
                self._words[word] = self._alphabet.encode(word)
            written = self._words[word]
            if written is None or (labels and self._between is None):
                return None
            labels += [*(self._between or ()), *written] if labels else written
        return labels
