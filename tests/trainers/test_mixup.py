import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.errors import UserError
from trainers.data.batches import make_batch
from trainers.data.labels import Alphabet
from trainers.data.sets import encode_targets
from trainers.losses.ctc import ctc_loss, utterance_losses
from trainers.losses.mixup import Mix, mix_features
from trainers.model.network import EncoderNetwork
from trainers.pipeline import resolve_settings, run_trial
from trainers.strategies import augmentation
from trainers.strategies.augmentation import Augmentation
from trainers.trial import Trial


@pytest.fixture
def at_work(make_spec, store, monkeypatch):
    """The loss of a step whose pairs are these, without masks and dropout, and what it is made from."""

    def step(where, mix, **model):
        values = {"augmentation.mixup_at": where, "augmentation.mixup": 1.0, "augmentation.smoothing": 0.0}
        values |= {"train.feature_masks": 0, "train.time_masks": 0, "model.dropout": 0.0}
        spec = make_spec("augmentation", {**values, **{f"model.{name}": value for name, value in model.items()}})
        trial = Trial(spec, resolve_settings(dict(spec.settings)), store, lambda report: True)
        alphabet = Alphabet.of("word", trial.train.references)
        torch.manual_seed(3)
        network = EncoderNetwork(trial.settings.model, trial.train.features.dimensions, len(alphabet)).eval()
        batch = make_batch(
            trial.train.features, np.array([5, 0, 3]), encode_targets(trial.train, alphabet, network.output_lengths)
        )
        monkeypatch.setattr(augmentation, "pair_utterances", lambda *about: mix)
        return Augmentation(trial).step(network, batch), network, batch

    return step


def mix_of(partners, weights):
    return Mix(torch.tensor(partners), torch.tensor(weights, dtype=torch.float64))


@pytest.mark.parametrize("encoder", ["conv", "bilstm"])
def test_hidden_frames_are_mixed_behind_the_encoder_and_both_transcripts_are_asked_for(at_work, encoder):
    found, network, batch = at_work("hidden", mix_of([1, 2, 2], [0.3, 0.6, 1.0]), encoder=encoder)
    hidden, lengths = network.encoder(batch.features, batch.lengths)
    own = torch.split(batch.targets, batch.target_lengths.tolist())
    total = 0.0
    for row, (partner, weight) in enumerate([(1, 0.3), (2, 0.6), (2, 1.0)]):
        length = int(max(lengths[row], lengths[partner]))
        mixture = weight * hidden[row, :length] + (1 - weight) * hidden[partner, :length]
        log_probs = network.head(mixture[None]).log_softmax(-1)
        for labels, share in ((own[row], weight), (own[partner], 1 - weight)):
            size = torch.tensor([len(labels)])
            total += share * utterance_losses(log_probs, torch.tensor([length]), labels, size).item()
    assert found.item() == pytest.approx(total / batch.tokens, rel=1e-4)
    assert found.isfinite()


@pytest.mark.parametrize("where", ["input", "hidden"])
def test_without_partners_a_step_is_that_of_ctc(at_work, where):
    found, network, batch = at_work(where, mix_of([0, 1, 2], [1.0, 1.0, 1.0]))
    expected = ctc_loss(*network(batch.features, batch.lengths), batch.targets, batch.target_lengths)
    assert found.item() == expected.item()


def test_where_it_is_mixed_makes_a_difference(at_work):
    losses = [at_work(where, mix_of([1, 0, 2], [0.5, 0.5, 1.0]))[0].item() for where in ("input", "hidden")]
    assert losses[0] != pytest.approx(losses[1], rel=1e-5)


@given(frames=st.lists(st.integers(1, 30), min_size=2, max_size=5), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_a_mixture_of_hidden_frames_is_as_long_as_the_mixture_of_their_features(frames, seed):
    lengths = torch.tensor(frames)
    mix = mix_of(np.random.default_rng(seed).permutation(len(frames)).tolist(), [0.5] * len(frames))
    features = torch.ones(len(frames), max(frames), 2)
    for subsampled in (lambda n: n, lambda n: (n + 1) // 2, lambda n: (n + 3) // 4):
        _, mixed = mix_features(features, lengths, mix)
        _, hidden = mix_features(features, subsampled(lengths), mix)
        assert torch.equal(subsampled(mixed), hidden)


@pytest.mark.parametrize("strategy", ["distillation", "self_distillation"])
def test_mixup_beside_a_teacher_is_refused_with_the_reason(make_spec, needs_of, store, strategy):
    needs = {"teacher": needs_of(strategy)["teacher"]}
    spec = make_spec(strategy, {"augmentation.mixup": 0.2}, needs)
    with pytest.raises(UserError, match=r"augmentation\.mixup: 0\.2 does not go with a teacher, which has read no"):
        run_trial(spec, store, lambda report: True)
