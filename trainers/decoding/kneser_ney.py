r"""Interpolated modified Kneser-Ney n-gram models, written as ARPA files that KenLM loads.

KenLM's Python package reads language models and cannot estimate them; its ``lmplz`` does, and comes in no wheel. This
module makes what ``lmplz -o N`` makes, byte for byte, also with ``--prune``: float32 throughout, in the same order of
operations. It departs from lmplz where KenLM could not read the result (a discount of zero, the word ``<UNK>``), where
pruned words outnumber sentences (lmplz then spoils ``</s>``), and it ends every sentence, the last one too when its
newline is missing.

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

Pruning drops the n-grams of order k that occur at most :math:`\theta_k` times, and with :math:`P(h)` the dropped words
after h gives their counts to the back-off, so that probabilities sum to one as before; adjusted counts and discounts
stay those of the whole text. As :math:`\theta_1 \le \theta_2 \le \dots`, what is kept has its parts kept.

.. math::

    \gamma(h) = \frac{\sum_{j=1}^{3} D_j\, |\{w \notin P(h) : \min(a(hw), 3) = j\}| + \sum_{w \in P(h)} a(hw)}
        {\sum_w a(hw)}

Sources:
    S. F. Chen and J. Goodman, An Empirical Study of Smoothing Techniques for Language Modeling, TR-10-98, Harvard 1998.
    K. Heafield, I. Pouzyrevsky, J. H. Clark and P. Koehn, Scalable Modified Kneser-Ney Language Model Estimation,
    ACL 2013.
"""

import ctypes
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from search_spaces.axes.decoding import ORDERS
from search_spaces.errors import LanguageModelError
from trainers.decoding.arpa import SPECIAL, Floats, Ints, NGramModel, NGrams
from trainers.decoding.texts import refuse_reserved, split_words

BOS, EOS = 1, 2
FALLBACK = (0.0, 0.5, 1.0, 1.5)

Flags = NDArray[np.bool_]

# numpy's log10 differs from the C library's in the last bit, and between processors.
_log10f = ctypes.CDLL(None).log10f
_log10f.argtypes = [ctypes.c_float]
_log10f.restype = ctypes.c_float


def estimate(
    sentences: Iterable[str], order: int, *, discount_fallback: bool = False, prune: Sequence[int] = ()
) -> NGramModel:
    """Estimate an interpolated modified Kneser-Ney model, as ``lmplz -o order`` does.

    Args:
        sentences: One sentence each, such as the lines of a text file: words separated by spaces or tabs, taken as they
            are. A sentence without words counts: it says that ``</s>`` may follow ``<s>``.
        order: Length of the longest n-grams, 2 to 6.
        discount_fallback: Take the discounts 0.5, 1 and 1.5 for each order whose discounts cannot be estimated, as
            ``lmplz --discount_fallback`` does. Small and repetitive texts need it.
        prune: For orders 1, 2 and so on: drop n-grams that occur so many times or fewer, as ``lmplz --prune`` does. The
            last one holds for the orders above it too; it never decreases. Empty, or zeros: keep all.

    Raises:
        LanguageModelError: The order is out of range, the thresholds are not of that kind or leave no words, there are
            no words, a reserved word stands in the text, or the discounts cannot be estimated and
            ``discount_fallback`` is off.
    """
    if order not in ORDERS:
        raise LanguageModelError(f"order {order}: KenLM loads language models of orders {ORDERS[0]} to {ORDERS[-1]}")
    thresholds = pruning_thresholds(prune, order)
    vocabulary, tokens, depth = _read(sentences)
    counts = _count(tokens, depth, order, len(vocabulary))
    adjusted = _adjust(counts)
    discounts = _discounts(_counts_of_counts(counts, adjusted), discount_fallback)
    kept = _kept(counts, thresholds)
    if not kept[0][len(SPECIAL) :].any():
        raise LanguageModelError(f"no word occurs more than {thresholds[0]} times: prune the 1-grams less")
    words = tuple(word for word, keep in zip(vocabulary, kept[0].tolist(), strict=True) if keep)
    return NGramModel(words, _interpolate(counts, adjusted, discounts, kept))


