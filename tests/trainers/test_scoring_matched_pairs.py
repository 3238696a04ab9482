import random
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.errors import ScoringError
from tests.trainers.nist import GOLDENS, needs_sclite, sgml
from tests.trainers.nist import matched_pairs as printed_pairs
from trainers.scoring.alignment import align
from trainers.scoring.matched_pairs import matched_pairs, segment_errors
from trainers.scoring.scorer import find_scorer
from trainers.scoring.transcripts import read_trn, write_trn

words = st.lists(st.sampled_from("abc"), max_size=8)
triples = st.lists(st.tuples(words, words, words), min_size=1, max_size=10)


def aligned(references, hypotheses):
    return [align(said.split(), heard.split()) for said, heard in zip(references, hypotheses, strict=True)]


def printed(found):
    return str(found.segments), f"{found.mean:.3f}", f"{found.deviation:.3f}", f"{found.z:.3f}"


def segments(reference, first, second):
    (one,), (other,) = aligned([reference], [first]), aligned([reference], [second])
    return list(segment_errors(one, other))


def test_segments_mean_deviation_and_z_are_those_that_sc_stats_prints():
    scorer = find_scorer("sclite-1/fold-1")
    references = read_trn(GOLDENS / "ref.trn")
    expected = printed_pairs((GOLDENS / "sc_stats.mapsswe.txt").read_text())
    assert len(expected) == 3
    for (one, other), numbers in expected.items():
        systems = [read_trn(GOLDENS / f"{name}.trn") for name in (one, other)]
        found = matched_pairs(*([scorer.align(references[key], text[key]) for key in references] for text in systems))
        assert printed(found) == numbers
    assert expected["word_seed3", "char"][-1] == "-2.478"


@pytest.mark.sclite
@needs_sclite
def test_random_systems_are_compared_as_sc_stats_compares_them(tmp_path):
    rng = random.Random(3)

    def changed(text):
        found = []
        for word in text.split():
            found += rng.choices([[word], [rng.choice("abcdef")], [], [word, rng.choice("abcdef")]], [8, 1, 1, 1])[0]
        return " ".join(found)

    references = {f"s-{index}": " ".join(rng.choices("abcdef", k=rng.randint(1, 12))) for index in range(60)}
    systems = [{name: changed(text) for name, text in references.items()} for _ in range(4)]
    for name, texts in zip(["ref", *"wxyz"], [references, *systems], strict=True):
        write_trn(tmp_path / name, texts)
    piped = "".join(sgml(tmp_path, "ref", name, name) for name in "wxyz")
    command = ["sctk", "sc_stats", "-p", "-t", "mapsswe", "-v", "-n", "-"]
    # the table behind the results holds bytes of no text where titles are short
    theirs = subprocess.run(command, input=piped.encode(), capture_output=True, check=False).stdout
    expected = printed_pairs(theirs.decode(errors="replace"))
    assert len(expected) == 6
    for (one, other), numbers in expected.items():
        pair = (systems["wxyz".index(name)] for name in (one, other))
        found = matched_pairs(*(aligned(references.values(), texts.values()) for texts in pair))
        assert printed(found) == numbers


@given(triples)
def test_swapping_two_systems_changes_the_sign_and_nothing_else(rows):
    references, first, second = (list(map(" ".join, column)) for column in zip(*rows, strict=True))
    there = matched_pairs(aligned(references, first), aligned(references, second))
    back = matched_pairs(aligned(references, second), aligned(references, first))
    assert (back.segments, back.p) == (there.segments, pytest.approx(there.p))
    assert (back.mean, back.z) == (pytest.approx(-there.mean), pytest.approx(-there.z))


@given(triples)
def test_segments_hold_every_error_once(rows):
    for reference, first, second in rows:
        one, other = align(reference, first), align(reference, second)
        found = list(segment_errors(one, other))
        for side, steps in enumerate((one, other)):
            assert sum(errors[side] for errors in found) == sum(step.kind.value != "C" for step in steps)
        assert all(sum(errors) for errors in found)


def test_two_words_that_both_have_right_end_a_segment():
    assert segments("a b c d e", "x b c d x", "a b c d e") == [(1, 0), (1, 0)]
    assert segments("a b c", "x b x", "a b c") == [(2, 0)]
    assert segments("a b c d", "x b c d", "a b c x") == [(1, 0), (0, 1)]
    assert segments("a b c d", "x b c d", "a b x d") == [(1, 1)]
    assert segments("a b", "a b x", "a b") == [(1, 0)]
    assert segments("a b", "a b", "a b") == []
    assert segments("", "x", "") == [(1, 0)]


def test_systems_that_make_the_same_errors_do_not_differ():
    texts = ["a b c d", "b a"]
    heard = aligned(texts, ["a x c d", "b"])
    assert matched_pairs(heard, heard).p == 1
    assert matched_pairs(aligned(texts, texts), aligned(texts, texts)).segments == 0


def test_alignments_with_other_references_are_refused():
    with pytest.raises(ScoringError, match="references of these alignments differ"):
        matched_pairs(aligned(["a b"], ["a b"]), aligned(["a c"], ["a c"]))
    with pytest.raises(ValueError, match="shorter"):
        matched_pairs(aligned(["a", "b"], ["a", "b"]), aligned(["a"], ["a"]))
