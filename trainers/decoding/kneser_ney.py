r"""Interpolated modified Kneser-Ney n-gram models, written as ARPA files that KenLM loads.

KenLM's Python package reads language models and cannot estimate them; its ``lmplz`` does, and comes in no wheel. This
module writes the bytes that ``lmplz -o N`` writes without pruning: float32 throughout, in the same order of operations.
It departs from lmplz where KenLM could not read the result (a discount of zero, the word ``<UNK>``), and it ends every
sentence, the last one too when its newline is missing.

With :math:`a(hw)` the adjusted count of word :math:`w` after context :math:`h`, and :math:`h'` the context without its
first word (Chen & Goodman 1998, equations 25 to 27; Heafield et al. 2013, section 3):

.. math::

    a(w_1^k) = \begin{cases}
        \text{occurrences of } w_1^k & k = N \text{ or } w_1 = \texttt{<s>} \\
        \text{different words seen before } w_1^k & \text{otherwise}
    \end{cases}

    y = \frac{n_1}{n_1 + 2 n_2}, \qquad D_j = j - (j + 1)\, y\, \frac{n_{j+1}}{n_j} \quad (j = 1, 2, 3),
    \qquad D(c) = D_{\min(c, 3)}

    \gamma(h) = \frac{\sum_{j=1}^{3} D_j\, |\{w : \min(a(hw), 3) = j\}|}{\sum_w a(hw)}

    p(w \mid h) = \frac{a(hw) - D(a(hw))}{\sum_v a(hv)} + \gamma(h)\, p(w \mid h')

where :math:`n_j` is how many n-grams of the order have adjusted count j, taken per order. The unigrams are interpolated
with the uniform distribution over the vocabulary, ``<unk>`` included and ``<s>`` not, so ``<unk>`` gets the mass of a
word never seen.

Sources:
    S. F. Chen and J. Goodman, An Empirical Study of Smoothing Techniques for Language Modeling, TR-10-98, Harvard 1998.
    K. Heafield, I. Pouzyrevsky, J. H. Clark and P. Koehn, Scalable Modified Kneser-Ney Language Model Estimation,
    ACL 2013.
"""

import ctypes
import os
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from search_spaces.errors import LanguageModelError

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

BOS, EOS = 1, 2
SPECIAL = ("<unk>", "<s>", "</s>")
RESERVED = frozenset((*SPECIAL, "<UNK>"))  # lmplz takes <UNK> for a word, but KenLM reads it back as <unk>
ORDERS = range(2, 7)
FALLBACK = (0.0, 0.5, 1.0, 1.5)

_WORD = re.compile(r"[^\0\t\n\r ]+")  # lmplz's separators; str.split would also split at a no-break space

# numpy's log10 differs from the C library's in the last bit, and between processors.
_log10f = ctypes.CDLL(None).log10f
_log10f.argtypes = [ctypes.c_float]
_log10f.restype = ctypes.c_float


