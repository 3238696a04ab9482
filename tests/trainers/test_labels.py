import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from trainers.data.labels import BLANK, WORD_START, Alphabet, frames_needed
from trainers.data.manifest import read_manifest

UNITS = ("char", "marked_char", "word", "mixed")

# letters, an accent, a letter beyond 16 bits, what other decoders take for marks, and punctuation
word = st.text("ABCé𝔘_#<>'-", min_size=1, max_size=4)
sentence = st.lists(word, min_size=1, max_size=5).map(" ".join)
corpus = st.lists(sentence, min_size=1, max_size=6)


@given(units=st.sampled_from(UNITS), texts=corpus, often=st.integers(1, 9))
def test_every_text_of_the_training_set_comes_back_from_its_labels(units, texts, often):
    texts = [*texts, *[texts[0]] * often]
    alphabet = Alphabet.of(units, texts)
    for text in texts:
        labels = alphabet.encode(text)
        assert BLANK not in labels
        assert alphabet.text(labels) == text
        assert alphabet.missing(text) == []


@given(units=st.sampled_from(UNITS), texts=corpus)
def test_an_alphabet_has_no_label_twice_starts_with_the_blank_and_forgets_the_order_of_texts(units, texts):
    alphabet = Alphabet.of(units, texts)
    assert alphabet.labels[BLANK] == ""
    assert "" not in alphabet.labels[1:]
    assert len(set(alphabet.labels)) == len(alphabet)
    assert Alphabet.of(units, texts[::-1]) == alphabet
    used = {label for text in texts for label in alphabet.encode(text)}
    assert used == set(range(1, len(alphabet)))


@given(units=st.sampled_from(UNITS), texts=corpus, other=sentence)
def test_a_text_is_encoded_whole_or_not_at_all_and_what_is_missing_is_named(units, texts, other):
    alphabet = Alphabet.of(units, texts)
    labels = alphabet.encode(other)
    missing = alphabet.missing(other)
    assert set(missing) <= set(other.split())
    if labels is not None:
        assert alphabet.text(labels) == other
        assert not missing
    elif " " in alphabet.labels or " " not in other or units != "char":
        assert missing


@pytest.mark.parametrize(("units", "size"), [("char", 28), ("marked_char", 49), ("word", 98), ("mixed", 84)])
def test_an4_has_alphabets_of_these_sizes(root, units, size):
    alphabet = Alphabet.of(units, [utterance.text for utterance in read_manifest(root / "data/an4/train.jsonl")])
    assert len(alphabet) == size


def test_mixed_units_spell_rare_words_and_keep_frequent_ones_and_single_letters_whole():
    alphabet = Alphabet.of("mixed", ["OFTEN RARE"] + ["OFTEN"] * 7 + ["B ER"])
    names = [[alphabet.labels[label] for label in alphabet.encode(text)] for text in ("OFTEN", "RARE", "B", "BE RE")]
    assert names == [["▁OFTEN"], ["▁R", "A", "R", "E"], ["▁B"], ["▁B", "E", "▁R", "E"]]
    assert alphabet.missing("OFTEN FTEN BER") == ["FTEN"]
    seven = Alphabet.of("mixed", ["OFTEN"] * 7)
    assert seven.labels == ("", "E", "F", "N", "T", "▁O")


def test_characters_include_the_space_and_words_carry_the_mark_of_their_start():
    assert Alphabet.of("char", ["GO ON"]).labels == ("", " ", "G", "N", "O")
    assert Alphabet.of("word", ["GO ON", "GO"]).labels == ("", WORD_START + "GO", WORD_START + "ON")


def test_labels_in_any_order_spell_words_between_single_spaces():
    char = Alphabet.of("char", ["GO ON"])
    assert char.text([1, 2, 4, 1, 1, 0, 3, 1]) == "GO N"
    assert char.text([]) == ""
    mixed = Alphabet.of("mixed", ["AB"])
    assert mixed.labels == ("", "B", "▁A")
    assert mixed.text([1, 1, 2, 0, 1, 2]) == "BB AB A"


@settings(deadline=None)
@given(labels=st.lists(st.integers(1, 3), min_size=1, max_size=6), frames=st.integers(1, 13))
def test_ctc_is_finite_exactly_when_there_are_as_many_frames_as_are_needed(labels, frames):
    log_probs = torch.full((frames, 1, 4), 0.25).log()
    loss = functional.ctc_loss(
        log_probs, torch.tensor([labels]), torch.tensor([frames]), torch.tensor([len(labels)]), reduction="sum"
    )
    assert bool(torch.isfinite(loss)) == (frames >= frames_needed(labels))


@pytest.mark.parametrize("length", [1, 2, 3])
def test_the_frames_needed_are_those_of_the_shortest_path_that_collapses_to_the_labels(length):
    def collapse(path):
        return [label for label, _ in itertools.groupby(path) if label != BLANK]

    for labels in itertools.product([1, 2], repeat=length):
        shortest = next(
            frames
            for frames in itertools.count(1)
            if any(collapse(path) == list(labels) for path in itertools.product([0, 1, 2], repeat=frames))
        )
        assert frames_needed(labels) == shortest
    assert frames_needed(np.array([2, 2, 2])) == 5
