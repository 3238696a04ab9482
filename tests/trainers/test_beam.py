import math

import kenlm
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyctcdecode.alphabet import Alphabet as StockAlphabet
from pyctcdecode.decoder import BeamSearchDecoderCTC
from pyctcdecode.language_model import LanguageModel

from search_spaces.axes.decoding import DecodingSettings
from search_spaces.errors import LanguageModelError
from trainers.artifacts import Posteriors
from trainers.data.labels import Alphabet
from trainers.data.manifest import read_manifest
from trainers.decoding.beam import BeamDecoder
from trainers.decoding.greedy import greedy_text
from trainers.decoding.language_model import LanguageModelFiles
from trainers.losses.ctc import ctc_loss

UNITS = ("char", "word", "mixed")


@pytest.fixture(scope="module")
def alphabets(root):
    texts = [utterance.text for utterance in read_manifest(root / "data/an4/train.jsonl")]
    return {units: Alphabet.of(units, texts) for units in UNITS}


@pytest.fixture(scope="module")
def decoders(alphabets, an4_model):
    """Ours and pyctcdecode's own over the same labels and model, by units."""
    stock_model = LanguageModel(kenlm.Model(str(an4_model.arpa)), an4_model.words)
    found, opened = {}, []
    for units, alphabet in alphabets.items():
        labels = StockAlphabet(list(alphabet.labels), is_bpe=units != "char")
        stock = BeamSearchDecoderCTC(labels, stock_model)
        ours = BeamDecoder(alphabet, an4_model)
        opened.append((ours, stock))
        found[units] = ours, stock
    yield found
    for ours, stock in opened:
        ours.__exit__(None, None, None)
        stock.cleanup()


def log_softmax(logits):
    logits = logits - logits.max(axis=1, keepdims=True)
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


def spelled(alphabet, text, certainty=12.0, seed=None, tail=()):
    """Posteriors of a text: each label twice with a blank behind it; with a seed, doubts about every frame."""
    path = [0, *(frame for label in alphabet.encode(text) for frame in (label, label, 0)), *tail]
    logits = certainty * np.eye(len(alphabet))[path]
    if seed is not None:
        logits += np.random.default_rng(seed).standard_normal(logits.shape)
    return log_softmax(logits)


def options(**values):
    return DecodingSettings(method="beam", **values)


@settings(deadline=None, max_examples=30)
@given(
    units=st.sampled_from(UNITS),
    seed=st.integers(0, 9999),
    certainty=st.sampled_from([2.0, 4.0, 6.0]),
    alpha=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    beta=st.sampled_from([-2.0, 0.0, 1.5, 4.0]),
    beam_width=st.sampled_from([1, 5, 30]),
)
def test_where_the_last_word_is_not_empty_the_best_hypothesis_is_that_of_pyctcdecode(
    decoders, alphabets, units, seed, certainty, alpha, beta, beam_width
):
    ours, stock = decoders[units]
    alphabet = alphabets[units]
    log_probs = spelled(alphabet, "ENTER SEVENTY EIGHT", certainty, seed)
    # a last frame without doubt: no hypothesis ends in a space or in silence
    letter = alphabet.labels.index({"char": "T", "word": "▁EIGHT", "mixed": "▁EIGHT"}[units])
    log_probs[-1] = log_softmax(30.0 * np.eye(len(alphabet))[[letter]])
    values = {"beam_width": beam_width, "beam_prune_logp": -10.0, "token_min_logp": -5.0}
    stock.reset_params(alpha=alpha, beta=beta)
    text, *_, acoustic, total = stock.decode_beams(log_probs.astype(np.float64), prune_history=True, **values)[0]
    found = ours.decode(log_probs, options(alpha=alpha, beta=beta, **values), "x")
    assert found.text == text
    assert found.acoustic == pytest.approx(acoustic, abs=1e-9)
    assert found.acoustic + found.language == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("alpha", [0.0, 0.2, 0.5, 1.0, 3.0])
