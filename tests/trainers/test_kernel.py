"""The search in C against pyctcdecode: equal means ``==``, for texts and for float64 scores."""

import ctypes
from collections import Counter
from itertools import islice, product

import kenlm
import numpy as np
import pytest

from search_spaces.axes.decoding import DecodingSettings
from tests.trainers.random_sweeps import (
    LANGUAGES,
    ORDERS,
    SPECIAL,
    UNITS,
    random_inputs,
    random_language,
    random_point,
    random_posteriors,
)
from trainers.artifacts import Posteriors
from trainers.data.labels import Alphabet
from trainers.decoding import library as library_module
from trainers.decoding import searching
from trainers.decoding.beam import BeamDecoder
from trainers.decoding.kernel import Kernel
from trainers.decoding.library import NotCovered, library
from trainers.decoding.searching import Search, search_set

POINT = DecodingSettings(method="beam", alpha=1.0, beta=2.0, beam_width=20)


@pytest.fixture(scope="module", autouse=True)
def _built():
    """These tests are about the kernel: without it they fail, and do not pass by way of pyctcdecode."""
    library()


@pytest.fixture(scope="module", params=list(product(UNITS, ORDERS)), ids=lambda pair: f"{pair[0]}-{pair[1]}")
def language(request, tmp_path_factory):
    units, order = request.param
    return random_language(tmp_path_factory.mktemp("language"), units, order, seed=3)


def plain(hypothesis):
    return hypothesis.id, hypothesis.text, hypothesis.acoustic, hypothesis.language


def differences(kernel, reference, posteriors, points):
    """Where the kernel, all points in a call, and pyctcdecode do not agree."""
    found, wanted = kernel.decode_points(posteriors, points), reference.decode_points(posteriors, points)
    return [
        (point, ours, theirs)
        for point, ours_all, theirs_all in zip(points, found, wanted, strict=True)
        for ours, theirs in zip(ours_all, theirs_all, strict=True)
        if plain(ours) != plain(theirs)
    ]


@pytest.mark.parametrize("number", range(LANGUAGES))
def test_texts_and_scores_are_pyctcdecodes_on_2000_random_inputs(tmp_path, number):
    language, sweeps = random_inputs(tmp_path, number)
    kernel = Kernel(language.alphabet, language.files)
    with BeamDecoder(language.alphabet, language.files) as reference:
        for sweep in sweeps:
            assert differences(kernel, reference, sweep.posteriors, sweep.points) == []


def test_the_random_inputs_hold_what_could_break_equality(tmp_path):
    seen = Counter()
    for number in range(0, LANGUAGES, 5):
        (tmp_path / str(number)).mkdir()
        language, sweeps = random_inputs(tmp_path / str(number), number)
        with BeamDecoder(language.alphabet, language.files) as reference:
            for sweep in islice(sweeps, 3):
                for point in sweep.points:
                    lists = reference.n_best_set(sweep.posteriors, point, 2)
                    for many, frames in zip(lists, sweep.posteriors, strict=True):
                        seen.update(_odd(many, language.files.words, len(frames)))
    assert min(seen[kind] for kind in ODD) >= 5, seen


ODD = (
    "one frame",
    "silence",
    "two best tie",
    "unknown word",
    "word of the model's own",
    "long word",
    "beyond the order",
)


def _odd(many, words, frames):
    said = many[0].text.split()
    totals = [one.acoustic + one.language for one in many]
    kinds = (
        frames == 1,
        not said,
        len(many) == 2 and totals[0] == totals[1],
        any(word not in words for word in said),
        any(word in SPECIAL for word in said),
        any(len(word) > 12 for word in said),
        len(said) > max(ORDERS),
    )
    return [kind for kind, holds in zip(ODD, kinds, strict=True) if holds]


def test_a_point_alone_and_among_others_gives_the_same(language):
    rng = np.random.default_rng(1)
    posteriors = random_posteriors(len(language.alphabet), 6, rng)
    points = [random_point(rng) for _ in range(6)]
    kernel = Kernel(language.alphabet, language.files)
    together = kernel.decode_points(posteriors, points)
    assert [kernel.decode_set(posteriors, point) for point in reversed(points)] == together[::-1]
    assert Kernel(language.alphabet, language.files).decode_points(posteriors, points) == together


def test_its_language_model_is_kenlms_bit_for_bit(language):
    model = kenlm.Model(str(language.files.arpa))
    ours = Kernel(language.alphabet, language.files)
    words = [*language.files.words, "unknown", "</s>", "<s>", "<unk>", "<UNK>"]
    rng, after = np.random.default_rng(2), ctypes.c_int32()
    for _ in range(60):
        state, place = kenlm.State(), library().ctc_model_start(ours._model_address)
        model.BeginSentenceWrite(state)
        for word in rng.choice(words, rng.integers(1, 10)).tolist():
            code, following = word.encode(), kenlm.State()
            number = library().ctc_model_word(ours._model_address, code, len(code))
            found = library().ctc_model_score(ours._model_address, place, number, ctypes.byref(after))
            assert found == model.BaseScore(state, word, following)
            state, place = following, after.value


@pytest.mark.parametrize(("name", "units"), [("char", "char"), ("word_seed2", "word")])
def test_on_real_posteriors_of_an4_it_gives_pyctcdecodes_texts_and_scores(an4_posteriors, an4_model, name, units):
    posteriors, alphabet, _ = an4_posteriors(name, units)
    few = posteriors.take(range(30))
    points = [POINT, POINT.model_copy(update={"alpha": 2.0, "beta": -1.0, "token_min_logp": -7.0})]
    with BeamDecoder(alphabet, an4_model) as reference:
        assert differences(Kernel(alphabet, an4_model), reference, few, points) == []


