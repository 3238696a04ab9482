"""ARPA files: back-off n-gram models as text, in the bytes that lmplz writes."""

import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TextIO, cast

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

SPECIAL = ("<unk>", "<s>", "</s>")
RESERVED = frozenset((*SPECIAL, "<UNK>"))  # lmplz takes <UNK> for a word, but KenLM reads it back as <unk>


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
        """Write an ARPA file in UTF-8, compressed if its name ends in ``.gz``.

        It is written beside its place and then renamed: there is never half a model at ``path``.
        """
        beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with beside.open("wb") as file:
                if path.suffix == ".gz":
                    with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                        self.print(cast(IO[bytes], packed))
                else:
                    self.print(file)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    def print(self, file: IO[bytes]) -> None:
        """Write the model to an open file in the ARPA format."""
        out = TextIOWrapper(file, encoding="utf-8", newline="\n")
        self._print(out)
        out.flush()
        out.detach()

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


def _shortest(values: Floats) -> Iterator[str]:
    """The fewest digits that read back as the same float32, in the notation of KenLM's number writer."""
    different, inverse = np.unique(values, return_inverse=True)
    texts = [_digits(value) for value in different]
    return map(texts.__getitem__, inverse.tolist())


def _digits(value: np.float32) -> str:
    if value != 0 and abs(value) < np.float32(1e-6):
        return np.format_float_scientific(value, trim="-", exp_digits=1)
    return np.format_float_positional(value, trim="-")