def pruning_thresholds(prune: Sequence[int], order: int) -> tuple[int, ...]:
    """A threshold for every order: the last one given holds for those above it.

    Raises:
        LanguageModelError: They are more than the order, negative, or decrease.
    """
    given = " ".join(map(str, prune))
    if len(prune) > order:
        raise LanguageModelError(f"prune {given}: {len(prune)} thresholds, but the model has n-grams of {order} orders")
    if any(low > high for low, high in pairwise((0, *prune))):
        raise LanguageModelError(
            f"prune {given}: thresholds are 0 or more and never decrease from one order to the next, or an n-gram "
            "would outlive its parts"
        )
    return (*prune, *[prune[-1] if prune else 0] * (order - len(prune)))


def _read(sentences: Iterable[str]) -> tuple[tuple[str, ...], Ints, Ints]:
    """The vocabulary, the ids of all tokens with ``<s>`` and ``</s>``, and each token's place in its sentence."""
    ids = dict(zip(SPECIAL, range(len(SPECIAL)), strict=True))
    tokens, lengths = array("q"), array("q")
    for number, sentence in enumerate(sentences, 1):
        words = split_words(sentence)
        refuse_reserved(words, f"sentence {number} of the text")
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
            "each sentence once, or set discount_fallback (--discount-fallback) to take the discounts 0.5, 1 and "
            "1.5 for such orders"
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


def _kept(counts: Sequence[_Counts], thresholds: Sequence[int]) -> list[Flags]:
    """Which n-grams of every order are not pruned."""
    kept = [grams.occurrences > threshold for grams, threshold in zip(counts, thresholds, strict=True)]
    kept[0][: len(SPECIAL)] = True
    return kept


def _interpolate(
    counts: Sequence[_Counts], adjusted: Sequence[Ints], discounts: Sequence[Floats], kept: Sequence[Flags]
) -> tuple[NGrams, ...]:
    """Probabilities from the lowest order up."""
    contexts = [1, *map(len, counts)]
    weights = [
        _context_weights(grams.context, numbers, discount, keep, size)
        for grams, numbers, discount, keep, size in zip(counts, adjusted, discounts, kept, contexts[:-1], strict=True)
    ]
    backoffs = [gamma for gamma, _ in weights[1:]] + [np.ones(contexts[-1], dtype=np.float32)]
    ids = np.zeros((1, 0), dtype=np.int64)
    probs = np.array([1 / (np.count_nonzero(kept[0]) - 1)], dtype=np.float32)  # uniform, without <s>
    number = np.cumsum(kept[0]) - 1  # of a word among those that are kept
    orders: list[NGrams] = []
    for grams, numbers, discount, (gamma, total), backoff, keep in zip(
        counts, adjusted, discounts, weights, backoffs, kept, strict=True
    ):
        seen = (numbers.astype(np.float32) - discount[np.minimum(numbers, 3)]) / total[grams.context]
        probs = seen + gamma[grams.context] * probs[grams.suffix]
        if not orders:
            probs[BOS] = 1  # never predicted; ARPA files have its logarithm as 0
        ids = np.column_stack([grams.first, ids[grams.suffix]])
        logs = np.minimum(_log10(probs[keep]), np.float32(0))
        orders.append(NGrams(number[ids[keep]], logs, _log10(backoff[keep])))
    return tuple(orders)


def _context_weights(
    context: Ints, numbers: Ints, discount: Floats, keep: Flags, contexts: int
) -> tuple[Floats, Floats]:
    """The back-off weight gamma and the sum of adjusted counts of each context; 1 and 1 where nothing follows it."""
    total = np.bincount(context, weights=numbers, minlength=contexts).astype(np.float32)
    mass = np.zeros(contexts, dtype=np.float32)
    for j in (1, 2, 3):
        followers = np.bincount(context[keep & (np.minimum(numbers, 3) == j)], minlength=contexts)
        mass += discount[j] * followers.astype(np.float32)
    mass += np.bincount(context[~keep], weights=numbers[~keep], minlength=contexts).astype(np.float32)
    ends = total == 0
    mass[ends] = total[ends] = 1
    return mass / total, total


def _log10(values: Floats) -> Floats:
    """Log10 by the C library, called once for each different value."""
    different, inverse = np.unique(values, return_inverse=True)
    logs = np.fromiter(map(_log10f, different.tolist()), dtype=np.float32, count=len(different))
    return logs[inverse]