@pytest.mark.parametrize("bad", [np.nan, -np.inf, np.inf, 0.5])
def test_what_pyctcdecode_would_misread_is_refused_as_the_adapter_refuses_it(language, bad):
    posteriors = random_posteriors(len(language.alphabet), 2, np.random.default_rng(0))
    logs = posteriors.log_probs.copy()
    logs[0, 1] = bad
    broken = Posteriors(posteriors.ids, logs, posteriors.offsets, posteriors.labels)
    with pytest.raises(ValueError, match="u0"):
        Kernel(language.alphabet, language.files).decode_set(broken, POINT)
    with BeamDecoder(language.alphabet, language.files) as reference, pytest.raises(ValueError, match="u0"):
        reference.decode_set(broken, POINT)


def test_an_utterance_without_frames_is_refused(language):
    empty = Posteriors(("u0",), np.zeros((0, len(language.alphabet)), np.float32), np.array([0, 0]), ())
    with pytest.raises(ValueError, match="u0 are empty"):
        Kernel(language.alphabet, language.files).decode_set(empty, POINT)


def test_posteriors_of_another_alphabet_are_refused(language):
    other = random_posteriors(len(language.alphabet) + 1, 2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="columns"):
        Kernel(language.alphabet, language.files).decode_set(other, POINT)


def test_a_sweep_is_searched_by_the_kernel(language):
    posteriors = random_posteriors(len(language.alphabet), 4, np.random.default_rng(5))
    searched = search_set(language.alphabet, language.files, posteriors, [POINT, POINT])
    assert searched.note == ""
    assert searched.hypotheses[0] == Kernel(language.alphabet, language.files).decode_set(posteriors, POINT)


@pytest.mark.parametrize("change", ["no kernel", "no model", "an odd label"])
def test_what_the_kernel_does_not_cover_is_searched_by_pyctcdecode(language, change, monkeypatch, tmp_path):
    posteriors = random_posteriors(len(language.alphabet), 4, np.random.default_rng(5))
    alphabet, files = language.alphabet, language.files
    if change == "no kernel":
        monkeypatch.setattr(library_module, "_FOLDER", tmp_path)
        library.cache_clear()
    elif change == "no model":
        files = None
    else:  # sentencepiece has the mark alone
        odd = "\t" if alphabet.units == "char" else "▁"
        alphabet = Alphabet(alphabet.units, (*alphabet.labels[:-1], odd))
    try:
        searched = search_set(alphabet, files, posteriors, [POINT])
    finally:
        library.cache_clear()
    assert searched.note.startswith("searched by pyctcdecode: the kernel ")
    with BeamDecoder(alphabet, files) as reference:
        assert searched.hypotheses == [reference.decode_set(posteriors, POINT)]


def test_a_library_of_other_sources_is_not_used(language, monkeypatch):
    library.cache_clear()
    monkeypatch.setattr(library_module, "checksum", lambda folder: 0)
    try:
        with pytest.raises(NotCovered, match="built from other sources"):
            Kernel(language.alphabet, language.files)
    finally:
        monkeypatch.undo()
        library.cache_clear()


class Wrong(Kernel):
    """A kernel that searches at another weight than it was asked to."""

    def decode_points(self, posteriors, points):
        return super().decode_points(posteriors, [point.model_copy(update={"beta": 9.0}) for point in points])


def test_a_kernel_that_differs_is_never_believed(language, monkeypatch):
    posteriors = random_posteriors(len(language.alphabet), 4, np.random.default_rng(5))
    monkeypatch.setattr(searching, "Kernel", Wrong)
    with pytest.warns(RuntimeWarning, match="the kernel differs from it"):
        searched = search_set(language.alphabet, language.files, posteriors, [POINT])
    with BeamDecoder(language.alphabet, language.files) as reference:
        assert searched.hypotheses == [reference.decode_set(posteriors, POINT)]


def test_a_set_searched_in_parts_is_the_set_searched_at_once_whatever_the_order(language):
    posteriors = random_posteriors(len(language.alphabet), 7, np.random.default_rng(6))
    points = [POINT, POINT.model_copy(update={"beta": 3.0})]
    whole = search_set(language.alphabet, language.files, posteriors, points).hypotheses
    with Search(language.alphabet, language.files) as search:
        parts = [(part, search.decode(posteriors.take(part), points)) for part in ([5, 0, 6], [3], [1, 2, 4])]
    for number, hypotheses in enumerate(whole):
        found = {index: one for part, sets in parts for index, one in zip(part, sets[number], strict=True)}
        assert [found[index] for index in range(7)] == hypotheses


def test_once_the_kernel_differs_pyctcdecode_searches_the_other_parts_too(language, monkeypatch):
    posteriors = random_posteriors(len(language.alphabet), 4, np.random.default_rng(5))
    monkeypatch.setattr(searching, "Kernel", Wrong)
    with Search(language.alphabet, language.files) as search, BeamDecoder(language.alphabet, language.files) as wanted:
        with pytest.warns(RuntimeWarning, match="the kernel differs from it"):
            search.decode(posteriors.take([2, 0]), [POINT])
        last = posteriors.take([1, 3])
        assert search.decode(last, [POINT]) == [wanted.decode_set(last, POINT)]
    assert "the kernel differs from it" in search.note
