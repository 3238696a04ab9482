from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.data.labels import Alphabet
from trainers.decoding.greedy import best_path, greedy_text

paths = st.lists(st.integers(0, 3), max_size=12)


def posteriors(path, labels=4):
    """Log-probabilities whose best path is this one."""
    return np.log(np.full((len(path), labels), 0.1, np.float32) + 0.6 * np.eye(labels, dtype=np.float32)[path])


@given(path=paths)
def test_the_best_path_loses_its_repeats_and_then_its_blanks(path):
    assert best_path(posteriors(path)) == [label for label, _ in groupby(path) if label != 0]


@given(path=paths, blank=st.integers(0, 3))
def test_any_column_may_be_the_blank(path, blank):
    assert best_path(posteriors(path), blank) == [label for label, _ in groupby(path) if label != blank]


@pytest.mark.parametrize(
    ("units", "names", "text"),
    [
        ("word", ["", "▁GO", "▁GO", "", "▁GO", "▁ON"], "GO GO ON"),
        ("char", ["O", "O", "N", " ", "", " ", "G", "O", " "], "ON GO"),
        ("mixed", ["▁ON", "▁G", "▁G", "", "O", "", "O"], "ON GOO"),
        ("word", ["", "", ""], ""),
        ("word", [], ""),
    ],
)
def test_the_text_is_what_the_best_path_spells(units, names, text):
    alphabet = {
        "word": Alphabet.of("word", ["GO ON"]),
        "char": Alphabet.of("char", ["GO ON"]),
        "mixed": Alphabet.of("mixed", ["GO"] + ["ON"] * 8),
    }[units]
    path = [alphabet.labels.index(name) for name in names]
    assert greedy_text(posteriors(path, len(alphabet)), alphabet) == text


@given(
    texts=st.lists(st.text("AB", min_size=1, max_size=3), min_size=1, max_size=5),
    units=st.sampled_from(["char", "word", "mixed"]),
)
def test_a_path_that_spells_a_text_gives_the_text(texts, units):
    text = " ".join(texts)
    alphabet = Alphabet.of(units, [text])
    path = [label for spelled in alphabet.encode(text) for label in (spelled, spelled, 0)]
    assert greedy_text(posteriors(path, len(alphabet)), alphabet) == text
