from collections import Counter

import numpy as np
import pytest

from search_spaces.axes.features import FeatureSettings
from search_spaces.errors import DataError
from trainers.data.labels import Alphabet, frames_needed
from trainers.data.sets import encode_targets, load_set, unseen_words

STORED = FeatureSettings(kind="stored")


@pytest.fixture
def load(store, tmp_path, write_manifest):
    """A set with these texts, 20 frames of features each."""

    def loader(*texts):
        entries = []
        for number, text in enumerate(texts):
            np.save(tmp_path / f"{number}.npy", np.ones((20, 2)))
            entries.append({"feature_filepath": f"{number}.npy", "text": text})
        return load_set(store, write_manifest(tmp_path / "set.jsonl", entries), STORED)

    return loader


def halved(lengths):
    return lengths // 2


def test_targets_are_the_labels_of_the_texts_in_the_order_of_the_set(load):
    data = load("GO ON", "NO")
    alphabet = Alphabet.of("char", data.references)
    targets = encode_targets(data, alphabet, halved)
    assert [alphabet.text(labels) for labels in targets] == ["GO ON", "NO"]
    assert all(labels.dtype == np.int64 for labels in targets)
    assert len(data) == 2


def test_a_transcript_that_needs_more_frames_than_the_network_leaves_is_refused_with_its_line(load):
    data = load("NOON", "GOOD GOOD GO")
    alphabet = Alphabet.of("char", data.references)
    assert frames_needed(alphabet.encode("GOOD GOOD GO")) == 14
    assert len(encode_targets(data, alphabet, lambda lengths: lengths - 6)) == 2
    with pytest.raises(DataError, match=r"line 2: text: needs 14 frames and the network leaves 13 of 1; shorten"):
        encode_targets(data, alphabet, lambda lengths: lengths - 7)


def test_words_that_the_alphabet_cannot_write_are_named_with_their_lines(load):
    data = load("GO", "GO NOW PLEASE", "ON")
    with pytest.raises(DataError) as caught:
        encode_targets(data, Alphabet.of("word", ["GO"]), halved)
    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "line 2: text: has no label for: NOW, PLEASE",
        "line 3: text: has no label for: ON",
    ]


def test_a_transcript_with_the_mark_of_a_word_s_start_is_refused(load):
    with pytest.raises(DataError, match="line 2: text: holds '▁'"):
        load("GO", "▁ON")


def test_unseen_words_of_dev_are_counted(load):
    data = load("GO STOP", "STOP NOW")
    assert unseen_words(data, Alphabet.of("word", ["GO"])) == Counter({"STOP": 2, "NOW": 1})
    assert not unseen_words(data, Alphabet.of("char", ["GO STOP NOW"]))
