"""What others and we know of given posteriors: pyctcdecode's own examples, and two recognisers of AN4."""

import json

import numpy as np
import pytest

from search_spaces.axes.decoding import DecodingSettings
from trainers.data.labels import Alphabet
from trainers.decoding.beam import BeamDecoder
from trainers.decoding.greedy import greedy_set, greedy_text
from trainers.decoding.language_model import LanguageModelFiles
from trainers.scoring.scorer import PLAIN

LIBRI = "i have a good deal of will you remember and what i have set my mind upon no doubt i shall some day achieve"


@pytest.fixture(scope="module")
def examples(root):
    return root / "tests/data/pyctcdecode"


def normalised(log_probs):
    return log_probs - np.logaddexp.reduce(log_probs, axis=1, keepdims=True)


@pytest.mark.parametrize("beam", [False, True])
def test_pyctcdecode_s_utterance_of_librispeech_gives_the_sentence_of_its_own_test(examples, beam):
    alphabet = Alphabet("char", ("", *" abcdefghijklmnopqrstuvwxyz'"))
    # there the blank is the last column, and frames do not quite sum to one
    log_probs = normalised(np.roll(np.array(json.loads((examples / "libri_logits.json").read_text())), 1, axis=1))
    if not beam:
        assert greedy_text(log_probs, alphabet) == LIBRI
        return
    with BeamDecoder(alphabet, None) as decoder:
        found = decoder.decode(log_probs, DecodingSettings(method="beam", beam_width=100))
    assert found.text == LIBRI
    assert len(found.spans) == len(LIBRI.split())


@pytest.fixture
def bunny(examples, tmp_path):
    """pyctcdecode's toy: frames between 'bugs' and 'bunny', and a model in which 'bugs bunny' alone is likely."""
    (tmp_path / "lm.arpa").write_text((examples / "bugs_bunny_kenlm.arpa").read_text())
    (tmp_path / "words.txt").write_text("bugs\nbunny\n")
    labels = ("", *" bgnsuy")
    column = {label: index for index, label in enumerate(labels)}

    def certain(text):
        return np.eye(len(labels))[[column[name.strip("_")] for name in text]]

    first = 0.49 * certain("bugs__") + 0.51 * certain("bun_ny")
    probs = np.concatenate([first, certain(" "), certain("bun_ny")])
    log_probs = normalised(np.log(np.clip(probs, 1e-15, 1)))
    return log_probs, Alphabet("char", labels), LanguageModelFiles(tmp_path, "key")


def test_the_model_of_bugs_bunny_turns_bunny_bunny_into_bugs_bunny(bunny):
    log_probs, alphabet, files = bunny
    options = DecodingSettings(method="beam", alpha=0.5, beta=1.5, beam_width=100)
    assert greedy_text(log_probs, alphabet) == "bunny bunny"
    with BeamDecoder(alphabet, None) as decoder:
        many = decoder.n_best(log_probs, options, 100)
        assert len(many) == 16
        assert (many[0].text, many[0].spans) == ("bunny bunny", ((0, 6), (7, 13)))
        assert (many[-1].text, many[-1].spans) == ("bugs bunny", ((0, 4), (7, 13)))
    with BeamDecoder(alphabet, files) as decoder:
        found = decoder.decode(log_probs, options)
        unweighted = decoder.decode(log_probs, options.model_copy(update={"alpha": 0.0}))
        free = options.model_copy(update={"unknown_offset": 0.0, "beam_prune_logp": -20.0})
        many = decoder.n_best(log_probs, free, 100)
    assert (found.text, found.spans) == ("bugs bunny", ((0, 4), (7, 13)))
    assert found.acoustic == pytest.approx(-2.853399551509947, abs=1e-6)
    assert found.acoustic + found.language == pytest.approx(0.14660044849005294, abs=1e-6)
    assert unweighted.text == "bunny bunny"
    assert len(many) == 16
    assert [one.text for one in many[:2]] == ["bugs bunny", "bunny bunny"]


def test_words_out_of_the_list_cost_the_unknown_offset(bunny, tmp_path):
    log_probs, alphabet, files = bunny
    (tmp_path / "words.txt").write_text("bunny\n")
    with BeamDecoder(alphabet, files) as decoder:
        found = {
            offset: decoder.decode(log_probs, DecodingSettings(method="beam", alpha=1.0, unknown_offset=offset)).text
            for offset in (0.0, -10.0)
        }
    assert found == {0.0: "bugs bunny", -10.0: "bunny bunny"}


@pytest.mark.parametrize(
    ("name", "units", "alpha", "beta", "greedy", "at_most"),
    [("char", "char", 1.0, 3.0, 33.7, 22.0), ("word_seed2", "word", 0.7, 2.0, 29.3, 27.5)],
)
def test_a_language_model_lowers_the_wer_of_an4_as_far_as_is_known(
    an4_posteriors, an4_fourgram, name, units, alpha, beta, greedy, at_most
):
    posteriors, alphabet, references = an4_posteriors(name, units)
    best_paths = greedy_set(posteriors, alphabet)
    assert round(PLAIN.score_set(references, (one.text for one in best_paths)).wer, 1) == greedy
    assert all(len(one.spans) == len(one.text.split()) for one in best_paths)
    with BeamDecoder(alphabet, an4_fourgram) as decoder:
        found = decoder.decode_set(posteriors, DecodingSettings(method="beam", alpha=alpha, beta=beta, beam_width=50))
    assert PLAIN.score_set(references, (one.text for one in found)).wer <= at_most
    assert all(len(one.spans) == len(one.text.split()) for one in found)


def test_a_wider_search_of_an4_finds_better_scores_and_never_worse_ones(an4_posteriors, an4_fourgram):
    posteriors, alphabet, _ = an4_posteriors("char", "char")
    narrow = DecodingSettings(method="beam", alpha=1.0, beta=3.0, beam_width=20)
    wide = narrow.model_copy(update={"beam_width": 60, "beam_prune_logp": -20.0, "token_min_logp": -6.0})
    with BeamDecoder(alphabet, an4_fourgram) as decoder:
        for index in range(0, len(posteriors), 6):
            first, second = (decoder.decode(posteriors[index], one) for one in (narrow, wide))
            assert second.acoustic + second.language >= first.acoustic + first.language - 1e-6
