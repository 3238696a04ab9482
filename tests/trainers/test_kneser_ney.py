import ctypes
import gzip
from collections import Counter
from pathlib import Path

import kenlm
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from search_spaces.errors import LanguageModelError
from trainers.decoding.arpa import NGramModel, NGrams
from trainers.decoding.kneser_ney import estimate

GOLDEN = Path(__file__).parents[1] / "data" / "lmplz"  # written by lmplz of KenLM 0.3.0, with --discount_fallback
AN4 = Path(__file__).parents[2] / "data" / "an4" / "lm" / "train_text.txt"
ODD = GOLDEN / "odd.txt"
LAST = GOLDEN / "last.txt"  # its last word begins a sentence: the last trigram does not end in the last bigram
UNPRUNED = [
    (text, order, ()) for text, order in ((AN4, 2), (AN4, 3), (AN4, 4), (AN4, 5), (ODD, 2), (ODD, 3), (LAST, 4))
]
PRUNED = [(AN4, 4, (0, 0, 1)), (AN4, 3, (0, 1, 2)), (AN4, 5, (1, 2, 3)), (ODD, 3, (0, 0, 1))]
MODELS = [*UNPRUNED, *PRUNED]

_log10f = ctypes.CDLL(None).log10f
_log10f.argtypes, _log10f.restype = [ctypes.c_float], ctypes.c_float
same_log10f = pytest.mark.skipif(
    np.float32(_log10f(0.7)) != np.float32(-0.15490198),
    reason="this C library rounds log10f otherwise than the one that lmplz had (glibc before 2.41)",
)


def sentences(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def golden(path: Path, order: int, prune: tuple[int, ...] = ()) -> bytes:
    name = f"{order}.prune_{'_'.join(map(str, prune))}.arpa" if prune else f"{order}.arpa"
    if path == AN4:
        return gzip.decompress((GOLDEN / f"an4.{name}.gz").read_bytes())
    return path.with_suffix(f".{name}").read_bytes()


def load(model: NGramModel, folder: Path) -> kenlm.Model:
    path = folder / "model.arpa"
    model.write(path)
    return kenlm.Model(str(path))


def rows(model: NGramModel, order: int) -> list[list[str]]:
    return [[model.vocabulary[word] for word in row] for row in model.orders[order - 1].ids.tolist()]


def state_after(reader: kenlm.Model, context: list[str]) -> kenlm.State:
    state = kenlm.State()
    if context[:1] == ["<s>"]:
        reader.BeginSentenceWrite(state)
        context = context[1:]
    else:
        reader.NullContextWrite(state)
    for word in context:
        after = kenlm.State()
        reader.BaseScore(state, word, after)
        state = after
    return state


@same_log10f
@pytest.mark.parametrize(("text", "order", "prune"), MODELS)
def test_the_file_is_the_one_that_lmplz_writes_byte_for_byte(text, order, prune, tmp_path):
    estimate(sentences(text), order, discount_fallback=text != AN4, prune=prune).write(tmp_path / "model.arpa")
    assert (tmp_path / "model.arpa").read_bytes() == golden(text, order, prune)


@pytest.mark.parametrize(("text", "order", "prune"), MODELS)
def test_ngrams_probabilities_and_backoffs_are_those_of_lmplz_whatever_the_c_library(text, order, prune):
    model = estimate(sentences(text), order, discount_fallback=text != AN4, prune=prune)
    fields = [line.split("\t") for line in golden(text, order, prune).decode().split("\n") if "\t" in line]
    ours = [" ".join(row) for k in range(1, order + 1) for row in rows(model, k)]
    assert ours == [field[1] for field in fields]
    probs = np.concatenate([grams.log10_probs for grams in model.orders])
    np.testing.assert_allclose(probs, [float(field[0]) for field in fields], atol=1e-6)
    backoffs = np.concatenate([grams.log10_backoffs for grams in model.orders[:-1]])
    np.testing.assert_allclose(backoffs, [float(field[2]) for field in fields if len(field) == 3], atol=1e-6)


@pytest.mark.parametrize(("text", "order", "prune"), MODELS)
def test_kenlm_scores_every_ngram_as_the_model_says(text, order, prune, tmp_path):
    model = estimate(sentences(text), order, discount_fallback=text != AN4, prune=prune)
    reader = load(model, tmp_path)
    assert reader.order == order
    scores = [reader.BaseScore(state_after(reader, row[:-1]), row[-1], kenlm.State()) for row in rows(model, order)]
    np.testing.assert_allclose(scores, model.orders[-1].log10_probs, rtol=1e-6)


texts = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=8).map(" ".join), min_size=1, max_size=30).filter(any)
thresholds = st.lists(st.integers(0, 3), max_size=5).map(sorted).map(tuple)


