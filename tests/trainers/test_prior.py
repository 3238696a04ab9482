import json

import numpy as np
import pytest
import torch

from search_spaces.axes.decoding import DecodingSettings
from search_spaces.errors import CheckpointError
from trainers.artifacts import Hypothesis
from trainers.checkpoint import load_checkpoint
from trainers.data.sets import load_set
from trainers.decoding.language_model import ARPA, LanguageModelFiles
from trainers.emission import emit
from trainers.outcomes import HYPOTHESES
from trainers.pipeline import run_trial
from trainers.prior import PRIOR, label_prior, read_prior
from trainers.recogniser import DECODER, Recogniser, export_system
from trainers.source import CheckpointSource

CHANGED = {"temperature": 1.5, "prior_scale": 0.4, "blank_bias": -0.7, "unknown_offset": -3.0}


@pytest.fixture(scope="module")
def network(trained):
    return load_checkpoint(trained.folder)


@pytest.fixture
def trial(trained, at_hand):
    return at_hand(trained.spec, trained.store)


def test_the_prior_is_the_mean_posterior_of_the_training_set_computed_once(trained, trial, network, tiny, monkeypatch):
    train = load_set(trained.store, tiny.train, network.features)
    source = CheckpointSource(trial, "key", network)
    key, prior = label_prior(trained.store, source)
    log_probs, _ = emit(network.network(), train.features)
    assert prior == pytest.approx(np.exp(log_probs.astype(np.float64)).mean(axis=0), abs=1e-6)
    assert prior.sum() == pytest.approx(1)
    assert prior.argmax() == 0
    monkeypatch.setattr("trainers.source.emit_batches", None)
    again, same = label_prior(trained.store, source)
    assert again == key
    assert (same == prior).all()


def test_a_label_that_is_never_said_has_the_share_of_one_frame(trained, trial, network, monkeypatch):
    silent = torch.full((1, 50, len(network.alphabet)), -1e4)
    silent[..., 0] = 0.0
    monkeypatch.setattr("trainers.source.emit_batches", lambda *_: [(None, silent, torch.tensor([40]))])
    _, prior = label_prior(trained.store, CheckpointSource(trial, "silent", network))
    labels = len(network.alphabet)
    assert prior == pytest.approx(np.array([40, *[1] * (labels - 1)]) / (40 + labels - 1))


@pytest.mark.parametrize("content", [None, "{", '{"": 1.0}', "[1]", "null"])
def test_a_prior_that_is_none_of_the_network_s_is_refused(network, tmp_path, content):
    if content is not None:
        (tmp_path / PRIOR).write_text(content)
    with pytest.raises(CheckpointError, match=r"prior\.json is no label prior of this network"):
        read_prior(tmp_path, network.alphabet)
    zeros = dict.fromkeys(network.alphabet.labels, 0.0)
    (tmp_path / PRIOR).write_text(json.dumps(zeros))
    with pytest.raises(CheckpointError, match="a probability above 0"):
        read_prior(tmp_path, network.alphabet)


@pytest.mark.parametrize("method", ["greedy", "beam"])
def test_an_exported_system_decodes_as_its_trial_did_and_shows_its_settings(
    trained, make_spec, needs_of, tiny, tmp_path, method
):
    values = {f"decoding.{name}": value for name, value in CHANGED.items()} | {"decoding.method": method}
    values["language_model.discount_fallback"] = True
    spec = make_spec("decoding", values, needs_of("decoding"))
    outcome = run_trial(spec, trained.store, lambda report: True)
    assert outcome.prior
    lines = (trained.store.path("outcomes", spec.key) / HYPOTHESES).read_text(encoding="utf-8").splitlines()
    recorded = [json.loads(line) for line in lines]
    key = outcome.language_model
    export_system(
        tmp_path,
        trained.folder,
        DecodingSettings.model_validate(spec.settings["decoding"]),
        LanguageModelFiles(trained.store.path("language_models", key), key) if key else None,
        {},
        trained.store.path("priors", outcome.prior),
    )
    shown = json.loads((tmp_path / DECODER).read_text())
    assert {name: shown[name] for name in CHANGED} == CHANGED
    system = Recogniser.load(tmp_path)
    dev = load_set(trained.store, tiny.dev, system.checkpoint.features)
    found = system.recognise(dev.features)
    assert [(one.id, one.text, one.acoustic, one.language) for one in found] == [
        (line["id"], line["hypothesis"], line["acoustic"], line["language"]) for line in recorded
    ]
    if method == "beam":
        moved = (tmp_path / ARPA).rename(tmp_path / "moved")
        with pytest.raises(CheckpointError, match=r"its beam search needs lm\.arpa"):
            Recogniser.load(tmp_path)
        moved.rename(tmp_path / ARPA)
    (tmp_path / PRIOR).unlink()
    with pytest.raises(CheckpointError, match=r"prior\.json is no label prior"):
        Recogniser.load(tmp_path)


def test_settings_of_the_posteriors_change_what_is_recognised(trained, network, tiny):
    dev = load_set(trained.store, tiny.dev, network.features)
    quiet = Recogniser(network, DecodingSettings(blank_bias=50.0), None, {})
    assert [one.text for one in quiet.recognise(dev.features)] == [""] * len(dev)


def test_n_best_lists_of_a_system_have_scores_apart_and_those_of_greedy_one_entry(trained, network, tiny):
    dev = load_set(trained.store, tiny.dev, network.features)
    greedy = Recogniser(network, DecodingSettings(), None, {}).n_best(dev.features, 5)
    assert [len(many) for many in greedy] == [1] * len(dev)
    wide = DecodingSettings(method="beam", token_min_logp=-12.0, beam_prune_logp=-30.0)
    lists = Recogniser(network, wide, None, {}).n_best(dev.features, 5)
    assert [many[0].id for many in lists] == list(dev.features.ids)
    assert max(map(len, lists)) > 1
    for many in lists:
        assert all(isinstance(one, Hypothesis) and one.language is None for one in many)
        scores = [one.acoustic for one in many]
        assert scores == sorted(scores, reverse=True)
