"""Hypotheses from anywhere, scored and compared from the command line; NIST's tools say what the figures should be."""

import json
import random
import re
import subprocess

import pytest
from rich.cells import cell_len

from orchestrator.report.error_analysis import Aligned
from orchestrator.scoring.display import aligned
from orchestrator.scoring.references import read_references
from search_spaces.scorers import DEFAULT
from tests.trainers.nist import GOLDENS, SYSTEMS, golden_counts, needs_sclite
from tests.trainers.nist import matched_pairs as printed_pairs
from trainers.artifacts import Score
from trainers.scoring.alignment import align
from trainers.scoring.bootstrap import bootstrap_difference, bootstrap_rate
from trainers.scoring.multiplicity import holm
from trainers.scoring.scorer import find_scorer
from trainers.scoring.transcripts import Segment, TimedWord, read_trn, write_ctm, write_stm, write_trn

SCLITE = ("--scorer", "sclite-1/fold-1")
REFERENCE = GOLDENS / "ref.trn"


def of(system):
    return GOLDENS / f"{system}.trn"


@pytest.fixture
def call(home, tmp_path, call, monkeypatch):
    """Run a command in an empty folder of 80 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return call


@pytest.fixture
def scored(call):
    """What ``score --json`` prints."""

    def score(*words):
        status, said = call("score", *words, "--json")
        assert status == 0, said.err
        return json.loads(said.out)

    return score


def triple(system):
    return system["substitutions"], system["deletions"], system["insertions"]


def pooled(system):
    return tuple(map(sum, zip(*golden_counts(system).values(), strict=True)))


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_set_has_the_counts_that_sclite_prints(call, scored, system):
    found = scored(REFERENCE, of(system), *SCLITE)
    assert (found["utterances"], found["scorer"]) == (127, "sclite-1/fold-1")
    (one,) = found["systems"]
    assert (triple(one), one["words"], one["errors"]) == (pooled(system), 710, sum(pooled(system)))
    assert one["wer"] == pytest.approx(100 * sum(pooled(system)) / 710)
    said = call("score", REFERENCE, of(system), *SCLITE)[1].out
    substituted, deleted, inserted = pooled(system)
    assert f"{one['errors']} errors in 710 words, 127 utterances" in said
    assert f"{substituted} substituted, {deleted} deleted, {inserted} inserted" in said
    assert f"WER {one['wer']:.1f} % (95 % interval {one['wer_low']:.1f} to {one['wer_high']:.1f})" in said


def test_words_with_times_have_the_counts_that_sclite_prints(scored):
    (one,) = scored(GOLDENS / "times.stm", GOLDENS / "times.ctm", *SCLITE)["systems"]
    assert triple(one) == pooled("times")
    assert one["words"] == 171


@pytest.mark.sclite
@needs_sclite
def test_words_with_times_and_several_wordings_count_as_sclite_counts_them(scored, tmp_path):
    rng = random.Random(5)
    wordings = ["a", "b", "(c)", "{ a / @ }", "{ b c / d }"]
    segments = [
        Segment(f"r{number // 20}", "A", "ann", number % 20, number % 20 + 0.9, " ".join(rng.choices(wordings, k=3)))
        for number in range(100)
    ]
    words = [TimedWord(f"r{number // 60}", "A", number % 60 / 3, 0.3, rng.choice("abcd")) for number in range(300)]
    segments = [one for one in segments if one.text.count("@") < 2]  # sclite's rounding breaks ties of several
    write_stm(tmp_path / "said.stm", segments)
    write_ctm(tmp_path / "heard.ctm", words)
    command = "sctk sclite -D -r said.stm stm -h heard.ctm ctm x -o rsum stdout -f 0".split()
    theirs = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    line = next(line for line in theirs.splitlines() if "Sum" in line)
    (one,) = scored("said.stm", "heard.ctm", "--scorer", "sclite_optional-1/fold-1")["systems"]
    assert [*triple(one), one["errors"]] == [int(number) for number in re.findall(r"\d+", line)][3:7]


def test_several_systems_are_compared_with_the_first_as_the_leaderboard_compares(call, scored):
    order = ("char", "word_seed3", "word_seed2")
    found = scored(REFERENCE, *map(of, order), *SCLITE)["systems"]
    assert [one["system"] for one in found] == list(order)
    expected = printed_pairs((GOLDENS / "sc_stats.mapsswe.txt").read_text())
    for one in found[1:]:
        assert f"{one['z_matched_pairs']:.3f}" == expected[one["system"], "char"][-1]
    assert f"{found[1]['z_matched_pairs']:.3f}" == "-2.478"
    references, scorer = read_trn(REFERENCE), find_scorer(SCLITE[1])
    errors, words = {}, []
    for system in order:
        texts = read_trn(of(system))
        scores = [scorer.score(text, texts[name]) for name, text in references.items()]
        errors[system], words = [score.errors for score in scores], [score.words for score in scores]
    differences = [bootstrap_difference(errors[system], errors["char"], words) for system in order[1:]]
    assert [one["p_adjusted"] for one in found[1:]] == holm([one.p for one in differences])
    assert [one["difference_low"] for one in found[1:]] == [one.low for one in differences]
    assert [one["verdict"] for one in found] == ["baseline", "better", "better"]
    status, said = call("score", REFERENCE, *map(of, order), *SCLITE)
    assert status == 0
    lines = said.out.splitlines()
    assert max(map(len, lines)) <= 80
    (row,) = [line for line in lines if line.split()[:1] == ["word_seed3"] and "±" in line]
    assert "-4.2" in row
    assert "-2.48" in row
    low, high = (-found[1][f"difference_{end}"] for end in ("high", "low"))
    assert f"word_seed3 is better than char: WER 4.2 points lower ({low:.1f} to {high:.1f})" in said.out
    worse = call("score", REFERENCE, *map(of, order[1::-1]), *SCLITE)[1].out
    assert f"char is worse than word_seed3: WER 4.2 points higher ({low:.1f} to {high:.1f})" in worse


def test_long_paths_are_shown_whole(call, tmp_path):
    paths = [tmp_path / folder / "hyp[beam].trn" for folder in ("kaldi_chain_tdnnf_seed_one", "transducer")]
    for path in paths:
        path.parent.mkdir()
        path.write_text(of("char").read_text(encoding="utf-8"), encoding="utf-8")
    said = call("score", REFERENCE, *(path.relative_to(tmp_path) for path in paths))[1].out
    rows = said.split("percent and points")[0].splitlines()[1:]
    cells = "".join(row.split()[0] for row in rows if row.startswith(" ") and row.strip())
    assert cells == "kaldi_chain_tdnnf_seed_one/hyp[beam].trntransducer/hyp[beam].trn"
    assert max(map(len, said.splitlines())) <= 80


def test_a_tie_says_what_the_set_can_show(call, scored):
    tie = scored(REFERENCE, of("word_seed2"), of("word_seed3"))["systems"][1]
    assert tie["verdict"] == "tie"
    said = " ".join(call("score", REFERENCE, of("word_seed2"), of("word_seed3"))[1].out.split())
    assert f"these 710 words find one of {tie['detectable']:.1f} points in 80 of 100 cases" in said


def test_without_a_name_the_scorer_is_that_of_records(scored):
    assert scored(REFERENCE, of("char"))["scorer"] == DEFAULT


def test_characters_have_a_rate_of_their_own_name(call, scored):
    name = "levenshtein-1/characters"
    references, texts = read_trn(REFERENCE), read_trn(of("char"))
    expected = find_scorer(name).score_set(references.values(), texts.values())
    (one,) = scored(REFERENCE, of("char"), "--scorer", name)["systems"]
    assert (*triple(one), one["words"]) == (
        expected.substitutions,
        expected.deletions,
        expected.insertions,
        expected.words,
    )
    said = call("score", REFERENCE, of("char"), "--scorer", name)[1].out
    assert said.startswith("CER ")
    assert f"errors in {expected.words} characters" in said


def test_speakers_are_drawn_together(scored):
    (plain,) = scored(REFERENCE, of("char"))["systems"]
    (whole,) = scored(REFERENCE, of("char"), "--speakers")["systems"]
    references, texts = read_trn(REFERENCE), read_trn(of("char"))
    scores = [find_scorer(DEFAULT).score(text, texts[name]) for name, text in references.items()]
    errors, words = [one.errors for one in scores], [one.words for one in scores]
    expected = bootstrap_rate(errors, words, [name.split("-")[0] for name in references])
    assert (whole["wer_low"], whole["wer_high"]) == (expected.low, expected.high)
    assert whole["wer_high"] - whole["wer_low"] > plain["wer_high"] - plain["wer_low"]
    order = ("char", "word_seed3", "word_seed2")
    verdicts = [one["verdict"] for one in scored(REFERENCE, *map(of, order), "--speakers", *SCLITE)["systems"]]
    assert verdicts == ["baseline", "tie", "tie"]  # both are better where utterances are drawn


@pytest.mark.parametrize(("name", "speaker"), [("a_b-1", "a_b"), ("a-b_1", "a"), ("a_1", "a"), ("a-b-1", "a")])
def test_the_speaker_of_an_id_is_the_one_that_sclite_takes(tmp_path, name, speaker):
    write_trn(tmp_path / "said.trn", {name: "GO"})
    assert read_references(tmp_path / "said.trn").speakers == {name: speaker}


def test_speakers_are_those_of_the_set_or_of_the_segments(scored, tmp_path, write_features):
    said = ["GO", "STOP", "YES", "NO"] * 6
    manifest = write_features(tmp_path / "set.jsonl", said)  # two speakers by turns
    write_trn(tmp_path / "heard.trn", {f"features/set_{number}": "GO" for number in range(24)})
    (one,) = scored(manifest, "heard.trn", "--speakers")["systems"]
    assert (one["wer_low"], one["wer_high"]) == (50.0, 100.0)  # one says GO or YES, the other STOP or NO
    segments = [Segment("r", "1", ("ann", "ben")[number % 2], number, number + 1, said[number]) for number in range(24)]
    write_stm(tmp_path / "said.stm", segments)
    write_ctm(tmp_path / "heard.ctm", [TimedWord("r", "1", number, 0.5, "GO") for number in range(24)])
    (same,) = scored("said.stm", "heard.ctm", "--speakers")["systems"]
    assert (same["wer_low"], same["wer_high"], same["errors"]) == (50.0, 100.0, one["errors"])


def test_the_worst_utterances_are_shown_word_by_word(call, scored, tmp_path):
    write_trn(tmp_path / "said.trn", {"a-1": "GO ON", "a-2": "STOP NOW PLEASE", "a-3": "YES"})
    write_trn(tmp_path / "heard.trn", {"a-1": "GO UP ON", "a-2": "STOP LATER", "a-3": "YES"})
    (one,) = scored("said.trn", "heard.trn", "--worst", 5)["systems"]
    assert [each["id"] for each in one["worst"]] == ["a-2", "a-1"]
    assert one["worst"][1]["steps"] == [["C", "GO", "GO"], ["I", "", "UP"], ["C", "ON", "ON"]]
    said = call("score", "said.trn", "heard.trn", "--worst", 1)[1].out
    block = ["a-2, speaker a: 2 errors, 3 words", "  STOP NOW PLEASE", "  STOP *   LATER", "       D   S"]
    assert said.split("\n\n")[1].rstrip("\n").split("\n") == block


def test_long_alignments_fit_the_terminal_whatever_the_script():
    said, heard = ["ありがとう", "go", "für"] * 30, ["ありが", "go"] * 40
    steps = align(said, heard)
    lines = aligned(Aligned("a", "", 1, 1, steps)).splitlines()[1:]
    assert max(map(cell_len, lines)) <= 80
    shown = [line.split() for line in lines]
    assert [word for words in shown[::3] for word in words if word != "*"] == said
    assert [word for words in shown[1::3] for word in words if word != "*"] == heard


def test_wordings_that_systems_fit_differently_leave_the_bootstrap_and_take_the_matched_pairs_test(
    call, scored, tmp_path
):
    write_trn(tmp_path / "said.trn", {f"a-{number}": "x { a / b c } y" for number in range(20)})
    write_trn(tmp_path / "one.trn", {f"a-{number}": "x a z" for number in range(20)})
    write_trn(tmp_path / "two.trn", {f"a-{number}": "x b c z" for number in range(20)})
    one, two = scored("said.trn", "one.trn", "two.trn", "--scorer", "sclite-1")["systems"]
    assert (one["words"], two["words"]) == (60, 80)
    assert two["difference"] == pytest.approx(100 / 4 - 100 / 3)
    assert two["z_matched_pairs"] is None
    said = " ".join(call("score", "said.trn", "one.trn", "two.trn", "--scorer", "sclite-1")[1].out.split())
    assert "two has no matched pairs test" in said


def test_few_utterances_have_a_rate_and_no_verdict(call, scored, tmp_path):
    write_trn(tmp_path / "said.trn", {"a-1": "GO ON"})
    for name in ("one", "two"):
        write_trn(tmp_path / f"{name}.trn", {"a-1": "GO"})
    (one,) = scored("said.trn", "one.trn")["systems"]
    assert (one["wer"], one["wer_low"]) == (50.0, None)
    assert "WER 50.0 % (no interval" in call("score", "said.trn", "one.trn")[1].out
    assert scored("said.trn", "one.trn", "two.trn")["systems"][1]["verdict"] == "not tested"
    assert "two is not tested: too few utterances" in call("score", "said.trn", "one.trn", "two.trn")[1].out


def test_kaldis_text_is_read_and_files_of_one_name_are_told_apart(scored, tmp_path):
    texts = {name: text for name, text in read_trn(of("char")).items()}
    for folder, mark in (("tab", "\t"), ("space", " ")):
        (tmp_path / folder).mkdir()
        lines = [f"{name}{mark}{text}\n" for name, text in reversed(texts.items())]
        (tmp_path / folder / "text").write_text("".join(lines), encoding="utf-8")
    one, other = scored(REFERENCE, "tab/text", "space/text", *SCLITE)["systems"]
    assert triple(one) == triple(other) == pooled("char")
    assert (one["system"], other["system"]) == ("tab/text", "space/text")


@pytest.mark.parametrize(
    ("said", "heard", "words", "warning"),
    [
        ("GO { ON / UP } (a-1)\n", "GO UP (a-1)\n", (), "line 1 of said.trn holds wordings in braces"),
        (
            "GO ON (a-1)\n",
            "go on (a-1)\n",
            (),
            "2 of the 2 errors of heard are of case alone; --scorer levenshtein-1/fold-1",
        ),
        ("GO ON (a-1)\n", "go on (a-1)\n", ("--scorer", "sclite-1/nfc-1"), "--scorer sclite-1/nfc-1+fold-1"),
    ],
)
def test_what_makes_a_figure_doubtful_is_said_aloud(call, tmp_path, said, heard, words, warning):
    (tmp_path / "said.trn").write_text(said, encoding="utf-8")
    (tmp_path / "heard.trn").write_text(heard, encoding="utf-8")
    status, printed = call("score", "said.trn", "heard.trn", *words)
    assert status == 0
    assert re.match(f"warning: .*{re.escape(warning)}", printed.err)
    assert "warning" not in call("score", "said.trn", "heard.trn", "--scorer", "sclite-1/fold-1")[1].err


def test_a_recording_without_a_word_is_said_aloud_and_counts_as_deleted(call, scored, tmp_path):
    write_stm(tmp_path / "said.stm", [Segment(name, "1", "s", 0, 2, "GO ON") for name in ("q", "r")])
    write_ctm(tmp_path / "heard.ctm", [TimedWord("q", "1", 0, 0.5, "GO"), TimedWord("q", "1", 1, 0.5, "ON")])
    (one,) = scored("said.stm", "heard.ctm")["systems"]
    assert triple(one) == (0, 2, 0)
    said = call("score", "said.stm", "heard.ctm")[1].err
    assert "has no word of 1 of the 2 recordings with their channels, all of whose words count as deleted: r 1" in said


BAD = {
    "an unknown scorer": ({}, ("--scorer", "sclite"), "there are levenshtein-1, sclite-1, sclite_optional-1"),
    "an unknown normaliser": ({}, ("--scorer", "sclite-1/lower"), "there are fold-1, nfc-1"),
    "no such reference": ({"said.trn": None}, (), "said.trn: 1 mistake\n  cannot be read"),
    "no such hypothesis": ({"heard.trn": None}, (), "heard.trn: 1 mistake\n  cannot be read"),
    "utterances without a hypothesis": (
        {"said.trn": "A (a-1)\nB (a-2)\nC (a-3)\n"},
        (),
        "heard.trn and said.trn are not of the same utterances:\n  2 of 3 references have no hypothesis: a-2, a-3",
    ),
    "hypotheses without a reference": (
        {"heard.trn": "A (a-1)\nB (b-1)\n"},
        (),
        "1 of 2 hypotheses have no reference: b-1",
    ),
    "no trn": ({"heard.trn": "A (a-1)\nB\n"}, (), "heard.trn: 1 mistake\n  line 2: does not end with an utterance id"),
    "an empty reference": (
        {"said.trn": "\n;; nothing\n"},
        (),
        "said.trn: 1 mistake\n  holds no utterance that is scored",
    ),
    "an empty hypothesis": ({"heard.trn": ""}, (), "heard.trn: 1 mistake\n  holds no hypothesis"),
    "a wording that is not closed": (
        {"said.trn": "A (a-0)\nA { B / C (a-1)\n"},
        ("--scorer", "sclite-1"),
        "said.trn: 1 mistake\n  line 2: cannot be scored by sclite-1: a brace is opened and not closed",
    ),
    "references without a word": ({"said.trn": "(a-1)\n"}, (), "the references hold no word"),
    "an id that comes twice": ({"heard.trn": "A (a-1)\nB (a-1)\n"}, (), "line 2: names a-1 again, first on line 1"),
    "speakers that are not known": (
        {"said.trn": "A (a1)\n", "heard.trn": "A (a1)\n"},
        ("--speakers",),
        "does not name that of 1 of 1, a1 for one",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_scored_is_refused_in_words(call, tmp_path, name):
    files, words, message = BAD[name]
    for file, content in ({"said.trn": "A (a-1)\n", "heard.trn": "A (a-1)\n"} | files).items():
        if content is not None:
            (tmp_path / file).write_text(content, encoding="utf-8")
    status, said = call("score", "said.trn", "heard.trn", *words)
    assert status == 2
    assert message in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


STM = "r 1 s 0 2 <o> A B\n"
CTM = "r 1 0.0 0.5 A\n"
FORMS = {
    "no stm": ({"said.stm": STM + "r 1 s 0\n", "heard.ctm": CTM}, "said.stm: 1 mistake\n  line 2: has fewer than"),
    "a segment that comes twice": ({"said.stm": STM + STM, "heard.ctm": CTM}, "line 2: names r 1 s 0.0-2.0 again"),
    "nothing scored": (
        {"said.stm": "r 1 s 0 2 IGNORE_TIME_SEGMENT_IN_SCORING\n", "heard.ctm": CTM},
        "holds no utterance that is scored",
    ),
    "a wrong wording in stm": (
        {"said.stm": ";;\nr 1 s 0 2 <o> A / B\n", "heard.ctm": CTM},
        "said.stm: 1 mistake\n  line 2: cannot be scored by sclite-1: reference 'A / B': / stands outside of braces",
    ),
    "no ctm": ({"said.stm": STM, "heard.ctm": CTM + "r 1 x 0.5 A\n"}, "heard.ctm: 1 mistake\n  line 2: begin 'x'"),
    "an empty ctm": ({"said.stm": STM, "heard.ctm": ""}, "heard.ctm: 1 mistake\n  holds no word"),
    "another recording": (
        {"said.stm": STM, "heard.ctm": "q 1 0 1 A\nr 2 0 1 A\nr 1 0 1 A\n"},
        "2 of 3 recordings with their channels are not in said.stm: q 1, r 2; it has r 1",
    ),
    "ctm without times to compare with": (
        {"said.trn": "A (a-1)\n", "heard.ctm": CTM},
        "said.trn does not say when its utterances were; give an .stm file",
    ),
    "stm without times in the hypothesis": (
        {"said.stm": STM, "heard.trn": "A (a-1)\n"},
        "segments of said.stm have times and no ids, so that a hypothesis has to be a .ctm file",
    ),
    "no JSON": ({"said.trn": "A (a-1)\n", "heard.jsonl": "{"}, "heard.jsonl: 1 mistake\n  line 1: is not JSON"),
    "another JSON": (
        {"said.trn": "A (a-1)\n", "heard.jsonl": '{"id": "a-1", "hypothesis": "A"}\n'},
        "line 1: is no object with id and text",
    ),
    "an id twice in text": ({"said.trn": "A (a-1)\n", "heard": "a-1\tA\na-1\tB\n"}, "line 2: names a-1 again"),
    "no set": ({"said.txt": "a-1 A\n", "heard": "a-1\tA\n"}, "said.txt: 1 mistake\n  is of no format that can be read"),
}


@pytest.mark.parametrize("name", FORMS)
def test_files_that_do_not_fit_their_form_or_one_another_are_refused_in_words(call, tmp_path, name):
    files, message = FORMS[name]
    for file, content in files.items():
        (tmp_path / file).write_text(content, encoding="utf-8")
    status, said = call("score", *files, "--scorer", "sclite-1")
    assert status == 2
    assert message in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_a_system_is_not_compared_with_itself(call):
    status, said = call("score", REFERENCE, of("char"), of("char"))
    assert status == 2
    assert "char.trn is given twice" in said.err


def test_references_that_may_be_a_test_set_are_scored_and_it_is_said(call, tiny_campaign, tmp_path, write_features):
    sentences = ["GO STOP", "YES NO NO"]
    test = write_features(tmp_path / "held_out/test.jsonl", sentences)
    tiny_campaign.rewrite("}\nunits", f", test: {test}}}\nunits")
    write_trn(tmp_path / "said.trn", {f"a-{number}": text for number, text in enumerate(sentences)})
    status, said = call("score", "said.trn", "said.trn")
    assert status == 0
    assert "every sentence of the test set of campaign tiny is among the references" in said.err
    write_trn(tmp_path / "other.trn", {"a-0": sentences[0]})
    assert "campaign tiny" not in call("score", "other.trn", "other.trn")[1].err


def test_perfect_hypotheses_have_no_errors_to_show(call, scored):
    (one,) = scored(REFERENCE, REFERENCE, "--worst", 3)["systems"]
    assert (Score(*triple(one)).errors, one["wer"], one["worst"]) == (0, 0.0, [])
    assert one["wer_high"] is None
    said = call("score", REFERENCE, REFERENCE, "--worst", 3)[1].out
    assert said.startswith("WER 0.0 % (no interval: nothing is wrong)")
    assert said.count("\n") == 3


def test_the_readme_shows_what_is_printed(call, root, monkeypatch):
    readme = (root / "README.md").read_text(encoding="utf-8")
    words, shown = re.search(r"orchestrator (score ref\.trn .*?)\n```\n.*?```\n(.*?)```", readme, re.DOTALL).groups()
    monkeypatch.chdir(GOLDENS)
    printed = call(*words.split())[1].out
    assert [line.rstrip() for line in printed.splitlines()] == shown.splitlines()