def test_silence_decodes_to_nothing(decoders, alphabets, an4_model, units, alpha):
    ours, stock = decoders[units]
    alphabet = alphabets[units]
    label = alphabet.labels.index({"char": "C", "word": "▁C", "mixed": "▁C"}[units])
    logits = np.zeros((12, len(alphabet)))
    logits[:, 0] = 14.0
    logits[5, label] = 11.0  # a breath that sounds a little like the letter C
    log_probs = log_softmax(logits)
    found = ours.decode(log_probs, options(alpha=alpha, beta=0.0))
    assert found.text == ""
    end = kenlm.Model(str(an4_model.arpa)).score("", bos=True, eos=True)
    assert found.language == pytest.approx(alpha * end * math.log(10))
    if alpha in (0.5, 1.0, 3.0):
        # the fault that is defended against
        stock.reset_params(alpha=alpha, beta=0.0)
        assert stock.decode_beams(log_probs.astype(np.float64))[0][0] == "C"


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_a_space_at_the_end_costs_nothing(decoders, alphabets, alpha):
    ours, stock = decoders["char"]
    alphabet = alphabets["char"]
    space = alphabet.labels.index(" ")
    found = [
        ours.decode(spelled(alphabet, "GO", tail=tail), options(alpha=alpha, beta=2.0))
        for tail in ((), (space,), (space, 0, 0), (0, space, space, 0))
    ]
    assert {hypothesis.text for hypothesis in found} == {"GO"}
    assert [hypothesis.language for hypothesis in found] == pytest.approx([found[0].language] * 4)
    if alpha:
        stock.reset_params(alpha=alpha, beta=2.0)
        totals = [
            stock.decode_beams(spelled(alphabet, "GO", tail=tail).astype(np.float64))[0][-1]
            for tail in ((), (space, 0))
        ]
        assert totals[1] < totals[0] - 5


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("text", ["GO", "ENTER SEVENTY EIGHT", "RUBOUT G M E F THREE NINE", "A A B B", "STOP STOP"])
@pytest.mark.parametrize("modelled", [True, False])
def test_every_kind_of_units_gives_proper_words(decoders, alphabets, units, text, modelled):
    log_probs = spelled(alphabets[units], text)
    if modelled:
        found = decoders[units][0].decode(log_probs, options(alpha=0.5), "x")
    else:
        with BeamDecoder(alphabets[units], None) as decoder:
            found = decoder.decode(log_probs, options(), "x")
    assert (found.id, found.text) == ("x", text)
    assert greedy_text(log_probs, alphabets[units]) == text


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("text", ["ENTER SEVENTY EIGHT", "A A B B", "GO"])
def test_the_language_score_is_kenlm_s_in_nats_with_both_weights(decoders, alphabets, an4_model, units, text):
    found = decoders[units][0].decode(spelled(alphabets[units], text), options(alpha=0.7, beta=1.1))
    base_ten = kenlm.Model(str(an4_model.arpa)).score(text, bos=True, eos=True)
    assert found.language == pytest.approx(0.7 * base_ten * math.log(10) + 1.1 * len(text.split()))


def test_without_a_language_model_there_is_no_language_score_and_the_acoustic_one_is_that_of_ctc(alphabets):
    alphabet = Alphabet.of("word", ["GO STOP"])
    log_probs = spelled(alphabet, "GO STOP", certainty=3.0, seed=2)
    with BeamDecoder(alphabet, None) as decoder:
        # so wide that no path is lost
        found = decoder.decode(log_probs, options(beam_width=10_000, beam_prune_logp=-1e9, token_min_logp=-1e9))
    assert found.text == "GO STOP"
    assert found.language is None
    loss = ctc_loss(
        torch.from_numpy(log_probs)[None], torch.tensor([len(log_probs)]), torch.tensor([1, 2]), torch.tensor([2])
    )
    assert found.acoustic == pytest.approx(-2 * loss.item(), abs=1e-4)


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("modelled", [True, False])
def test_the_best_of_many_is_the_best_alone_and_none_is_named_twice(decoders, alphabets, units, modelled):
    log_probs = spelled(alphabets[units], "ENTER SEVENTY EIGHT", certainty=3.0, seed=1)
    values = options(alpha=0.5, beam_width=30)
    with BeamDecoder(alphabets[units], None) as plain:
        decoder = decoders[units][0] if modelled else plain
        many = decoder.n_best(log_probs, values, 7, "x")
        assert many[0] == decoder.decode(log_probs, values, "x")
    assert 2 <= len(many) <= 7
    assert len({hypothesis.text for hypothesis in many}) == len(many)
    totals = [hypothesis.acoustic + (hypothesis.language or 0.0) for hypothesis in many]
    assert totals == sorted(totals, reverse=True)
    assert {hypothesis.language is not None for hypothesis in many} == {modelled}