@settings(max_examples=60, deadline=None)
@given(text=texts, order=st.integers(2, 5), prune=st.just(()) | thresholds)
def test_the_probabilities_of_all_words_after_any_context_sum_to_one(text, order, prune, tmp_path_factory):
    model = try_to_prune(text, order, prune)
    reader = load(model, tmp_path_factory.mktemp("arpa"))
    contexts = [[]] + [row for k in range(1, order) for row in rows(model, k) if row[-1] not in ("<unk>", "</s>")]
    predicted = ("<unk>", "</s>", *model.words)
    for context in contexts:
        state = state_after(reader, context)
        total = sum(10 ** reader.BaseScore(state, word, kenlm.State()) for word in predicted)
        assert total == pytest.approx(1, abs=2e-6), context


def try_to_prune(text: list[str], order: int, prune: tuple[int, ...]) -> NGramModel:
    try:
        return estimate(text, order, discount_fallback=True, prune=prune[:order])
    except LanguageModelError as error:
        assume("no word occurs more than" not in str(error))
        raise


@given(text=texts, order=st.integers(2, 5), prune=thresholds)
def test_pruning_keeps_what_occurs_more_often_than_the_threshold_and_all_its_parts(text, order, prune):
    model = try_to_prune(text, order, prune)
    padded = [("<s> " + sentence + " </s>").split() for sentence in text]
    kept = [set(map(tuple, rows(model, k))) for k in range(1, order + 1)]
    limits = (*prune[:order], *[prune[-1] if prune else 0] * order)
    for k in range(1, order + 1):
        counts = Counter(tuple(words[i : i + k]) for words in padded for i in range(len(words) - k + 1))
        own = {("<unk>",), ("<s>",), ("</s>",)} if k == 1 else set()
        assert kept[k - 1] == {gram for gram, count in counts.items() if count > limits[k - 1]} | own
        if k > 1:
            assert {gram[1:] for gram in kept[k - 1]} | {gram[:-1] for gram in kept[k - 1]} <= kept[k - 2]


def test_zeros_prune_nothing():
    assert rows(estimate(["a b a", "b"], 3, discount_fallback=True, prune=(0,)), 3) == rows(
        estimate(["a b a", "b"], 3, discount_fallback=True), 3
    )


@pytest.mark.parametrize(
    ("prune", "words"),
    [
        ((1, 0), "prune 1 0: .* never decrease"),
        ((-1,), "prune -1: thresholds are 0 or more"),
        ((0, 0, 1), "prune 0 0 1: 3 thresholds, but the model has n-grams of 2 orders"),
        ((9,), "no word occurs more than 9 times"),
    ],
)
def test_thresholds_that_prune_nothing_sensible_are_refused(prune, words):
    with pytest.raises(LanguageModelError, match=words):
        estimate(["a b a"], 2, discount_fallback=True, prune=prune)


def test_a_model_ends_its_sentences_even_where_all_sentences_are_fewer_than_pruned_words(tmp_path):
    model = estimate(["a a a b a a", "a b"], 2, discount_fallback=True, prune=(2,))  # lmplz gives </s> 2 ** 63
    assert model.vocabulary == ("<unk>", "<s>", "</s>", "a")
    assert (model.orders[0].log10_probs <= 0).all()
    assert -2 < load(model, tmp_path).score("a") < 0


def test_an_empty_sentence_says_that_a_sentence_may_end_where_it_begins():
    bigrams = rows(estimate(["a b", "", "b"], 2, discount_fallback=True), 2)
    assert ["<s>", "</s>"] in bigrams
    assert ["<s>", "</s>"] not in rows(estimate(["a b", "b"], 2, discount_fallback=True), 2)