@dataclass(frozen=True, slots=True)
class NGrams:
    """All n-grams of one order k, sorted by the last word, then the word before it, and so on.

    Attributes:
        ids: Words as indices into the vocabulary; (n-grams, k), int64.
        log10_probs: Log10 probability of the last word after the others; (n-grams,), float32.
        log10_backoffs: Log10 of the weight with which longer contexts fall back here; (n-grams,), float32. Zeros where
            nothing longer was seen.
    """

    ids: Ints
    log10_probs: Floats
    log10_backoffs: Floats

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class NGramModel:
    """A back-off language model.

    Attributes:
        vocabulary: ``<unk>``, ``<s>``, ``</s>``, then the words in the order in which the text first has them.
        orders: The n-grams of order 1, 2, and so on. High orders are empty where every sentence is too short for them.
    """

    vocabulary: tuple[str, ...]
    orders: tuple[NGrams, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the text, without ``<unk>``, ``<s>`` and ``</s>``: what a beam decoder has to be given."""
        return self.vocabulary[len(SPECIAL) :]

    def write(self, path: Path) -> None:
        """Write an ARPA file in UTF-8, beside its place and then renamed: there is never half a model at ``path``."""
        beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with beside.open("w", encoding="utf-8", newline="\n") as out:
                self._print(out)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    def _print(self, out: TextIO) -> None:
        out.write("\\data\\\n")
        out.writelines(f"ngram {k}={len(grams)}\n" for k, grams in enumerate(self.orders, 1))
        for k, grams in enumerate(self.orders, 1):
            out.write(f"\n\\{k}-grams:\n")
            texts = (" ".join([self.vocabulary[word] for word in row]) for row in grams.ids.tolist())
            columns = [_shortest(grams.log10_probs), texts, _shortest(grams.log10_backoffs)]
            if k == len(self.orders):
                columns.pop()
            out.writelines("\t".join(fields) + "\n" for fields in zip(*columns, strict=True))
        out.write("\n\\end\\\n")


def estimate(sentences: Iterable[str], order: int, *, discount_fallback: bool = False) -> NGramModel:
    """Estimate an interpolated modified Kneser-Ney model, as ``lmplz -o order`` does.

    Args:
        sentences: One sentence each, such as the lines of a text file: words separated by spaces or tabs, taken as they
            are. A sentence without words counts: it says that ``</s>`` may follow ``<s>``.
        order: Length of the longest n-grams, 2 to 6.
        discount_fallback: Take the discounts 0.5, 1 and 1.5 for each order whose discounts cannot be estimated, as
            ``lmplz --discount_fallback`` does. Small and repetitive texts need it.

    Raises:
        LanguageModelError: The order is out of range, there are no words, a reserved word stands in the text, or the
            discounts cannot be estimated and ``discount_fallback`` is off.
    """
    if order not in ORDERS:
        raise LanguageModelError(f"order {order}: KenLM loads language models of orders {ORDERS[0]} to {ORDERS[-1]}")
    vocabulary, tokens, depth = _read(sentences)
    counts = _count(tokens, depth, order, len(vocabulary))
    adjusted = _adjust(counts)
    discounts = _discounts(_counts_of_counts(counts, adjusted), discount_fallback)
    return NGramModel(vocabulary, _interpolate(counts, adjusted, discounts))


def _read(sentences: Iterable[str]) -> tuple[tuple[str, ...], Ints, Ints]:
    """The vocabulary, the ids of all tokens with ``<s>`` and ``</s>``, and each token's place in its sentence."""
    ids = dict(zip(SPECIAL, range(len(SPECIAL)), strict=True))
    tokens, lengths = array("q"), array("q")
    for number, sentence in enumerate(sentences, 1):
        words = _WORD.findall(sentence)
        if not RESERVED.isdisjoint(words):
            raise LanguageModelError(
                f"sentence {number} of the text has {' '.join(sorted(RESERVED.intersection(words)))}, which language "
                "models reserve: remove it; the ends of sentences are marked without being written in the text"
            )
        tokens.append(BOS)
        tokens.extend([ids.setdefault(word, len(ids)) for word in words])
        tokens.append(EOS)
        lengths.append(len(words) + 2)
    if len(ids) == len(SPECIAL):
        raise LanguageModelError(f"no words in a text of {len(lengths)} sentences: give a text with at least one word")
    sizes = np.array(lengths, dtype=np.int64)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    return tuple(ids), np.array(tokens, dtype=np.int64), np.arange(len(starts)) - starts


@dataclass(frozen=True, slots=True)
class _Counts:
    """The different n-grams of one order, in the order in which :class:`NGrams` has them, and how often each occurs.

    An n-gram is its first word and its suffix, which is an (n-1)-gram: rows of one order point into the order below.

    Attributes:
        first: Id of the first word.
        suffix: Row of the n-gram without its first word; 0 for unigrams.
        context: Row of the n-gram without its last word; 0 for unigrams.
        occurrences: How often the text has the n-gram; 0 for ``<unk>`` and, as it is never predicted, ``<s>``.
    """

    first: Ints
    suffix: Ints
    context: Ints
    occurrences: Ints

    def __len__(self) -> int:
        return len(self.first)


def _count(tokens: Ints, depth: Ints, order: int, vocabulary_size: int) -> list[_Counts]:
    """Count the n-grams of orders 1 to ``order``.

    The pair (row of the suffix, first word) sorts as the reversed words do, so one integer per token stands for a whole
    n-gram and each order is one sort.
    """
    occurrences = np.bincount(tokens, minlength=vocabulary_size)
    occurrences[BOS] = 0
    nowhere = np.zeros(vocabulary_size, dtype=np.int64)
    counts = [_Counts(np.arange(vocabulary_size), nowhere, nowhere, occurrences)]
    row = tokens.copy()  # of the n-gram that ends at each token
    for k in range(2, order + 1):
        ends = np.flatnonzero(depth >= k - 1)
        keys, inverse, occurrences = np.unique(
            row[ends] * vocabulary_size + tokens[ends - k + 1], return_inverse=True, return_counts=True
        )
        context = np.empty_like(keys)
        context[inverse] = row[ends - 1]
        counts.append(_Counts(keys % vocabulary_size, keys // vocabulary_size, context, occurrences))
        row[ends] = inverse
    return counts


def _adjust(counts: Sequence[_Counts]) -> list[Ints]:
    """The adjusted counts a of every order."""
    adjusted = []
    for grams, longer in pairwise(counts):
        words_before = np.bincount(longer.suffix, minlength=len(grams))
        adjusted.append(np.where(grams.first == BOS, grams.occurrences, words_before))
    return [*adjusted, counts[-1].occurrences]


def _counts_of_counts(counts: Sequence[_Counts], adjusted: Sequence[Ints]) -> list[Ints]:
    """How many n-grams of each order have adjusted count 0, 1, 2, 3, 4, and 5 or more.

    lmplz reads the n-grams in order and closes an n-gram when another suffix begins. Those still open at the end of the
    text, the last of each order as far as one is the suffix of the next, it enters with their occurrences in place of
    their adjusted counts. A slip of one n-gram, kept here because it moves every discount a little.
    """
    tables = [np.bincount(np.minimum(numbers, 5), minlength=6) for numbers in adjusted]
    below = 1
    for table, grams, numbers in zip(tables[:-1], counts, adjusted, strict=False):
        if grams.suffix[-1] != below - 1:
            break
        table[min(numbers[-1], 5)] -= 1
        table[min(grams.occurrences[-1], 5)] += 1
        below = len(grams)
    return tables


def _discounts(tables: Sequence[Ints], fallback: bool) -> list[Floats]:
    """D(0), D(1), D(2) and D(3 or more) of each order."""
    discounts, failures = [], []
    for k, table in enumerate(tables, 1):
        amounts = _closed_form(table)
        if amounts is None:
            numbers = ", ".join(map(str, table[1:5]))
            failures.append(f"{numbers} of the {k}-grams have adjusted counts 1, 2, 3 and 4")
        discounts.append(np.array(FALLBACK, dtype=np.float32) if amounts is None else amounts)
    if failures and not fallback:
        raise LanguageModelError(
            "the text is too small or too repetitive to estimate Kneser-Ney discounts: every order needs n-grams "
            f"with adjusted counts 1, 2 and 3, and fewer of the higher. Here {'; '.join(failures)}. Give more text or "
            "each sentence once, or set discount_fallback to take the discounts 0.5, 1 and 1.5 for such orders"
        )
    return discounts


def _closed_form(table: Ints) -> Floats | None:
    """The discounts of Chen & Goodman's equation 26; None unless each D(j) lies above 0 and not above j."""
    if not table[1:4].all():
        return None
    n = table.astype(np.float32)
    j = np.arange(1, 4, dtype=np.float32)
    y = n[1] / np.float32(table[1] + 2.0 * table[2])
    amounts = j - (j + 1) * y * n[2:5] / n[1:4]
    # lmplz lets a discount be 0, and with it a back-off weight, whose logarithm KenLM refuses to load.
    return np.append(np.float32(0), amounts) if np.all((amounts > 0) & (amounts <= j)) else None


def _interpolate(
    counts: Sequence[_Counts], adjusted: Sequence[Ints], discounts: Sequence[Floats]
) -> tuple[NGrams, ...]:
    """Probabilities from the lowest order up."""
    contexts = [1, *map(len, counts)]
    weights = [
        _context_weights(grams.context, numbers, discount, size)
        for grams, numbers, discount, size in zip(counts, adjusted, discounts, contexts[:-1], strict=True)
    ]
    backoffs = [gamma for gamma, _ in weights[1:]] + [np.ones(contexts[-1], dtype=np.float32)]
    ids = np.zeros((1, 0), dtype=np.int64)
    probs = np.array([1 / (len(counts[0]) - 1)], dtype=np.float32)  # uniform, without <s>
    orders: list[NGrams] = []
    for grams, numbers, discount, (gamma, total), backoff in zip(
        counts, adjusted, discounts, weights, backoffs, strict=True
    ):
        seen = (numbers.astype(np.float32) - discount[np.minimum(numbers, 3)]) / total[grams.context]
        probs = seen + gamma[grams.context] * probs[grams.suffix]
        if not orders:
            probs[BOS] = 1  # never predicted; ARPA files have its logarithm as 0
        ids = np.column_stack([grams.first, ids[grams.suffix]])
        orders.append(NGrams(ids, np.minimum(_log10(probs), np.float32(0)), _log10(backoff)))
    return tuple(orders)


def _context_weights(context: Ints, numbers: Ints, discount: Floats, contexts: int) -> tuple[Floats, Floats]:
    """The back-off weight gamma and the sum of adjusted counts of each context; 1 and 1 where nothing follows it."""
    total = np.bincount(context, weights=numbers, minlength=contexts).astype(np.float32)
    mass = np.zeros(contexts, dtype=np.float32)
    for j in (1, 2, 3):
        followers = np.bincount(context[np.minimum(numbers, 3) == j], minlength=contexts)
        mass += discount[j] * followers.astype(np.float32)
    ends = total == 0
    mass[ends] = total[ends] = 1
    return mass / total, total


def _log10(values: Floats) -> Floats:
    """Log10 by the C library, called once for each different value."""
    different, inverse = np.unique(values, return_inverse=True)
    logs = np.fromiter(map(_log10f, different.tolist()), dtype=np.float32, count=len(different))
    return logs[inverse]


def _shortest(values: Floats) -> Iterator[str]:
    """The fewest digits that read back as the same float32, in the notation of KenLM's number writer."""
    different, inverse = np.unique(values, return_inverse=True)
    texts = [_digits(value) for value in different]
    return map(texts.__getitem__, inverse.tolist())


def _digits(value: np.float32) -> str:
    if value != 0 and abs(value) < np.float32(1e-6):
        return np.format_float_scientific(value, trim="-", exp_digits=1)
    return np.format_float_positional(value, trim="-")
