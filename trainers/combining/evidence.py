"""Everything that is known of the pooled hypotheses of a set, in arrays: rescoring at other weights is then a product.

A table for a study that weighs members against each other is made once; thousands of points over it take seconds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trainers.combining.likelihood import log_likelihoods
from trainers.combining.members import Member, Pool
from trainers.data.labels import Alphabet
from trainers.scoring.references import References

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

    def errors(self, references: References) -> NDArray[np.int64]:
        """Word errors of every hypothesis, (hypotheses,); those of chosen ones add up to a set's.

        Args:
            references: Of the utterances that count; errors in others are none.
        """
        found = np.zeros(len(self.texts), np.int64)
        for name, start, end in zip(self.ids, self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True):
            if name in references:
                found[start:end] = [references.errors(name, text) for text in self.texts[start:end]]
        return found


class Evidence:
    """What members and a language model say of texts; nothing is computed twice, whatever pool asks.

    Args:
        language: ln P of texts, in nats; None without a language model.
    """

    def __init__(self, language: TextScores | None = None) -> None:
        self._language = language
        self._acoustic: dict[str, dict[str, dict[str, float]]] = {}
        self._writers: dict[Alphabet, _Writer] = {}

    @classmethod
    def of(cls, table: ScoreTable, names: Sequence[str]) -> "Evidence":
        """Evidence that knows what is in a table, so that nothing of it is computed again.

        Args:
            table: Of a pool.
            names: Of the pool's members, in the order of the table's rows.
        """
        language = dict(zip(table.texts, table.language.tolist(), strict=True))
        found = cls(lambda texts: np.array([language[text] for text in texts]))
        spans = list(zip(table.ids, table.starts[:-1].tolist(), table.starts[1:].tolist(), strict=True))
        for name, values in zip(names, table.acoustic.tolist(), strict=True):
            found._acoustic[name] = {
                utterance: dict(zip(table.texts[start:end], values[start:end], strict=True))
                for utterance, start, end in spans
            }
        return found

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
        ids = member.posteriors.ids
        known = self._acoustic.setdefault(member.name, {})
        write = self._writers.setdefault(member.alphabet, _Writer(member.alphabet))
        new = []
        for name, lists in zip(ids, texts, strict=True):
            values = known.setdefault(name, {})
            new.append({text: done for text in lists if text not in values and (done := write(text)) is not None})
        found = log_likelihoods(
            list(member.posteriors), [list(labels.values()) for labels in new], member.posteriors.blank
        )
        for name, labels, likelihoods in zip(ids, new, found, strict=True):
            known[name].update(zip(labels, likelihoods.tolist(), strict=True))
        return [
            np.array([known[name].get(text, -np.inf) for text in lists], np.float64)
            for name, lists in zip(ids, texts, strict=True)
        ]


class _Writer:
    """An alphabet that remembers how texts and words are written: members share texts, and texts share words."""

    def __init__(self, alphabet: Alphabet) -> None:
        self._alphabet = alphabet
        self._texts: dict[str, tuple[int, ...] | None] = {}
        self._words: dict[str, list[int] | None] = {}
        spaces = [index for index, label in enumerate(alphabet.labels) if label == " "]
        self._between = spaces if alphabet.units == "char" else []
        self._joins = bool(spaces) or alphabet.units != "char"

    def __call__(self, text: str) -> tuple[int, ...] | None:
        """Labels of a text; None where it cannot be written."""
        if text not in self._texts:
            self._texts[text] = self._write(text.split())
        return self._texts[text]

    def _write(self, words: Sequence[str]) -> tuple[int, ...] | None:
        parts = []
        for word in words:
            if word not in self._words:
                labels = self._alphabet.encode(word)
                self._words[word] = labels if labels is None else [*self._between, *labels]
            part = self._words[word]
            if part is None:
                return None
            parts.append(part)
        if len(parts) > 1 and not self._joins:
            return None
        return tuple(chain.from_iterable(parts))[len(self._between) :]
