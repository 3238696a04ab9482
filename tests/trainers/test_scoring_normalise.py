from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.errors import ScoringError
from trainers.artifacts import Score
from trainers.scoring.normalise import NORMALISERS, fold
from trainers.scoring.phoenix import clean_sentence, clean_words
from trainers.scoring.scorer import ALIGNMENTS, PLAIN, find_scorer

SENTENCES = Path(__file__).parents[1] / "data" / "phoenix" / "sentences.tsv"
texts = st.lists(st.sampled_from(["a", "b", "Ä", "c."]), max_size=6).map(" ".join)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("unit", ["", "/characters"])
@pytest.mark.parametrize("normaliser", ["", *(f"/{name}" for name in NORMALISERS), "/nfc-1+fold-1"])
def test_a_scorer_is_found_by_the_name_it_gives(alignment, unit, normaliser):
    name = alignment + unit + normaliser
    scorer = find_scorer(name)
    assert scorer.name == name
    assert scorer.score("a b", "a b").errors == 0


@pytest.mark.parametrize("name", ["", "levenshtein", "sclite-2", "sclite-1/fold", "sclite-1/fold-1/characters"])
def test_a_name_of_nothing_is_refused_with_those_there_are(name):
    with pytest.raises(ScoringError, match="there are"):
        find_scorer(name)


def test_the_name_in_records_is_that_of_plain_words():
    assert find_scorer(PLAIN.name).score("GO ON", "go on") == PLAIN.score("GO ON", "go on") == Score(2, 0, 0, 2)


@given(st.lists(st.tuples(texts, texts)), st.randoms())
def test_pooled_counts_do_not_depend_on_the_order_of_utterances(pairs, rng):
    for name in ("sclite-1", "levenshtein-1/characters"):
        before = find_scorer(name).score_set(*zip(*pairs, strict=True)) if pairs else Score()
        rng.shuffle(pairs)
        assert before == (find_scorer(name).score_set(*zip(*pairs, strict=True)) if pairs else Score())


@given(texts)
def test_normalising_twice_is_normalising_once(text):
    for normaliser in NORMALISERS.values():
        once = normaliser.reference(text)
        assert normaliser.reference(once) == once
        heard = normaliser.hypothesis(text)
        assert normaliser.hypothesis(heard) == heard


@pytest.mark.parametrize(
    ("name", "reference", "hypothesis", "errors"),
    [
        ("fold-1", "GO", "go", 0),
        ("fold-1", "FÜR", "für", 1),
        ("nfc-1", "für", "fu\u0308r", 0),
        ("", "für", "fu\u0308r", 1),
        ("punctuation-1", "well, it's re-used .", "well it's re-used", 0),
        ("punctuation-1", "«Zug» – hin (und) her!", "Zug hin (und) her", 0),
        ("punctuation-1", "'go' on-", "go on", 0),
        ("punctuation-1+fold-1", "Go!", "go", 0),
    ],
)
def test_what_a_normaliser_makes_equal(name, reference, hypothesis, errors):
    assert find_scorer(f"{PLAIN.name}/{name}".rstrip("/")).score(reference, hypothesis).errors == errors


def test_sclites_notation_outlives_the_removal_of_punctuation():
    scorer = find_scorer("sclite_optional-1/punctuation-1+fold-1")
    assert scorer.score("Well, { okay / all right / @ } (uh) .", "WELL all right") == Score(0, 0, 0, 4)


def test_characters_are_compared_without_white_space():
    assert find_scorer("levenshtein-1/characters").score("AB C", "A B D") == Score(1, 0, 0, 3)


def test_folding_leaves_everything_else():
    assert fold("ÀÉZ aß{}") == "ÀÉz aß{}"


def test_glosses_are_cleaned_as_the_published_script_cleans_them():
    rows = [line.split("\t") for line in SENTENCES.read_text().splitlines()]
    assert len(rows) > 200
    for sentence, whole, by_word in rows:
        assert clean_sentence(sentence) == whole
        assert clean_words(sentence) == by_word


def test_cleaning_leaves_references_alone_and_an_utterance_may_lose_all_its_words():
    scorer = find_scorer("sclite-1/phoenix2014-1")
    assert scorer.score("REGEN REGEN", "REGEN REGEN") == Score(0, 1, 0, 2)
    assert scorer.score("REGEN", "__PU__ __EPENTHESIS__ __LEFTHAND__") == Score(0, 1, 0, 1)
