import math

import pytest

from trainers.decoding.kneser_ney import estimate
from trainers.decoding.perplexity import fit


def test_perplexity_counts_ends_of_sentences_and_unknown_words_as_kenlm_does(tmp_path):
    model = estimate(["a b", "a", "b a b", "c"], 2, discount_fallback=True)
    model.write(tmp_path / "lm.arpa")
    found = fit(tmp_path / "lm.arpa", ["a b", "a q", ""])
    assert (found.words, found.unknown) == (7, 1)
    # by hand: the back-off of a, then <unk>; after <unk> there is no context
    unigrams = dict(zip(model.vocabulary, model.orders[0].log10_probs.tolist(), strict=True))
    backoff = dict(zip(model.vocabulary, model.orders[0].log10_backoffs.tolist(), strict=True))
    pairs = {
        (model.vocabulary[first], model.vocabulary[second]): log10_prob
        for (first, second), log10_prob in zip(model.orders[1].ids, model.orders[1].log10_probs.tolist(), strict=True)
    }
    unknown = backoff["a"] + unigrams["<unk>"]
    total = 2 * pairs["<s>", "a"] + pairs["a", "b"] + pairs["b", "</s>"] + unknown + unigrams["</s>"]
    total += backoff["<s>"] + unigrams["</s>"]
    assert found.log10_prob == pytest.approx(total, rel=1e-6)
    assert found.log10_prob_unknown == pytest.approx(unknown, rel=1e-6)
    assert found.perplexity == pytest.approx(10 ** (-total / 7))
    assert found.perplexity_of_known == pytest.approx(10 ** (-(total - unknown) / 6))


def test_a_model_of_one_sentence_foresees_it_better_than_chance(tmp_path):
    estimate(["a b c d"] * 5, 3, discount_fallback=True).write(tmp_path / "lm.arpa")
    assert 1 < fit(tmp_path / "lm.arpa", ["a b c d"]).perplexity < 2
    assert math.isfinite(fit(tmp_path / "lm.arpa", ["x"]).perplexity)
