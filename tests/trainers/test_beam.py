import math
import multiprocessing

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
from trainers.decoding.greedy import best_path, greedy_set, greedy_text, word_spans
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
        (np.full((3, 97), -np.log(97), np.float32), r"of shape \(3, 97\); the alphabet needs \(frames, 98\)"),
        (np.zeros(98, np.float32), r"of shape \(98,\)"),
        (np.full((3, 98), np.log(1.05 / 98), np.float32), "those of frame 0 sum to 1.05, not to 1"),
        (np.full((3, 98), 1 / 98, np.float32), "no log-probabilities"),
        (np.zeros((3, 98), np.float32), "sum to 98, not to 1"),
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


def test_a_language_model_without_words_is_refused(alphabets, tmp_path, an4_model):
    (tmp_path / "lm.arpa").write_bytes(an4_model.arpa.read_bytes())
    with pytest.raises(LanguageModelError, match=r"cannot be loaded: .*words\.txt"):
        BeamDecoder(alphabets["word"], LanguageModelFiles(tmp_path, "key"))
    (tmp_path / "words.txt").write_text("")
    with pytest.raises(LanguageModelError, match="comes with no list of words"):
        BeamDecoder(alphabets["word"], LanguageModelFiles(tmp_path, "key"))


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("change", [str.lower, str.title])
def test_labels_and_a_language_model_in_different_case_are_refused(units, change, an4_model):
    texts = [change("ENTER SEVENTY EIGHT STOP GO NO")]
    with pytest.raises(LanguageModelError, match=r"differ in case|no word of .* can be written"):
        BeamDecoder(Alphabet.of(units, texts), an4_model)


def test_the_case_that_the_labels_have_is_named(an4_model):
    with pytest.raises(LanguageModelError, match=r"0 of 97 words can be written in the labels, in lower case \d+"):
        BeamDecoder(Alphabet.of("char", ["enter seventy eight stop go no"]), an4_model)


def test_a_language_model_of_another_language_is_refused_with_examples_of_both(an4_model):
    with pytest.raises(LanguageModelError, match=r"words such as .*, labels such as ▁REGEN ▁WOLKE"):
        BeamDecoder(Alphabet.of("word", ["REGEN", "WOLKE"]), an4_model)


def test_a_language_model_that_knows_more_words_than_there_are_labels_is_taken(an4_model):
    with BeamDecoder(Alphabet.of("word", ["ENTER SEVENTY"]), an4_model) as decoder:
        assert decoder.decode(np.log(np.array([[0.1, 0.8, 0.1]])), options()).text == "ENTER"


def test_a_model_without_back_offs_keeps_its_words(tmp_path):
    """pyctcdecode reads no word list from unigrams without a back-off column; ours stands beside the file."""
    grams = "".join(f"-1.0\t{word}\n" for word in ("<unk>", "</s>", "GO", "STOP"))
    bigrams = "-0.1\t<s> GO\n-0.1\tGO STOP\n-0.1\tSTOP </s>\n"
    (tmp_path / "lm.arpa").write_text(
        f"\\data\\\nngram 1=5\nngram 2=3\n\n\\1-grams:\n-99\t<s>\t0\n{grams}\n\\2-grams:\n{bigrams}\n\\end\\\n"
    )
    (tmp_path / "words.txt").write_text("GO\nSTOP\n")
    alphabet = Alphabet.of("char", ["GO STOP"])
    log_probs = spelled(alphabet, "GO STOP", certainty=3.0)
    rival = alphabet.labels.index("T")
    log_probs[1 + 3 : 1 + 3 + 2] = log_softmax(log_probs[4:6] + 3.2 * np.eye(len(alphabet))[rival])
    assert greedy_text(log_probs, alphabet) == "GT STOP"
    with BeamDecoder(alphabet, LanguageModelFiles(tmp_path, "key")) as decoder:
        assert decoder.decode(log_probs, options(alpha=0.5)).text == "GO STOP"


