import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.axes.decoding import DecodingSettings
from trainers.data.labels import Alphabet
from trainers.data.manifest import read_manifest
from trainers.decoding.beam import BeamDecoder
from trainers.decoding.frames import collapse, sound_frames

UNITS = ("char", "word", "mixed")


@pytest.fixture(scope="module")
def decoders(root, an4_model):
    texts = [utterance.text for utterance in read_manifest(root / "data/an4/train.jsonl")]
    alphabets = {units: Alphabet.of(units, texts) for units in UNITS}
    opened = {units: BeamDecoder(alphabet, an4_model) for units, alphabet in alphabets.items()}
    yield {units: (alphabets[units], opened[units]) for units in UNITS}
    for decoder in opened.values():
        decoder.__exit__(None, None, None)


def spiky(alphabet, seed, doubt):
    """Posteriors as CTC has them: runs of one label without doubt, and some frames in doubt among them."""
    rng = np.random.default_rng(seed)
    text = "ENTER SEVENTY EIGHT STOP"
    path = [0] * int(rng.integers(0, 3))
    for label in alphabet.encode(text):
        path += [label] * int(rng.integers(1, 4)) + [0] * int(rng.integers(1, 5))
    logits = 14.0 * np.eye(len(alphabet))[path]
    doubtful = rng.random(len(path)) < doubt
    logits[doubtful] = logits[doubtful] * 0.2 + 1.5 * rng.standard_normal((int(doubtful.sum()), len(alphabet)))
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


@settings(max_examples=40)
@given(
    units=st.sampled_from(UNITS),
    seed=st.integers(0, 9999),
    doubt=st.sampled_from([0.0, 0.1, 0.3, 0.6]),
    alpha=st.sampled_from([0.0, 0.5, 2.0]),
    beta=st.sampled_from([-2.0, 1.5]),
    token_min_logp=st.sampled_from([-7.0, -5.0, -2.0, 0.0]),
    beam_width=st.sampled_from([1, 5, 30]),
    prune_history=st.booleans(),
)
def test_hypotheses_scores_and_times_are_those_of_all_frames(
    decoders, units, seed, doubt, alpha, beta, token_min_logp, beam_width, prune_history
):
    alphabet, decoder = decoders[units]
    log_probs = spiky(alphabet, seed, doubt)
    options = DecodingSettings(
        method="beam", alpha=alpha, beta=beta, token_min_logp=token_min_logp, beam_width=beam_width
    )
    found = decoder._search(log_probs, options, "", prune_history=prune_history)
    frames = sound_frames(log_probs, len(alphabet))
    whole = decoder._decoder.decode_beams(
        frames,
        beam_width=beam_width,
        beam_prune_logp=options.beam_prune_logp,
        token_min_logp=token_min_logp,
        prune_history=prune_history,
    )
    assert [one.text for one in found] == [text for text, *_ in whole]
    assert [one.spans for one in found] == [tuple(span for _, span in words) for _, _, words, _, _ in whole]
    assert [one.acoustic for one in found] == pytest.approx([acoustic for *_, acoustic, _ in whole], abs=1e-6)
    totals = [one.acoustic + one.language for one in found]
    assert totals == pytest.approx([total for *_, total in whole], abs=1e-6)


@pytest.mark.parametrize("units", UNITS)
def test_of_frames_without_doubt_many_go(decoders, units):
    alphabet, _ = decoders[units]
    sets = [sound_frames(spiky(alphabet, seed, doubt=0.0), len(alphabet)) for seed in range(20)]
    assert sum(len(collapse(one, -5.0).log_probs) for one in sets) < 0.7 * sum(map(len, sets))


def test_a_frame_goes_only_if_it_and_the_one_before_it_know_the_same_single_label():
    sure, other = np.log([0.98, 0.01, 0.01]), np.log([0.01, 0.98, 0.01])
    torn, torn_less = np.log([0.6, 0.39, 0.01]), np.log([0.7, 0.29, 0.01])
    rows = np.array([sure, sure, sure, other, other, torn, torn_less, sure, sure])
    found = collapse(rows, token_min_logp=-2.0)
    assert found.starts.tolist() == [0, 3, 5, 6, 7, 9]
    assert found.log_probs == pytest.approx(rows[[0, 3, 5, 6, 7]])
    assert found.rest == pytest.approx(4 * np.log(0.98))
    assert found.original((1, 2)) == (3, 5)
    assert found.original((0, 5)) == (0, 9)
    strict = collapse(rows, token_min_logp=0.0)  # the best label alone is tried
    assert strict.starts.tolist() == [0, 3, 5, 9]


@given(seed=st.integers(0, 999), shift=st.floats(-0.009, 0.009))
def test_sound_frames_sum_to_one_however_coarsely_they_were_stored(seed, shift):
    logits = 4 * np.random.default_rng(seed).standard_normal((6, 5))
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    found = sound_frames(log_probs + shift, 5)
    assert np.logaddexp.reduce(found, axis=1) == pytest.approx(np.zeros(6), abs=1e-12)
    assert found == pytest.approx(log_probs, abs=1e-9)
    half = sound_frames(log_probs.astype(np.float16), 5)
    assert half == pytest.approx(log_probs, abs=0.02)
