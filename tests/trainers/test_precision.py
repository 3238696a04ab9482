import math

import pytest
import torch

from search_spaces.axes.model import ModelSettings
from search_spaces.axes.train import TrainSettings
from search_spaces.errors import UserError
from trainers.loop import Diverged, train
from trainers.losses.ctc import ctc_loss
from trainers.model.network import EncoderNetwork
from trainers.pipeline import run_trial
from trainers.precision import MixedPrecision


def network_for(corpus, encoder="conv"):
    torch.manual_seed(1)
    settings = ModelSettings(encoder=encoder, layers=1, hidden=16, dropout=0.0)
    return EncoderNetwork(settings, corpus.train.features.dimensions, len(corpus.alphabet))


class Ctc:
    """CTC times a factor, which may differ from step to step."""

    def __init__(self, factor=lambda step: 1.0):
        self.factor = factor
        self.steps = 0

    def by_length(self, epoch):
        return False

    def step(self, network, batch):
        self.steps += 1
        log_probs, lengths = network(batch.features, batch.lengths)
        return ctc_loss(log_probs, lengths, batch.targets, batch.target_lengths) * self.factor(self.steps)


class Overflowing(torch.autograd.Function):
    """The identity, whose gradient is infinite."""

    @staticmethod
    def forward(ctx, value):
        return value.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * math.inf


def settings_of(**values):
    return TrainSettings(**{"epochs": 3, "lr": 0.03, "batch_frames": 120, "feature_mask_width": 1, **values})


def always(report):
    return True


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_the_tiny_data_as_float32_does(make_spec, store, precision):
    outcomes = [
        run_trial(make_spec(values={"train.epochs": 12, "train.precision": kind}), store, always)
        for kind in ("fp32", precision)
    ]
    assert outcomes[1].score.wer < 30
    losses = [outcome.epochs[0].loss for outcome in outcomes]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert outcomes[1].computed_on == f"cpu, {precision}"


def test_a_recurrent_network_learns_in_bf16(make_spec, store):
    spec = make_spec(values={"train.epochs": 12, "train.precision": "bf16", "model.encoder": "bilstm"})
    outcome = run_trial(spec, store, always)
    assert outcome.epochs[-1].loss < 0.7 * outcome.epochs[0].loss


def test_a_recurrent_network_in_fp16_on_a_cpu_is_refused_in_plain_words(make_spec, store):
    spec = make_spec(values={"train.precision": "fp16", "model.encoder": "bilstm"})
    with pytest.raises(UserError, match="a CPU has no recurrent layers in fp16; use bf16 or fp32, or a GPU"):
        run_trial(spec, store, always)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_the_gradient_that_is_clipped_is_that_of_the_loss_itself(corpus, precision):
    network = network_for(corpus)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    mixed = MixedPrecision(precision, network, optimizer)
    features, lengths = torch.randn(1, 40, 6), torch.tensor([40])

    def loss():
        with mixed.forward():
            log_probs, frames = network(features, lengths)
            return ctc_loss(log_probs, frames, torch.tensor([1, 2]), torch.tensor([2]))

    mixed.backward(loss())
    found = torch.nn.utils.get_total_norm([weight.grad for weight in network.parameters()])
    network.zero_grad()
    loss().backward()
    wanted = torch.nn.utils.get_total_norm([weight.grad for weight in network.parameters()])
    torch.testing.assert_close(found, wanted, rtol=2e-2, atol=0)


def test_the_weights_and_the_checkpoint_stay_in_float32(corpus, tmp_path):
    network = network_for(corpus)
    progress = train(network, Ctc(), corpus, settings_of(precision="bf16"), tmp_path, always)
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert {value.dtype for value in progress.best_weights.values()} <= {torch.float32, torch.int64}


class OverflowingAtFirst(Ctc):
    """CTC whose gradient is infinite for some steps."""

    def __init__(self, steps):
        super().__init__()
        self.infinite = steps

    def step(self, network, batch):
        loss = super().step(network, batch)
        return Overflowing.apply(loss) if self.steps <= self.infinite else loss


def test_steps_that_the_search_for_the_factor_leaves_out_are_no_bad_steps(corpus, tmp_path):
    # 65536 can be halved 16 times; the first epoch is left out as a whole
    progress = train(
        network_for(corpus), OverflowingAtFirst(5), corpus, settings_of(precision="fp16"), tmp_path, always
    )
    first, *rest = progress.reports
    assert progress.bad_steps == 0
    assert math.isfinite(first.loss)
    assert math.isnan(first.gradient_norm)
    assert all(math.isfinite(report.gradient_norm) for report in rest)


def test_without_a_factor_to_lower_an_infinite_gradient_is_a_bad_step(corpus, tmp_path):
    with pytest.raises(Diverged, match="no number 4 steps in a row, last in epoch 1 at step 4 of 4"):
        train(network_for(corpus), OverflowingAtFirst(99), corpus, settings_of(), tmp_path, always)


def test_the_search_ends_when_the_factor_is_one(corpus, tmp_path):
    objective = OverflowingAtFirst(10**6)
    with pytest.raises(Diverged, match="no number 10 steps in a row"):
        train(network_for(corpus), objective, corpus, settings_of(precision="fp16", batch_frames=1), tmp_path, always)
    # 16 halvings and eight bad steps are the first two epochs; the third, which counts anew, has ten
    assert objective.steps == 16 + 8 + 10


def test_a_loss_that_is_no_number_is_a_bad_step_in_fp16_too(corpus, tmp_path):
    objective = Ctc(lambda step: math.nan if step == 2 else 1.0)
    progress = train(network_for(corpus), objective, corpus, settings_of(precision="fp16"), tmp_path, always)
    assert progress.bad_steps == 1


def test_the_factor_of_the_loss_goes_on_where_it_was(corpus):
    network = network_for(corpus)
    first, second = (MixedPrecision("fp16", network, torch.optim.SGD(network.parameters(), lr=1.0)) for _ in range(2))
    first.backward(Overflowing.apply(sum(weight.sum() for weight in network.parameters())))
    assert first.step(1.0, math.inf) == "searched"
    assert first.state()["scale"] == 2.0**15
    second.restore(first.state())
    assert second.state() == first.state()