def test_the_language_model_turns_what_sounds_alike_into_what_is_said(decoders, alphabets):
    alphabet = alphabets["char"]
    log_probs = spelled(alphabet, "ENTER SEVENTY EIGHT")
    logits = np.array(log_probs)
    place = 1 + 3 * "ENTER SEVENTY EIGHT".index("Y")
    wrong = alphabet.labels.index("I")
    logits[place : place + 2, wrong] = logits[place : place + 2].max() + 0.5
    heard = log_softmax(logits)
    assert greedy_text(heard, alphabet) == "ENTER SEVENTI EIGHT"
    assert decoders["char"][0].decode(heard, options(alpha=0.5)).text == "ENTER SEVENTY EIGHT"


def test_the_weights_travel_with_every_call(decoders, alphabets):
    ours, _ = decoders["word"]
    log_probs = spelled(alphabets["word"], "STOP GO NO", certainty=4.0, seed=3)
    first = options(alpha=0.3, beta=1.0)
    alone = ours.decode(log_probs, first)
    other = ours.decode(log_probs, options(alpha=2.0, beta=-3.0))
    assert other.language != alone.language
    assert ours.decode(log_probs, first) == alone
    assert ours.decode(log_probs, options(alpha=0, beta=0)).language == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("log_probs", "words"),
    [
        (np.zeros((0, 98), np.float32), "are empty or hold NaN"),
        (np.full((3, 98), np.nan, np.float32), "are empty or hold NaN"),
        (np.full((3, 98), -np.inf, np.float32), "are empty or hold NaN or infinity"),
        (np.zeros((3, 97), np.float32), "vocabulary is size 98"),
    ],
)
def test_posteriors_that_cannot_be_searched_are_refused(decoders, log_probs, words):
    with pytest.raises(ValueError, match=words):
        decoders["word"][0].decode(log_probs, options(), "fash_1")


def test_the_utterance_whose_posteriors_hold_nan_is_named(decoders, alphabets):
    log_probs = spelled(alphabets["word"], "GO")
    log_probs[2, 5] = np.nan
    with pytest.raises(ValueError, match="posteriors of fash_1 are empty or hold NaN"):
        decoders["word"][0].decode(log_probs, options(), "fash_1")


def test_a_set_is_decoded_in_its_order(decoders, alphabets):
    parts = [spelled(alphabets["word"], text) for text in ("GO", "STOP NO", "YES")]
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
    posteriors = Posteriors(("a", "b", "c"), np.concatenate(parts), offsets, alphabets["word"].labels)
    found = decoders["word"][0].decode_set(posteriors, options())
    assert [(hypothesis.id, hypothesis.text) for hypothesis in found] == [("a", "GO"), ("b", "STOP NO"), ("c", "YES")]


def test_a_wider_beam_and_thresholds_are_passed_on(decoders, alphabets):
    ours, _ = decoders["char"]
    log_probs = spelled(alphabets["char"], "ENTER SEVENTY EIGHT", certainty=1.5, seed=1)
    narrow = ours.decode(log_probs, options(beam_width=1))
    wide = ours.decode(log_probs, options(beam_width=60))
    assert wide.acoustic + wide.language > narrow.acoustic + narrow.language
    strict = ours.decode(log_probs, options(token_min_logp=0.0, beam_width=60))
    assert strict.text != wide.text
    assert ours.decode(log_probs, options(beam_prune_logp=0.0, beam_width=60)) != wide


def test_labels_that_other_builders_reinterpret_are_taken_as_they_are():
    alphabet = Alphabet("word", ("", "▁_", "▁<pad>", "▁##X", "▁[UNK]"))
    text = "_ <pad> ##X [UNK] _"
    with BeamDecoder(alphabet, None) as decoder:
        assert decoder.decode(spelled(alphabet, text), options()).text == text


def test_leaving_the_decoder_lets_go_of_its_language_model(alphabets, an4_model):
    before = dict(BeamSearchDecoderCTC.model_container)
    with BeamDecoder(alphabets["word"], an4_model):
        assert len(BeamSearchDecoderCTC.model_container) == len(before) + 1
    assert BeamSearchDecoderCTC.model_container == before
    with pytest.raises(RuntimeError, match="interrupted"), BeamDecoder(alphabets["char"], an4_model):
        raise RuntimeError("interrupted")
    assert BeamSearchDecoderCTC.model_container == before


def test_a_file_that_kenlm_cannot_load_is_refused_with_its_name(alphabets, tmp_path):
    (tmp_path / "words.txt").write_text("GO\n")
    for content in (None, "no ARPA at all\n"):
        if content:
            (tmp_path / "lm.arpa").write_text(content)
        with pytest.raises(LanguageModelError, match=r"lm\.arpa cannot be loaded"):
            BeamDecoder(alphabets["word"], LanguageModelFiles(tmp_path, "key"))
