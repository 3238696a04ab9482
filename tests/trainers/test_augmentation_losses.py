import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainers.random_batches import LABELS, batch_of, padding, utterances
from trainers.losses.consistency import consistency_loss, consistent_ctc_loss
from trainers.losses.ctc import ctc_loss, utterance_losses
from trainers.losses.mixup import Mix, mix_features, mixup_loss, pair_utterances
from trainers.losses.smoothing import smooth, uniform_labels, unigram_labels

seeds = st.integers(0, 999)


def smoothed(log_probs, lengths, targets, target_lengths, epsilon, labels):
    """CTC with label smoothing."""
    return smooth(ctc_loss(log_probs, lengths, targets, target_lengths), log_probs, lengths, epsilon, labels)


def test_smoothing_is_over_the_labels_without_the_blank():
    assert uniform_labels(5).tolist() == [0, 0.25, 0.25, 0.25, 0.25]
    assert unigram_labels(torch.tensor([3, 1, 3, 3]), 5).tolist() == [0, 0.25, 0, 0.75, 0]


@settings(deadline=None, max_examples=30)
@given(shapes=utterances, seed=seeds, epsilon=st.sampled_from([0.005, 0.1, 1.0]), uniform=st.booleans())
def test_smoothing_and_its_gradient_are_those_of_the_formula(shapes, seed, epsilon, uniform):
    logits, lengths, targets, target_lengths = batch_of(shapes, seed, extra=2)
    u = uniform_labels(LABELS) if uniform else unigram_labels(torch.tensor([1, 2, 2, 4]), LABELS)
    logits.requires_grad_()
    loss = smoothed(logits.log_softmax(-1), lengths, targets, target_lengths, epsilon, u)
    valid = ~padding(logits, lengths)
    p = logits.detach().softmax(-1)
    kept = u > 0
    divergence = (u[kept] * (u[kept].log() - p[valid][:, kept].log())).sum(-1).mean()
    ctc = ctc_loss(logits.log_softmax(-1), lengths, targets, target_lengths)
    assert loss.item() == pytest.approx((1 - epsilon) * ctc.item() + epsilon * divergence.item(), rel=1e-9)
    (found,) = torch.autograd.grad(loss, logits)
    (expected,) = torch.autograd.grad((1 - epsilon) * ctc, logits)
    expected = expected + epsilon * (p - u) * valid[..., None] / lengths.sum()
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_an_utterance_alone_has_its_own_smoothing_and_a_batch_the_mean_over_its_frames():
    shapes = [(9, 2), (6, 1)]
    logits, lengths, targets, target_lengths = batch_of(shapes, 0, extra=3)
    log_probs, u = logits.log_softmax(-1), uniform_labels(LABELS)
    whole = smoothed(log_probs, lengths, targets, target_lengths, 1.0, u)
    parts = [
        smoothed(log_probs[i : i + 1, :frames], lengths[i : i + 1], targets[:1], torch.tensor([1]), 1.0, u)
        for i, (frames, _) in enumerate(shapes)
    ]
    assert whole.item() == pytest.approx((9 * parts[0].item() + 6 * parts[1].item()) / 15, rel=1e-12)


lengths_of_batches = st.lists(st.integers(1, 40), min_size=1, max_size=12)


@settings(deadline=None, max_examples=100)
@given(frames=lengths_of_batches, seed=seeds, share=st.sampled_from([0.0, 0.3, 1.0]), spread=st.sampled_from([0, 0.2]))
def test_an_utterance_is_mixed_with_its_neighbour_in_length_or_not_at_all(frames, seed, share, spread):
    lengths = torch.tensor(frames)
    mix = pair_utterances(lengths, share, 0.5, np.random.default_rng(seed), spread)
    order = sorted(range(len(frames)), key=lambda row: frames[row])
    for row, (partner, weight) in enumerate(zip(mix.partners.tolist(), mix.weights.tolist(), strict=True)):
        if partner == row:
            assert weight == 1
            continue
        assert share > 0
        assert 0 <= weight < 1
        assert abs(order.index(row) - order.index(partner)) == 1
        assert max(frames[row], frames[partner]) <= (1 + spread) * min(frames[row], frames[partner])
    if share == 1 and len(set(frames)) == 1 < len(frames):
        # whoever has a neighbour of its own length is mixed, unless the draw itself was 1
        assert (mix.partners != torch.arange(len(frames))).all()


def test_the_share_and_the_distribution_are_those_asked_for_and_the_generator_decides():
    lengths = torch.full((20_000,), 50)
    mix = pair_utterances(lengths, 0.25, 2.0, np.random.default_rng(0))
    drawn = mix.weights[mix.weights < 1]
    assert len(drawn) / len(lengths) == pytest.approx(0.25, abs=0.01)
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.01)
    assert drawn.var().item() == pytest.approx(1 / 20, abs=0.003)
    assert (mix.partners < torch.arange(20_000)).sum() / len(drawn) == pytest.approx(0.5, abs=0.03)
    again = pair_utterances(lengths, 0.25, 2.0, np.random.default_rng(0))
    assert torch.equal(again.partners, mix.partners)
    assert torch.equal(again.weights, mix.weights)
    other = pair_utterances(lengths, 0.25, 2.0, np.random.default_rng(1))
    assert not torch.equal(other.weights, mix.weights)


def test_the_generator_stands_at_the_same_place_whatever_the_share():
    left = []
    for share in (0.0, 1.0):
        rng = np.random.default_rng(0)
        pair_utterances(torch.tensor([5, 6, 7]), share, 0.5, rng)
        left.append(rng.random())
    assert left[0] == left[1]


