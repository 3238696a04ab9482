import random
import subprocess
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from search_spaces.errors import DataError, ScoringError
from tests.trainers.nist import GOLDENS, counts, golden_counts, needs_sclite
from trainers.scoring.scorer import find_scorer
from trainers.scoring.transcripts import (
    Segment,
    TimedWord,
    fits_trn,
    read_ctm,
    read_stm,
    read_trn,
    read_trn_lines,
    segment_texts,
    write_ctm,
    write_stm,
    write_trn,
)

word = st.text(st.characters(categories=["L", "N", "M"]), min_size=1, max_size=5)
text = st.lists(word, max_size=4).map(" ".join)
name = st.from_regex(r"[a-z0-9]{1,5}-[a-z0-9]{1,5}", fullmatch=True)
milliseconds = st.integers(0, 10**6).map(lambda value: value / 1000)


def written(tmp_path, content):
    path = tmp_path / "file"
    path.write_text(content, encoding="utf-8")
    return path


def said(error):
    return str(error.value)


@given(st.dictionaries(name, text))
def test_texts_come_back_from_trn(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("trn") / "file"
    write_trn(path, texts)
    assert read_trn(path) == texts
    assert list(read_trn(path)) == list(texts)


@given(st.lists(st.builds(TimedWord, name, st.just("A"), milliseconds, milliseconds, word, st.none() | st.just(0.5))))
def test_words_come_back_from_ctm(tmp_path_factory, words):
    path = tmp_path_factory.mktemp("ctm") / "file"
    write_ctm(path, words)
    assert read_ctm(path) == words


@given(st.lists(st.tuples(name, milliseconds, milliseconds, text, st.sampled_from(["", "<o,f0>"]))))
def test_segments_come_back_from_stm(tmp_path_factory, rows):
    segments = [Segment(row[0], "1", "spk", min(row[1:3]), max(row[1:3]), row[3], row[4]) for row in rows]
    path = tmp_path_factory.mktemp("stm") / "file"
    write_stm(path, segments)
    assert read_stm(path) == segments


def test_comments_tabs_no_break_spaces_and_a_byte_order_mark_are_understood(tmp_path):
    content = "\ufeff;; who said what\n\nGO\tON\u00a0NOW  (a-1)\r\n(a-2)\n  ( a-3 )\nX (uh) Y (a-4)\n"
    assert read_trn(written(tmp_path, content)) == {"a-1": "GO ON NOW", "a-2": "", "a-3": "", "a-4": "X (uh) Y"}
    assert read_ctm(written(tmp_path, ";; times\nr\t1\t0.5 0.25\tGO\t0.9\n")) == [
        TimedWord("r", "1", 0.5, 0.25, "GO", 0.9)
    ]
    content = ";; CATEGORY\nr 1 s 0 1.5 <o,f0> GO\tON\nr 1 s 2 3\nr 1 s 4 5 ignore_time_segment_in_scoring\n"
    segments = read_stm(written(tmp_path, content))
    assert [(segment.text, segment.label, segment.ignored) for segment in segments] == [
        ("GO ON", "<o,f0>", False),
        ("", "", False),
        ("ignore_time_segment_in_scoring", "", True),
    ]


def test_characters_stay_as_they_are_written(tmp_path):
    texts = {"a-1": "für", "a-2": "fu\u0308r"}
    write_trn(tmp_path / "file", texts)
    assert read_trn(tmp_path / "file") == texts


@pytest.mark.parametrize(
    ("read", "content", "expected"),
    [
        (read_trn, "GO ON\nGO (a-1\nGO ()\n", ["line 1: does not end", "line 2: does not end", "line 3: does not end"]),
        (read_trn, "GO (a-1)\n;;\nON (a-1)\n", ["line 3: names a-1 again, first on line 1"]),
        (
            read_stm,
            "r 1 s 0\nr 1 s 2 1 GO\nr 1 s x 1 GO\n",
            ["line 1: has fewer", "line 2: ends at 1", "line 3: begin 'x'"],
        ),
        (read_ctm, "r 1 0 1\nr 1 nan 1 GO\n", ["line 1: has not the fields", "line 2: begin 'nan'"]),
        (read_ctm, "r 1 * * <ALT_BEGIN>\n", ["line 1: begins, parts or ends alternatives"]),
        (read_ctm, "r 1 0 1 GO ON now\n", ["line 1: has not the fields"]),
    ],
)
def test_every_line_that_is_wrong_is_named(tmp_path, read, content, expected):
    with pytest.raises(DataError) as error:
        read(written(tmp_path, content))
    assert all(part in said(error) for part in expected)


def test_a_file_that_is_missing_is_an_error_of_the_user(tmp_path):
    for read in (read_trn, read_stm, read_ctm):
        with pytest.raises(DataError, match="cannot be read"):
            read(tmp_path / "nothing")


def test_a_word_belongs_to_the_first_segment_that_ends_behind_its_middle_and_none_is_lost():
    segments = [
        Segment("r", "1", "s", 2, 4, "C D"),
        Segment("r", "1", "s", 0, 2, "A B"),
        Segment("r", "1", "s", 6, 8, "E"),
        Segment("q", "1", "s", 0, 9, ""),
    ]
    words = [
        TimedWord("r", "1", 1.6, 0.7, "B"),
        TimedWord("r", "1", 0.0, 0.5, "A"),
        TimedWord("r", "1", 1.9, 0.2, "ON THE END"),
        TimedWord("r", "1", 1.9, 0.4, "C"),
        TimedWord("r", "1", 4.5, 0.4, "BETWEEN"),
        TimedWord("r", "1", 9.0, 0.4, "BEHIND"),
        TimedWord("r", "2", 0.0, 0.4, "ANOTHER CHANNEL"),
    ]
    assert segment_texts(segments, words) == ["ON THE END C", "A B", "BETWEEN BEHIND", ""]


def errors_by_segment(folder):
    """Substitutions, deletions and insertions of every segment that is scored, by the id that sclite gives it."""
    segments = read_stm(folder / "times.stm")
    scorer, found, seen = find_scorer("sclite-1"), {}, Counter()
    for segment, text in zip(segments, segment_texts(segments, read_ctm(folder / "times.ctm")), strict=True):
        if not segment.ignored:
            score = scorer.score(segment.text, text)
            name = f"{segment.speaker}-{seen[segment.speaker]:03d}"
            found[name] = (score.substitutions, score.deletions, score.insertions)
            seen[segment.speaker] += 1
    return found


def test_words_with_times_count_in_every_segment_as_sclite_counts_them():
    ours = errors_by_segment(GOLDENS)
    assert ours == golden_counts("times")
    assert len(ours) == 54
    assert sum(segment.ignored for segment in read_stm(GOLDENS / "times.stm")) == 6


@pytest.mark.sclite
@needs_sclite
def test_random_words_with_times_count_as_sclite_counts_them(tmp_path):
    rng = random.Random(11)
    command = "sctk sclite -r times.stm stm -h times.ctm ctm x -o pralign stdout -f 0".split()
    for _ in range(10):
        segments, heard, time = [], [], 0
        for _ in range(40):
            begin = time + rng.choice([0, 0, 30, 120])
            time = begin + rng.randint(40, 300)
            said = " ".join(rng.choices("abcdef", k=rng.randint(0, 7)))
            text = rng.choices([said, "IGNORE_TIME_SEGMENT_IN_SCORING"], [7, 1])[0]
            segments.append(Segment("r", "1", rng.choice(["ann", "ben"]), begin / 100, time / 100, text, "<o>"))
        for _ in range(100):
            begin, duration = rng.randint(0, time + 200), rng.randint(5, 60)
            heard.append(TimedWord("r", "1", begin / 100, duration / 100, rng.choice("abcdef")))
        write_stm(tmp_path / "times.stm", segments)
        write_ctm(tmp_path / "times.ctm", sorted(heard, key=lambda word: word.begin))
        theirs = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        assert errors_by_segment(tmp_path) == counts(theirs)


def test_the_lines_of_segments_and_utterances_are_known(tmp_path):
    content = ";; a comment\nGO (a-1)\n\n(a-2)\n"
    assert read_trn_lines(written(tmp_path, content)) == {"a-1": ("GO", 2), "a-2": ("", 4)}
    segments = read_stm(written(tmp_path, ";; a comment\nr 1 s 0 1 GO\n\nr 1 s 1 2\n"))
    assert [segment.line for segment in segments] == [2, 4]


@given(st.text(max_size=6), text)
def test_a_name_that_fits_trn_comes_back_from_it(tmp_path_factory, name, said):
    assume(fits_trn(name))
    path = tmp_path_factory.mktemp("trn") / "file"
    write_trn(path, {name: said})
    assert read_trn(path) == {name: said}


@pytest.mark.parametrize("name", ["", "a b", "a\tb", "a(b", "a)"])
def test_a_name_that_does_not_fit_trn_is_known(name):
    assert not fits_trn(name)


def test_a_golden_ctm_holds_the_words_of_its_trn():
    texts: dict[str, list[str]] = {}
    for found in read_ctm(GOLDENS / "char.ctm"):
        texts.setdefault(found.recording, []).append(found.word)
    spoken = {key.split("-", 1)[1]: value for key, value in read_trn(GOLDENS / "char.trn").items() if value}
    assert {key: " ".join(words) for key, words in texts.items()} == spoken


def test_references_without_a_word_have_no_rate_but_counts(tmp_path):
    references = read_trn(written(tmp_path, "(a-1)\n(a-2)\n"))
    for scorer in ("levenshtein-1", "sclite-1", "levenshtein-1/characters"):
        total = find_scorer(scorer).score_set(references.values(), ["GO", ""])
        assert total.insertions == total.errors > 0
        with pytest.raises(ScoringError, match="no word"):
            _ = total.wer
