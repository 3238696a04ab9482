import ctypes
import gzip
from pathlib import Path

import kenlm
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from search_spaces.errors import LanguageModelError
from trainers.decoding.kneser_ney import NGramModel, NGrams, estimate

GOLDEN = Path(__file__).parents[1] / "data" / "lmplz"  # written by lmplz of KenLM 0.3.0, with --discount_fallback
AN4 = Path(__file__).parents[2] / "data" / "an4" / "lm" / "train_text.txt"
ODD = GOLDEN / "odd.txt"
LAST = GOLDEN / "last.txt"  # its last word begins a sentence: the last trigram does not end in the last bigram
MODELS = [(AN4, 2), (AN4, 3), (AN4, 4), (AN4, 5), (ODD, 2), (ODD, 3), (LAST, 4)]

_log10f = ctypes.CDLL(None).log10f
_log10f.argtypes, _log10f.restype = [ctypes.c_float], ctypes.c_float
same_log10f = pytest.mark.skipif(
    np.float32(_log10f(0.7)) != np.float32(-0.15490198),
    reason="this C library rounds log10f otherwise than the one that lmplz had (glibc before 2.41)",
)


def sentences(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def golden(path: Path, order: int) -> bytes:
    if path == AN4:
        return gzip.decompress((GOLDEN / f"an4.{order}.arpa.gz").read_bytes())
    return path.with_suffix(f".{order}.arpa").read_bytes()


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
@pytest.mark.parametrize(("text", "order"), MODELS)
def test_the_file_is_the_one_that_lmplz_writes_byte_for_byte(text, order, tmp_path):
    estimate(sentences(text), order, discount_fallback=text != AN4).write(tmp_path / "model.arpa")
    assert (tmp_path / "model.arpa").read_bytes() == golden(text, order)


@pytest.mark.parametrize(("text", "order"), MODELS)
def test_ngrams_probabilities_and_backoffs_are_those_of_lmplz_whatever_the_c_library(text, order):
    model = estimate(sentences(text), order, discount_fallback=text != AN4)
    fields = [line.split("\t") for line in golden(text, order).decode().split("\n") if "\t" in line]
    ours = [" ".join(row) for k in range(1, order + 1) for row in rows(model, k)]
    assert ours == [field[1] for field in fields]
    probs = np.concatenate([grams.log10_probs for grams in model.orders])
    np.testing.assert_allclose(probs, [float(field[0]) for field in fields], atol=1e-6)
    backoffs = np.concatenate([grams.log10_backoffs for grams in model.orders[:-1]])
    np.testing.assert_allclose(backoffs, [float(field[2]) for field in fields if len(field) == 3], atol=1e-6)


@pytest.mark.parametrize(("text", "order"), MODELS)
def test_kenlm_scores_every_ngram_as_the_model_says(text, order, tmp_path):
    model = estimate(sentences(text), order, discount_fallback=text != AN4)
    reader = load(model, tmp_path)
    assert reader.order == order
    scores = [reader.BaseScore(state_after(reader, row[:-1]), row[-1], kenlm.State()) for row in rows(model, order)]
    np.testing.assert_allclose(scores, model.orders[-1].log10_probs, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    text=st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=8).map(" ".join), min_size=1, max_size=30),
    order=st.integers(2, 5),
)
def test_the_probabilities_of_all_words_after_any_context_sum_to_one(text, order, tmp_path_factory):
    assume(any(text))
    model = estimate(text, order, discount_fallback=True)
    reader = load(model, tmp_path_factory.mktemp("arpa"))
    contexts = [[]] + [row for k in range(1, order) for row in rows(model, k) if row[-1] not in ("<unk>", "</s>")]
    predicted = ("<unk>", "</s>", *model.words)
    for context in contexts:
        state = state_after(reader, context)
        total = sum(10 ** reader.BaseScore(state, word, kenlm.State()) for word in predicted)
        assert total == pytest.approx(1, abs=2e-6), context


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


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "model.arpa"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        estimate(["a \ud800"], 2, discount_fallback=True).write(path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.arpa"]
    assert path.read_text() == "old"
