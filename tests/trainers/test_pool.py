"""Several processes find what one finds."""

import numpy as np
import psutil
import pytest

from search_spaces.axes.decoding import DecodingSettings
from search_spaces.errors import LanguageModelError, UserError
from tests.trainers.random_sweeps import random_language, random_point, random_posteriors
from trainers.artifacts import Posteriors
from trainers.decoding.beam import BeamDecoder
from trainers.decoding.language_model import LanguageModelFiles
from trainers.decoding.pool import DecoderPool

POINT = DecodingSettings(method="beam", alpha=1.0, beta=2.0, beam_width=20)


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    return random_language(tmp_path_factory.mktemp("language"), "mixed", 3, seed=3)


@pytest.fixture(scope="module")
def pool(language):
    with DecoderPool(language.alphabet, language.files, 2) as opened:
        yield opened


@pytest.fixture
def decoder(language):
    with BeamDecoder(language.alphabet, language.files) as opened:
        yield opened


def processes(pool):
    return [psutil.Process(process.pid) for process in pool._workers.values()]


@pytest.mark.parametrize("utterances", [0, 1, 3, 40])
def test_the_hypotheses_of_a_sweep_are_those_of_one_process(pool, decoder, language, utterances):
    rng = np.random.default_rng(utterances)
    posteriors = random_posteriors(len(language.alphabet), utterances, rng)
    points = [random_point(rng) for _ in range(5)]
    assert pool.decode_points(posteriors, points) == decoder.decode_points(posteriors, points)


def test_weights_travel_with_the_task(pool, decoder, language):
    posteriors = random_posteriors(len(language.alphabet), 30, np.random.default_rng(1))
    found = set()
    for alpha in (0.1, 2.0, 0.7, 0.1):
        point = POINT.model_copy(update={"alpha": alpha})
        decoded = pool.decode_set(posteriors, point)
        assert decoded == decoder.decode_set(posteriors, point)
        found.add(tuple(one.language for one in decoded))
    assert len(found) == 3


def test_n_best_lists_are_those_of_one_process(pool, decoder, language):
    posteriors = random_posteriors(len(language.alphabet), 30, np.random.default_rng(2))
    lists = pool.n_best_set(posteriors, POINT, 4)
    assert lists == decoder.n_best_set(posteriors, POINT, 4)
    assert max(map(len, lists)) == 4


@pytest.mark.parametrize("bad", [0, 29])
def test_a_set_that_cannot_be_searched_is_refused_by_name_and_the_pool_goes_on(pool, decoder, language, bad):
    posteriors = random_posteriors(len(language.alphabet), 30, np.random.default_rng(3))
    logs = posteriors.log_probs.copy()
    logs[posteriors.offsets[bad], 0] = np.nan
    broken = Posteriors(posteriors.ids, logs, posteriors.offsets, posteriors.labels)
    with pytest.raises(ValueError, match=f"u{bad} "):
        pool.decode_set(broken, POINT)
    assert pool.decode_set(posteriors, POINT) == decoder.decode_set(posteriors, POINT)


def test_a_language_model_that_cannot_be_loaded_is_refused_as_in_one_process(language, tmp_path):
    (tmp_path / "lm.arpa").write_text("no model")
    (tmp_path / "words.txt").write_text("GO\n")
    posteriors = random_posteriors(len(language.alphabet), 2, np.random.default_rng(4))
    with (
        DecoderPool(language.alphabet, LanguageModelFiles(tmp_path, ""), 1) as pool,
        pytest.raises(LanguageModelError, match="cannot be loaded"),
    ):
        pool.decode_set(posteriors, POINT)


def test_a_process_that_is_killed_is_an_error_that_says_so(language):
    posteriors = random_posteriors(len(language.alphabet), 2, np.random.default_rng(5))
    with DecoderPool(language.alphabet, language.files, 1) as pool:
        pool.decode_set(posteriors, POINT)
        (process,) = processes(pool)
        process.kill()
        with pytest.raises(UserError, match="ended with status -9"):
            pool.decode_set(posteriors, POINT)


def test_the_processes_end_with_the_pool(language):
    posteriors = random_posteriors(len(language.alphabet), 4, np.random.default_rng(6))
    with DecoderPool(language.alphabet, language.files, 2) as pool:
        pool.decode_set(posteriors, POINT)
        started = processes(pool)
        assert len(started) == 2
        assert all(process.is_running() for process in started)
    assert not any(process.is_running() for process in started)


def test_an_interrupt_ends_them_at_once_though_they_are_at_work(language, monkeypatch):
    long = random_posteriors(len(language.alphabet), 2000, np.random.default_rng(7))
    started = []

    def interrupted():
        with DecoderPool(language.alphabet, language.files, 2) as pool:
            pool.decode_set(long, POINT)  # they are there and have their language model
            started.extend(processes(pool))
            monkeypatch.setattr("trainers.decoding.pool.wait", _interrupt)
            pool.decode_points(long, [POINT] * 50)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(started) == 2
    assert not any(process.is_running() for process in started)


def _interrupt(channels):
    raise KeyboardInterrupt