def test_whole_weights_and_weights_of_numpy_are_those_of_python(decoders, alphabets):
    ours, _ = decoders["word"]
    log_probs = spelled(alphabets["word"], "STOP GO NO", certainty=4.0, seed=3)
    expected = ours.decode(log_probs, options(alpha=1.0, beta=2.0, unknown_offset=-10.0))
    for kind in (int, np.float32, np.float64, np.int64):
        # as a sampler or a script may put them together, past the checks
        values = DecodingSettings.model_construct(
            **{**options().model_dump(), "alpha": kind(1), "beta": kind(2), "unknown_offset": kind(-10)}
        )
        assert ours.decode(log_probs, values) == expected


def test_a_tensor_is_as_good_as_an_array(decoders, alphabets):
    log_probs = spelled(alphabets["mixed"], "ENTER SEVENTY EIGHT", certainty=4.0, seed=5)
    ours = decoders["mixed"][0]
    assert ours.decode(torch.from_numpy(log_probs), options()) == ours.decode(log_probs, options())


def _decode_elsewhere(task):
    decoder, log_probs, values = task
    return _forked[decoder].decode(log_probs, values)


_forked = {}


def test_a_process_that_was_forked_before_decodes_with_the_weights_of_its_task(decoders, alphabets):
    ours, _ = decoders["word"]
    _forked["ours"] = ours
    log_probs = spelled(alphabets["word"], "STOP GO NO", certainty=4.0, seed=3)
    ours.decode(log_probs, options(alpha=0.1, beta=0.0))
    points = [options(alpha=alpha, beta=beta) for alpha, beta in ((0.1, 0.0), (2.0, -3.0), (0.7, 4.0))]
    with multiprocessing.get_context("fork").Pool(1) as pool:
        found = pool.map(_decode_elsewhere, [("ours", log_probs, point) for point in points])
    assert found == [ours.decode(log_probs, point) for point in points]
    assert len({one.language for one in found}) == 3


def test_history_pruning_leaves_one_of_many_and_n_best_keeps_them(decoders, alphabets):
    """Doubt in the first word alone, then words that make the language model forget it."""
    alphabet = alphabets["word"]
    log_probs = spelled(alphabet, "GO STOP STOP STOP STOP STOP")
    go, no = (alphabet.labels.index(label) for label in ("▁GO", "▁NO"))
    log_probs[1:3] = log_softmax(12.0 * (np.eye(len(alphabet))[go] + 0.9 * np.eye(len(alphabet))[no])[None])
    ours = decoders["word"][0]
    assert len(ours._search(log_probs, options(), "", prune_history=True)) == 1
    assert {one.text.split()[0] for one in ours.n_best(log_probs, options(), 10)} >= {"GO", "NO"}


@pytest.mark.parametrize("units", UNITS)
def test_words_have_their_frames(decoders, alphabets, units):
    alphabet = alphabets[units]
    log_probs = spelled(alphabet, "ENTER SEVENTY EIGHT")
    found = decoders[units][0].decode(log_probs, options())
    best = greedy_set(Posteriors(("x",), log_probs, np.array([0, len(log_probs)]), alphabet.labels), alphabet)[0]
    assert found.spans == best.spans
    starts = [1]
    for word in ("ENTER", "SEVENTY"):
        labels = len(alphabet.encode(word)) + (units == "char")
        starts.append(starts[-1] + 3 * labels)
    assert [start for start, _ in found.spans] == starts
    assert all(end > start for start, end in found.spans)


@given(st.lists(st.sampled_from(["", " ", "A", "B"]), max_size=12))
def test_spans_of_a_best_path_lie_in_order_one_for_every_word(names):
    alphabet = Alphabet("char", ("", " ", "A", "B"))
    path = np.array([alphabet.labels.index(name) for name in names], np.int64)
    words = alphabet.text(best_path(np.eye(4)[path])) if len(path) else ""
    spans = word_spans(path, alphabet)
    assert len(spans) == len(words.split())
    flat = [frame for span in spans for frame in span]
    assert flat == sorted(flat)
    assert all(names[start] in "AB" and names[end - 1] in "AB" and names[start] for start, end in spans)


def test_loading_a_language_model_says_nothing(alphabets, an4_model, capfd, caplog):
    with BeamDecoder(alphabets["word"], an4_model) as decoder:
        decoder.decode(spelled(alphabets["word"], "GO"), options())
    said = capfd.readouterr()
    assert (said.out, said.err, caplog.messages) == ("", "", [])
