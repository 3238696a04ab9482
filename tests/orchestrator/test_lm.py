"""``orchestrator lm`` as a user meets it: the files it writes, what it says of them, and what it refuses."""

import gzip
import io
import sys
from pathlib import Path
from types import SimpleNamespace

import kenlm
import pytest

from orchestrator import cli
from tests.trainers.test_kneser_ney import MODELS, golden, same_log10f

TEXT = "GO STOP\nYES NO\nGO\nNO NO STOP\nYES\n"


@pytest.fixture
def lm(monkeypatch, capsysbinary):
    """Run ``orchestrator lm`` in this process: its status, standard output as bytes, standard error as text."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["orchestrator", "lm", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        said = capsysbinary.readouterr()
        return stop.value.code or 0, said.out, said.err.decode()

    return run


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@same_log10f
@pytest.mark.parametrize(("source", "order", "prune"), MODELS)
def test_the_file_is_lmplz_s_byte_for_byte_and_kenlm_loads_it(lm, tmp_path, source, order, prune):
    out = tmp_path / "lm.arpa"
    options = ["--prune", *prune] if prune else []
    options += ["--discount-fallback"] if "an4" not in str(source) else []
    status, said, err = lm(source, "--order", order, "--out", out, *options)
    assert (status, err) == (0, "")
    assert out.read_bytes() == golden(source, order, prune)
    assert kenlm.Model(str(out)).order == order
    counts = [line.split("=")[1] for line in out.read_text(encoding="utf-8").split("\n") if line.startswith("ngram ")]
    expected = ", ".join(f"{count} {k}-grams" for k, count in enumerate(counts, 1))
    assert said.decode() == f"{out}: order {order}, {expected}\n"


def test_several_texts_packed_or_not_and_standard_input_make_the_model_of_all_of_them(lm, tmp_path, monkeypatch):
    whole, first, second = tmp_path / "whole", tmp_path / "first", tmp_path / "second"
    whole.write_text(TEXT + TEXT + "GO NO\n")
    first.write_text(TEXT)
    second.write_bytes(gzip.compress(TEXT.encode()))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(b"GO NO\n"))))
    assert lm(whole, "--order", 2, "--out", tmp_path / "a", "--discount-fallback")[0] == 0
    assert lm(first, second, "-", "--order", 2, "--out", tmp_path / "b.gz", "--discount-fallback")[0] == 0
    assert gzip.decompress((tmp_path / "b.gz").read_bytes()) == (tmp_path / "a").read_bytes()


def test_a_dash_prints_the_model_alone_on_standard_output(lm, text, tmp_path):
    options = ["--order", "2", "--discount-fallback", "--test", text]
    status, printed, err = lm(text, *options, "--out", "-")
    assert status == 0
    assert lm(text, *options, "--out", tmp_path / "lm.arpa")[0] == 0
    assert printed == (tmp_path / "lm.arpa").read_bytes()
    assert "order 2, 7 1-grams" in err
    assert "perplexity" in err


def test_the_numbers_after_prune_are_its_own_wherever_the_text_stands(lm, text, tmp_path):
    before, after = tmp_path / "a", tmp_path / "b"
    assert lm("--prune", 0, 1, "--order", 3, "--discount-fallback", "--out", before, text)[0] == 0
    assert lm(text, "--out", after, "--order", 3, "--discount-fallback", "--prune", "0,1")[0] == 0
    assert before.read_bytes() == after.read_bytes()
    assert "ngram 3=0" in before.read_text()


def test_words_that_the_model_lacks_are_said_with_a_hint_where_only_the_case_differs(lm, text, tmp_path):
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("GO\nstop  S T AH P\nMAYBE\n\nYES\n")
    out = tmp_path / "lm.arpa"
    status, _, err = lm(text, "--order", 2, "--discount-fallback", "--out", out, "--lexicon", lexicon)
    assert status == 0
    assert out.is_file()
    assert f"2 of 4 words of {lexicon} (50.0 %) are unknown to the model: stop, MAYBE" in err
    assert "It has 1 of these 2 in another case" in err


def test_the_words_of_a_campaign_s_transcripts_are_counted_as_often_as_they_are_said(lm, tiny_campaign, tmp_path):
    text = tmp_path / "few.txt"
    text.write_text("GO STOP\nGO YES\n")
    status, _, err = lm(text, "--order", 2, "--discount-fallback", "--out", tmp_path / "lm.arpa", "--for", "tiny")
    words = tiny_campaign.read().data.train.read_text().count("NO")
    assert status == 0
    assert f"{words} of " in err
    assert "words of the training transcripts (" in err
    assert f"are unknown to the model: NO ({words})\n" in err


def test_a_model_that_has_every_word_is_written_without_a_warning(lm, text, tiny_campaign, tmp_path):
    out = tmp_path / "lm.arpa"
    assert lm(text, "--order", 2, "--discount-fallback", "--out", out, "--for", "tiny")[2] == ""


def test_perplexity_is_told_with_and_without_unknown_words(lm, text, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("GO MAYBE\nNO\n")
    status, said, _ = lm(text, "--order", 2, "--discount-fallback", "--out", tmp_path / "lm.arpa", "--test", other)
    assert status == 0
    line = said.decode().splitlines()[1]
    assert line.startswith(f"perplexity of {other}: ")
    assert line.endswith("1 of 5 words (ends of sentences included) are unknown")
    including, excluding = (float(number) for number in line.split(": ")[1].split(" without")[0].split(", "))
    scores = [s for text in ("GO MAYBE", "NO") for s in kenlm.Model(str(tmp_path / "lm.arpa")).full_scores(text)]
    known = [score for score, _, unknown in scores if not unknown]
    assert including == pytest.approx(10 ** (-sum(score for score, *_ in scores) / 5), abs=0.006)
    assert excluding == pytest.approx(10 ** (-sum(known) / 4), abs=0.006)


REFUSED = {
    "a missing text": (["none.txt"], "none.txt cannot be read: No such file"),
    "an empty text": (["empty.txt"], "no words in a text of 0 sentences"),
    "bytes that are not UTF-8": (["latin.txt"], "latin.txt, line 2 is not UTF-8"),
    "a reserved word": (["marked.txt"], "marked.txt, line 1 has </s> <s>, which language models reserve"),
    "order 1": (["text.txt", "--order", "1"], "order 1: KenLM loads language models of orders 2 to 6"),
    "order 7": (["text.txt", "--order", "7"], "order 7: KenLM loads language models of orders 2 to 6"),
    "no discounts": (["small.txt"], "--discount-fallback"),
    "thresholds that fall": (
        ["text.txt", "--prune", "2", "1"],
        "prune 2 1: thresholds are 0 or more and never decrease",
    ),
    "a threshold in words": (["text.txt", "--prune", "few"], "'few': write a whole number for every order"),
    "a missing list of words": (["text.txt", "--lexicon", "none.txt"], "none.txt cannot be read"),
    "an empty list of words": (["text.txt", "--lexicon", "empty.txt"], "empty.txt has no words"),
    "an unknown campaign": (["text.txt", "--for", "tny"], "no campaign 'tny'"),
    "an empty test": (["text.txt", "--test", "empty.txt"], "empty.txt has no words"),
    "a folder that is not there": (["text.txt", "--out", "none/lm.arpa"], "there is no folder none"),
    "a folder as the model": (["text.txt", "--out", "."], "it is a folder"),
    "the text as the model": (["text.txt", "--out", "./text.txt"], "it is one of the texts"),
    "no place for the model": (["text.txt"], "Missing option '--out'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_with_status_2_and_a_sentence_and_leaves_the_old_model(
    lm, text, tmp_path, monkeypatch, case
):
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").write_text("")
    Path("latin.txt").write_bytes(b"a\nb\xfc\n")
    Path("marked.txt").write_text("<s> a </s>\n")
    Path("small.txt").write_text("a b\n")
    Path("lm.arpa").write_text("old")
    words, message = REFUSED[case]
    if "--out" not in words and "place" not in case:
        words = [*words, "--out", "lm.arpa"]
    if "discounts" not in case:
        words = [*words, "--discount-fallback"]
    status, printed, err = lm(*words)
    assert status == 2
    assert printed == b""
    assert message in err
    assert "Traceback" not in err
    assert Path("lm.arpa").read_text() == "old"
    assert text.read_text(encoding="utf-8") == TEXT
    assert not list(tmp_path.glob(".*.part"))
