"""What a system gets wrong, counted in several ways."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.report.error_analysis import analyse
from trainers.outcomes import UtteranceErrors
from trainers.scoring.alignment import Kind
from trainers.scoring.scorer import Scorer, find_scorer


def heard(pairs, scorer):
    scores = [scorer.score(*pair) for pair in pairs]
    ids = tuple(f"u{number}" for number in range(len(pairs)))
    errors, words = ([getattr(score, what) for score in scores] for what in ("errors", "words"))
    return UtteranceErrors(ids, np.array(errors, np.int64), np.array(words, np.int64), tuple(pairs))


texts = st.lists(st.sampled_from("abcd"), max_size=6).map(" ".join)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=12), st.sampled_from(["levenshtein-1", "sclite-1"]))
def test_every_utterance_is_in_one_group_and_every_error_in_one_list(pairs, name):
    scorer = find_scorer(name)
    errors = heard(pairs, scorer)
    speakers = {name: "ab"[number % 2] for number, name in enumerate(errors.ids)}
    found = analyse(errors, scorer, speakers)
    for groups in (found.lengths, found.speakers):
        assert sum(group.utterances for group in groups) == len(pairs)
        assert sum(group.words for group in groups) == errors.words.sum()
        assert sum(group.errors for group in groups) == found.counted == errors.errors.sum()
    assert sum(times for *_, times in found.deletions) == found.aligned.deletions
    assert sum(times for *_, times in found.insertions) == found.aligned.insertions
    assert sum(times for *_, times in found.substitutions) == found.aligned.substitutions
    assert found.aligned.errors >= found.counted
    assert found.aligned.words == errors.words.sum()
    if name == "sclite-1":
        assert found.aligned.errors == found.counted
    worst = [one.errors for one in found.worst]
    assert worst == sorted(errors.errors[errors.errors > 0], reverse=True)[:10]
    for one in found.worst:
        reference, hypothesis = pairs[errors.ids.index(one.id)]
        assert [step.reference for step in one.steps if step.kind is not Kind.INSERTION] == reference.split()
        assert [step.hypothesis for step in one.steps if step.kind is not Kind.DELETION] == hypothesis.split()


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200))
def test_lengths_are_grouped_with_words_enough_in_each_group_but_for_a_short_set(lengths):
    words = " ".join("a" for _ in range(30)).split()
    errors = heard([(" ".join(words[:length]), "") for length in lengths], Scorer())
    groups = analyse(errors, Scorer(), {}).lengths
    ends = [tuple(map(int, group.name.split(" to "))) for group in groups]
    assert [end for pair in ends for end in pair] == sorted(end for pair in ends for end in pair)
    assert len(groups) <= 7
    if len(groups) > 1:
        assert min(group.words for group in groups) >= 25
        assert all(group.words >= 50 for group in groups[:-1])


def test_the_most_frequent_come_first_and_of_many_speakers_the_worst_are_shown():
    pairs = [("one two", "one too")] * 3 + [("one", "won")] + [("one two", "one")] * 2 + [("one", "one two three")]
    found = analyse(heard(pairs, Scorer()), Scorer(), {})
    assert found.substitutions == [("two", "too", 3), ("one", "won", 1)]
    assert found.deletions == [("two", 2)]
    assert found.insertions == [("three", 1), ("two", 1)]
    assert found.speakers == []
    many = heard([("a b c d", "a b c d"), ("a b", "a x")] * 40, Scorer())
    found = analyse(many, Scorer(), {name: f"s{number:02}" for number, name in enumerate(many.ids)})
    assert [group.name for group in found.speakers] == [f"s{number:02}" for number in range(1, 61, 2)]
    assert found.speakers_left_out == 50
    assert all(group.rate is None for group in found.speakers), "of one utterance there is no interval"


def test_more_errors_by_alignment_than_by_distance_are_told_apart():
    errors = heard([("a b c d e", "d e x y z")], Scorer())
    found = analyse(errors, Scorer(), {})
    assert (found.counted, found.aligned.errors) == (5, 6)