def test_words_come_in_the_order_of_the_text_with_their_case_and_without_the_models_own():
    model = estimate(["zu  Regen\t\n", " regen \r\n", "zu a\u00a0b"], 2, discount_fallback=True)
    assert model.words == ("zu", "Regen", "regen", "a\u00a0b")
    assert model.vocabulary == ("<unk>", "<s>", "</s>", *model.words)


def test_kenlm_loads_a_model_whose_sentences_are_all_too_short_for_its_order(tmp_path):
    model = estimate(["a", "b", ""], 6, discount_fallback=True)
    assert [len(grams) for grams in model.orders] == [5, 5, 2, 0, 0, 0]
    assert load(model, tmp_path).score("a") == pytest.approx(sum(model.orders[k].log10_probs[-2] for k in (1, 2)))


def test_numbers_have_the_fewest_digits_in_the_notation_of_lmplz(tmp_path):
    logs = np.array([0, -99, -0.30103, -1e-4, -1.25e-6, -1e-6, -2.588e-8], dtype=np.float32)
    words = tuple("abcdefg")
    unigrams = NGrams(np.arange(len(words))[:, None], logs, np.zeros_like(logs))
    NGramModel(words, (unigrams,)).write(tmp_path / "model.arpa")
    lines = (tmp_path / "model.arpa").read_text().split("\n")[4:11]
    assert [line.split("\t")[0] for line in lines] == (
        ["0", "-99", "-0.30103", "-0.0001", "-0.00000125", "-0.000001", "-2.588e-8"]
    )


@pytest.mark.parametrize("order", [0, 1, 7])
def test_an_order_that_kenlm_cannot_load_is_refused_with_those_it_can(order):
    with pytest.raises(LanguageModelError, match=rf"order {order}: .*orders 2 to 6"):
        estimate(["a b"], order)


@pytest.mark.parametrize("text", [[], ["", " \t\r\n"]])
def test_a_text_without_words_is_refused(text):
    with pytest.raises(LanguageModelError, match=f"no words in a text of {len(text)} sentences"):
        estimate(text, 2, discount_fallback=True)


@pytest.mark.parametrize("word", ["<s>", "</s>", "<unk>", "<UNK>"])
def test_a_reserved_word_in_the_text_is_refused_with_its_sentence(word):
    with pytest.raises(LanguageModelError, match=f"sentence 2 of the text has {word}, "):
        estimate(["a b", f"a {word} b"], 2, discount_fallback=True)


def test_a_text_too_small_for_discounts_is_refused_with_the_way_on():
    with pytest.raises(
        LanguageModelError, match=r"12, 4, 0, 0 of the 1-grams .* discount_fallback .* 0\.5, 1 and 1\.5"
    ):
        estimate(sentences(ODD), 2)


def test_a_discount_of_zero_which_would_leave_a_file_that_kenlm_cannot_load_counts_as_not_estimable(tmp_path):
    text = ["c b a", "", "", "a", ""]  # lmplz gives the back-off weight of a as -inf: D(2) is 2 - 3 * 4/6 * 1/1
    with pytest.raises(LanguageModelError, match="discount_fallback"):
        estimate(text, 2)
    assert load(estimate(text, 2, discount_fallback=True), tmp_path).order == 2


def test_a_name_that_ends_in_gz_gets_the_same_file_packed_and_the_same_bytes_every_time(tmp_path):
    model = estimate(sentences(ODD), 3, discount_fallback=True)
    for name in ("a.arpa", "a.arpa.gz", "b.arpa.gz"):
        model.write(tmp_path / name)
    assert gzip.decompress((tmp_path / "a.arpa.gz").read_bytes()) == (tmp_path / "a.arpa").read_bytes()
    assert (tmp_path / "a.arpa.gz").read_bytes() == (tmp_path / "b.arpa.gz").read_bytes()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "model.arpa"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        estimate(["a \ud800"], 2, discount_fallback=True).write(path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.arpa"]
    assert path.read_text() == "old"