def test_a_mixture_is_as_long_as_the_longer_and_reads_no_padding():
    features = torch.tensor([[1.0, 2, 3], [4, 5, 99], [7, math.nan, math.nan]])[..., None]
    lengths = torch.tensor([3, 2, 1])
    mix = Mix(torch.tensor([1, 0, 2]), torch.tensor([0.5, 0.25, 1.0], dtype=torch.float64))
    mixed, frames = mix_features(features, lengths, mix)
    assert frames.tolist() == [3, 3, 1]
    assert mixed[..., 0].tolist() == [[2.5, 3.5, 1.5], [1.75, 2.75, 2.25], [7, 0, 0]]


@settings(deadline=None, max_examples=30)
@given(shapes=utterances, seed=seeds)
def test_features_and_lengths_that_nobody_is_mixed_into_stay_as_they_are(shapes, seed):
    features, lengths, _, _ = batch_of(shapes, seed, dtype=torch.float32)
    features[padding(features, lengths)] = 0
    mix = pair_utterances(lengths, 0.0, 0.5, np.random.default_rng(seed))
    mixed, frames = mix_features(features, lengths, mix)
    assert torch.equal(mixed, features)
    assert torch.equal(frames, lengths)


@settings(deadline=None, max_examples=30)
@given(shapes=utterances, seed=seeds, share=st.sampled_from([0.3, 1.0]))
def test_the_loss_of_mixtures_asks_for_both_transcripts_each_with_its_weight(shapes, seed, share):
    _, lengths, targets, target_lengths = batch_of(shapes, seed)
    mix = pair_utterances(lengths, share, 0.5, np.random.default_rng(seed), spread=0.5)
    longer = torch.maximum(lengths, lengths[mix.partners])
    log_probs = batch_of(shapes, seed, extra=2)[0].log_softmax(-1).requires_grad_()
    loss = mixup_loss(log_probs, longer, targets, target_lengths, mix)
    own = torch.split(targets, target_lengths.tolist())
    expected = log_probs.new_zeros(())
    for row, (partner, weight) in enumerate(zip(mix.partners.tolist(), mix.weights.tolist(), strict=True)):
        for labels, share_of_it in ((own[row], weight), (own[partner], 1 - weight)):
            alone = ctc_loss(
                log_probs[row : row + 1], longer[row : row + 1], labels, torch.tensor([len(labels)])
            ) * len(labels)
            expected = expected + share_of_it * alone / len(targets)
    # two targets that fit their own utterances fit the mixture
    assert loss.isfinite()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
    found, wanted = (torch.autograd.grad(value, log_probs)[0] for value in (loss, expected))
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)


def test_a_target_that_does_not_fit_the_mixture_is_not_hidden():
    log_probs = batch_of([(5, 1), (5, 1)], 0)[0].log_softmax(-1)
    mix = Mix(torch.tensor([1, 1]), torch.tensor([0.5, 1.0], dtype=torch.float64))
    targets, target_lengths = torch.tensor([1, 2, 2, 2]), torch.tensor([1, 3])
    assert mixup_loss(log_probs, torch.tensor([4, 5]), targets, target_lengths, mix).item() == math.inf


@settings(deadline=None, max_examples=30)
@given(shapes=utterances, seed=seeds)
def test_the_losses_of_utterances_add_up_to_ctc(shapes, seed):
    logits, *rest = batch_of(shapes, seed, extra=2)
    log_probs = logits.log_softmax(-1)
    each = utterance_losses(log_probs, *rest)
    assert each.shape == (len(shapes),)
    assert each.sum().item() / len(rest[1]) == pytest.approx(ctc_loss(log_probs, *rest).item(), rel=1e-12)


@settings(deadline=None, max_examples=30)
@given(shapes=utterances, seed=seeds)
def test_consistency_and_its_gradient_are_those_of_the_formula(shapes, seed):
    views = [batch_of(shapes, seed + i, extra=2)[0].requires_grad_() for i in range(2)]
    lengths = batch_of(shapes, seed)[1]
    loss = consistency_loss(*(view.log_softmax(-1) for view in views), lengths, 3)
    valid = ~padding(views[0], lengths)[..., None]
    a, b = (view.detach().softmax(-1) for view in views)
    expected = (valid * ((a * (a / b).log()) + b * (b / a).log())).sum() / 6
    assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
    found = torch.autograd.grad(loss, views)
    torch.testing.assert_close(found[0], valid * (a - b) / 6, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found[1], valid * (b - a) / 6, rtol=1e-9, atol=1e-12)


def test_consistency_does_not_care_which_view_is_which_and_is_zero_for_equal_ones():
    first, lengths, targets, target_lengths = batch_of([(9, 2), (6, 1)], 0, extra=1)
    second = batch_of([(9, 2), (6, 1)], 1, extra=1)[0].log_softmax(-1)
    first = first.log_softmax(-1)
    assert consistency_loss(first, second, lengths, 3).item() == consistency_loss(second, first, lengths, 3).item()
    assert consistency_loss(first, first, lengths, 3).item() == 0
    plain = ctc_loss(first, lengths, targets, target_lengths)
    assert consistent_ctc_loss(first, first, lengths, targets, target_lengths, 0.2).item() == plain.item()
    mean = (plain + ctc_loss(second, lengths, targets, target_lengths)) / 2
    found = consistent_ctc_loss(first, second, lengths, targets, target_lengths, 0.2)
    assert found.item() == pytest.approx((mean + 0.2 * consistency_loss(first, second, lengths, 3)).item(), rel=1e-12)
