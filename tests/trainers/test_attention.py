import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn
from torch.nn import functional

from search_spaces.axes.model import ModelSettings
from search_spaces.errors import CampaignError
from search_spaces.reading import read_campaign
from trainers.checkpoint import load_checkpoint
from trainers.losses.ctc import ctc_loss
from trainers.model.attention import BLOCK, AttentionBlock, AttentionGate, WindowedAttention
from trainers.model.layers import valid_mask
from trainers.model.network import EncoderNetwork
from trainers.pipeline import run_trial
from trainers.store import Store
from trainers.strategies import catalogue

WIDTH, HEADS = 8, 2
BLOCKS = [AttentionBlock, AttentionGate]
KINDS = ["windowed", "gate"]


def build(kind, window=3, width=WIDTH, heads=HEADS):
    """A block that has learnt something, so that it is not the identity."""
    block = kind(width, window=window, heads=heads)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.5)
    return block


def batch_of(lengths, extra=0, padding=float("nan")):
    lengths = torch.tensor(lengths)
    hidden = torch.randn(len(lengths), int(lengths.max()) + extra, WIDTH)
    hidden[~valid_mask(lengths, hidden.shape[1])] = padding
    return hidden, lengths


def full_matrix(attention, frames, valid):
    """The same attention by way of all scores, T x T."""
    batch, length, width = frames.shape
    query, key, value = (
        part.view(batch, length, attention.heads, -1).transpose(1, 2) for part in attention.project(frames).chunk(3, 2)
    )
    times = torch.arange(length)
    near = (times[:, None] - times).abs() <= attention.window
    seen = near & valid[:, None, None, :] | torch.eye(length, dtype=torch.bool)
    scores = query @ key.transpose(2, 3) / math.sqrt(width // attention.heads)
    weights = scores.masked_fill(~seen, -math.inf).softmax(3)
    return (weights @ value).transpose(1, 2).flatten(2)


def network(encoder, attention, **more):
    return EncoderNetwork(
        ModelSettings(encoder=encoder, layers=2, hidden=8, dropout=0.2, attention=attention, **more), 5, 4
    )


def step_of(encoder, attention):
    """Network after construction, its first loss with all gradients, and the next random number."""
    torch.manual_seed(3)
    net = network(encoder, attention)
    features, lengths = torch.randn(3, 40, 5), torch.tensor([40, 22, 31])
    log_probs, out = net(features, lengths)
    loss = ctc_loss(log_probs, out, torch.tensor([1, 2, 3, 1, 2]), torch.tensor([2, 1, 2]))
    loss.backward()
    return net, loss.detach(), torch.rand(1)


@pytest.mark.parametrize("window", [1, 3, 16, 40, 200])
@pytest.mark.parametrize("lengths", [[1], [2, 1], [33, 7, 32], [150, 100, 1, 64]])
def test_it_equals_attention_by_way_of_the_full_matrix_in_values_and_all_gradients(window, lengths):
    torch.manual_seed(0)
    attention = build(WindowedAttention, window).double()
    hidden, lengths = batch_of(lengths, extra=2, padding=9.0)
    valid = valid_mask(lengths, hidden.shape[1])
    results = []
    for compute in (attention, lambda *batch: full_matrix(attention, *batch)):
        attention.zero_grad()
        frames = hidden.double().requires_grad_()
        context = compute(frames, valid)
        assert context.isfinite().all()
        context[valid].pow(3).sum().backward()
        results.append([context[valid], frames.grad, *(parameter.grad for parameter in attention.parameters())])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_with_a_window_over_everything_it_is_the_attention_of_torch():
    torch.manual_seed(0)
    attention = build(WindowedAttention, 50)
    theirs = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(attention.project.weight)
        theirs.in_proj_bias.copy_(attention.project.bias)
        theirs.out_proj.weight.copy_(torch.eye(WIDTH))
        theirs.out_proj.bias.zero_()
    frames, lengths = batch_of([40, 17], padding=0.0)
    valid = valid_mask(lengths, 40)
    expected, _ = theirs(frames, frames, frames, key_padding_mask=~valid)
    torch.testing.assert_close(attention(frames, valid)[valid], expected[valid])


@pytest.mark.parametrize("kind", BLOCKS)
@settings(deadline=None, max_examples=40)
@given(
    lengths=st.lists(st.integers(1, 3 * BLOCK), min_size=1, max_size=5),
    window=st.integers(1, 2 * BLOCK),
    extra=st.integers(0, BLOCK),
    padding=st.sampled_from([0.0, 1e4, float("nan")]),
)
def test_an_utterance_does_not_know_its_padding_or_its_batch(kind, lengths, window, extra, padding):
    torch.manual_seed(len(lengths))
    block = build(kind, window)
    hidden, lengths = batch_of(lengths, extra, padding)
    outputs = block(hidden, lengths)
    for i, length in enumerate(lengths.tolist()):
        alone = block(hidden[i : i + 1, :length], lengths[i : i + 1])
        torch.testing.assert_close(outputs[i, :length], alone[0], rtol=1e-5, atol=1e-5)
        assert not outputs[i, length:].any()


@pytest.mark.parametrize("kind", BLOCKS)
def test_no_gradient_flows_from_padding_or_into_it(kind):
    torch.manual_seed(0)
    block = build(kind)
    gradients = []
    for padding in (0.0, float("nan")):
        torch.manual_seed(1)
        hidden, lengths = batch_of([33, 70, 8], extra=9, padding=padding)
        valid = valid_mask(lengths, hidden.shape[1])
        hidden.requires_grad_()
        outputs = block(hidden, lengths)
        # a loss that asks something of padding too
        direction = torch.randn_like(outputs)
        direction[~valid] = 0.0 if padding == 0 else 1e6
        block.zero_grad()
        outputs.backward(direction)
        assert not hidden.grad[~valid].any()
        gradients.append([hidden.grad, *(parameter.grad for parameter in block.parameters())])
    for clean, dirty in zip(*gradients, strict=True):
        torch.testing.assert_close(clean, dirty)


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("window", [2, BLOCK - 1, BLOCK + 5])
@pytest.mark.parametrize("changed", [0, BLOCK - 1, BLOCK, 77])
def test_a_frame_outside_the_window_has_no_say_and_one_at_its_edge_has(kind, window, changed):
    torch.manual_seed(0)
    block = build(kind, window)
    hidden, lengths = batch_of([100])
    other = hidden.clone()
    other[0, changed] += torch.randn(WIDTH)
    moved = (block(hidden, lengths) != block(other, lengths)).any(2)[0]
    assert moved.tolist() == [abs(t - changed) <= window for t in range(100)]


@pytest.mark.parametrize("kind", BLOCKS)
def test_gradients_are_exact(kind):
    torch.manual_seed(0)
    block = build(kind, window=2, width=4, heads=2).double()
    names, parameters = zip(*block.named_parameters(), strict=True)
    lengths = torch.tensor([7, 4])

    def run(hidden, *weights):
        return torch.func.functional_call(block, dict(zip(names, weights, strict=True)), (hidden, lengths))

    hidden = torch.randn(2, 8, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(run, (hidden, *(p.detach().requires_grad_() for p in parameters)))


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_fresh_block_is_the_identity_bit_for_bit_and_can_learn(kind, dtype):
    torch.manual_seed(0)
    block = kind(WIDTH, window=3, heads=HEADS).to(dtype)
    hidden, lengths = batch_of([50, 20], padding=0.0)
    hidden = hidden.to(dtype).requires_grad_()
    direction = torch.randn_like(hidden) * valid_mask(lengths, 50)[:, :, None]
    output = block(hidden, lengths)
    output.backward(direction)
    assert torch.equal(output, hidden)
    assert torch.equal(hidden.grad, direction)
    way_in = block.gamma if kind is AttentionBlock else block.gate.weight
    assert way_in.grad.abs().max() > 0


@pytest.mark.parametrize("encoder", ["conv", "bilstm"])
@pytest.mark.parametrize("attention", KINDS)
def test_it_starts_as_the_baseline_in_weights_loss_gradients_and_draws(encoder, attention):
    plain, loss, draw = step_of(encoder, "none")
    ours, our_loss, our_draw = step_of(encoder, attention)
    assert torch.equal(our_loss, loss)
    assert torch.equal(our_draw, draw)
    theirs = dict(plain.named_parameters())
    shared = {name: p for name, p in ours.named_parameters() if not name.startswith("attention.")}
    assert shared.keys() == theirs.keys()
    for name, parameter in shared.items():
        assert torch.equal(parameter, theirs[name])
        assert torch.equal(parameter.grad, theirs[name].grad)
    learning = {name for name, p in ours.named_parameters() if name not in theirs and p.grad.any()}
    assert learning == (
        {"attention.gamma"} if attention == "windowed" else {"attention.gate.weight", "attention.gate.bias"}
    )
    batch = torch.randn(2, 30, 5), torch.tensor([30, 12])
    for a, b in zip(plain.eval()(*batch), ours.eval()(*batch), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("encoder", ["conv", "bilstm"])
@pytest.mark.parametrize("attention", ["none", *KINDS])
def test_a_tap_lies_below_the_attention_and_changes_nothing_of_the_output(encoder, attention):
    torch.manual_seed(0)
    net = network(encoder, attention).eval()
    for parameter in net.attention.parameters() if net.attention else ():
        nn.init.normal_(parameter, std=0.5)
    batch = torch.randn(2, 30, 5), torch.tensor([30, 12])
    log_probs, lengths, tapped = net.forward_with_tap(*batch, 1)
    for ours, theirs in zip((log_probs, lengths), net(*batch), strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(tapped, net.encoder.forward_with_tap(*batch, 1)[2])


@pytest.mark.parametrize("attention", KINDS)
def test_the_head_stays_in_float32_when_the_rest_is_in_half_precision(attention):
    torch.manual_seed(0)
    net = network("conv", attention)
    for parameter in net.attention.parameters():
        nn.init.normal_(parameter, std=0.2)
    features, lengths = torch.randn(2, 30, 5), torch.tensor([30, 12])
    exact, _ = net.eval()(features, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half, _ = net(features, lengths)
    assert half.dtype == torch.float32
    assert half.isfinite().all()
    torch.testing.assert_close(half, exact, rtol=0.1, atol=0.1)


def test_heads_that_do_not_divide_the_width_are_refused_by_block_and_settings():
    with pytest.raises(ValueError, match="3 attention heads do not divide 8"):
        WindowedAttention(8, window=2, heads=3)
    ModelSettings(hidden=10)  # the width matters where there is attention
    ModelSettings(encoder="bilstm", hidden=10, attention="gate")
    with pytest.raises(ValidationError, match="must divide 10, the width of the conv encoder's output at hidden 10"):
        ModelSettings(hidden=10, attention="windowed")
    with pytest.raises(ValidationError, match="must divide 12, the width of the bilstm"):
        ModelSettings(encoder="bilstm", hidden=6, attention="gate", attention_heads=5)


@pytest.fixture
def read(tmp_path):
    def reader(study, model="{}"):
        for name in ("train.jsonl", "dev.jsonl"):
            (tmp_path / name).write_text("one\n")
        text = f"campaign: c\ndata: {{train: train.jsonl, dev: dev.jsonl}}\nmodel: {model}\nstudies:\n  a: {study}\n"
        (tmp_path / "c.yaml").write_text(text)
        return read_campaign(tmp_path / "c.yaml", catalogue())

    return reader


@pytest.mark.parametrize(
    ("study", "model", "place"),
    [
        ("{strategy: attention}", "{hidden: 50}", "studies.a"),
        ("{strategy: attention, fixed: {model.hidden: 50}}", "{}", "studies.a"),
        ("{strategy: attention, fixed: {model.attention_heads: 5}}", "{}", "studies.a.fixed.model.attention_heads"),
        ("{strategy: baseline}", "{attention: gate, hidden: 50}", "model.attention_heads"),
        (
            "{strategy: attention, trials: 1, space: {model.hidden: {int: [64, 96]}}}",
            "{}",
            "studies.a.space.model.hidden",
        ),
        (
            "{strategy: attention, trials: 1, space: {model.attention_heads: {int: [1, 8]}}}",
            "{}",
            "studies.a.space.model.attention_heads",
        ),
    ],
)
def test_heads_that_cannot_be_are_found_when_a_campaign_is_read(read, study, model, place):
    with pytest.raises(CampaignError, match="attention heads must divide") as caught:
        read(study, model)
    (line,) = str(caught.value).split("\n")[1:]
    assert f"{place}: " in line


@pytest.mark.parametrize(
    ("study", "model"),
    [
        ("{strategy: baseline}", "{hidden: 50}"),
        ("{strategy: attention, fixed: {model.hidden: 64}}", "{hidden: 50}"),
        ("{strategy: attention, fixed: {model.attention_heads: 5}}", "{hidden: 50}"),
        ("{strategy: attention, trials: 1, space: {model.attention_heads: {choice: [5, 10]}}}", "{hidden: 50}"),
        ("{strategy: attention, trials: 1, space: {model.hidden: {int: [64, 128], step: 8}}}", "{hidden: 50}"),
        (
            "{strategy: attention, trials: 1, space: {model.attention: {choice: [windowed, none]}, "
            "model.hidden: {choice: [50], when: {model.attention: none}}}}",
            "{hidden: 64}",
        ),
    ],
)
def test_heads_that_can_be_are_not_refused_for_a_value_that_is_never_used(read, study, model):
    read(study, model)


@pytest.fixture(params=KINDS)
def spec(request, make_spec):
    return make_spec("attention", {"model.attention": request.param, "model.attention_window": 4, "train.epochs": 3})


def test_a_checkpoint_carries_its_attention_bit_for_bit(spec, store):
    outcome = run_trial(spec, store, lambda report: True)
    checkpoint = load_checkpoint(store.path("checkpoints", outcome.checkpoint))
    assert checkpoint.model.attention == spec.settings["model"]["attention"]
    assert checkpoint.model.attention_window == 4
    net = checkpoint.network()
    moved = net.attention.gamma if checkpoint.model.attention == "windowed" else net.attention.gate.weight
    assert moved.any()
    again = EncoderNetwork(checkpoint.model, checkpoint.inputs, len(checkpoint.alphabet))
    again.load_state_dict(net.state_dict())
    batch = torch.randn(2, 30, checkpoint.inputs), torch.tensor([30, 12])
    assert torch.equal(again.eval()(*batch)[0], net(*batch)[0])
    assert checkpoint.weights == net.weights() > network_without(checkpoint).weights()


def network_without(checkpoint):
    model = checkpoint.model.model_copy(update={"attention": "none"})
    return EncoderNetwork(model, checkpoint.inputs, len(checkpoint.alphabet))


def test_a_checkpoint_from_before_there_was_attention_still_loads(trained, tmp_path):
    for name in ("model.safetensors", "checkpoint.json"):
        (tmp_path / name).write_bytes((trained.folder / name).read_bytes())
    path = tmp_path / "checkpoint.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    description["model"] = {n: v for n, v in description["model"].items() if not n.startswith("attention")}
    path.write_text(json.dumps(description), encoding="utf-8")
    found = load_checkpoint(tmp_path)
    assert found.model == load_checkpoint(trained.folder).model
    assert found.network().attention is None


def test_a_run_that_was_interrupted_goes_on_as_if_it_had_not_been(spec, tmp_path):
    class Killed(Exception):
        pass

    def kill(report):
        if report.epoch == 2:
            raise Killed
        return True

    whole, broken = Store(tmp_path / "whole"), Store(tmp_path / "broken")
    expected = run_trial(spec, whole, lambda report: True)
    with pytest.raises(Killed):
        run_trial(spec, broken, kill)
    epochs = []
    outcome = run_trial(spec, broken, lambda report: epochs.append(report.epoch) or True)
    assert epochs == [3]
    assert [report.loss for report in outcome.epochs] == [report.loss for report in expected.epochs]
    for name in ("model.safetensors", "last.safetensors"):
        ours, theirs = (store.path("checkpoints", outcome.checkpoint) / name for store in (broken, whole))
        assert ours.read_bytes() == theirs.read_bytes()


def test_the_first_loss_of_a_trial_is_that_of_the_baseline(make_spec, tmp_path):
    values = {"train.epochs": 1, "train.batch_frames": 100_000}
    losses = []
    for strategy in ("baseline", "attention"):
        outcome = run_trial(make_spec(strategy, values), Store(tmp_path / strategy), lambda report: True)
        losses.append(outcome.epochs[0].loss)
    assert losses[0] == losses[1]


def test_memory_does_not_grow_with_the_square_of_time(monkeypatch):
    shapes = []
    attend = functional.scaled_dot_product_attention

    def watch(query, key, value, attn_mask):
        shapes.append(attn_mask.numel())
        return attend(query, key, value, attn_mask=attn_mask)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", watch)
    block = build(AttentionBlock, window=16)
    for length in (1000, 2000, 4000):
        block(*batch_of([length]))
    assert shapes == [-(-length // BLOCK) * BLOCK * (BLOCK + 32) for length in (1000, 2000, 4000)]
