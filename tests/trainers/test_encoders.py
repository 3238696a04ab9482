from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from search_spaces.axes.model import ModelSettings
from trainers.model import bilstm
from trainers.model.bilstm import CALL_COST, BiLSTMEncoder, _chunks
from trainers.model.conv import ConvEncoder
from trainers.model.convolutions import ConvFront
from trainers.model.layers import Dropout, MaskedBatchNorm, valid_mask
from trainers.model.network import EncoderNetwork

INPUTS = 5


def fronted_bilstm(inputs, subsampling, **options):
    return BiLSTMEncoder(inputs, front=ConvFront(inputs, subsampling), **options)


ENCODERS = [
    *(pytest.param(partial(ConvEncoder, subsampling=n), id=f"conv {n}") for n in (1, 2, 4)),
    pytest.param(BiLSTMEncoder, id="bilstm"),
    *(pytest.param(partial(fronted_bilstm, subsampling=n), id=f"front {n}, bilstm") for n in (1, 2, 4)),
]


def build(kind, layers=2, hidden=6, dropout=0.0):
    encoder = kind(INPUTS, layers=layers, hidden=hidden, dropout=dropout)
    for module in encoder.modules():
        # not 0 and 1, at which a wrong use of them would not show
        if isinstance(module, MaskedBatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.bias)
    return encoder


def batch_of(lengths, extra=0, padding=float("nan")):
    lengths = torch.tensor(lengths)
    features = torch.randn(len(lengths), int(lengths.max()) + extra, INPUTS)
    features[~valid_mask(lengths, features.shape[1])] = padding
    return features, lengths


def packed(lstm, features, lengths):
    sequences = pack_padded_sequence(features, lengths, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(lstm(sequences)[0], batch_first=True, total_length=features.shape[1])[0]


def lstm_names(layers):
    """Names of BiLSTMEncoder's weights and of nn.LSTM's."""
    keys = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    ways = [("forwards", ""), ("backwards", "_reverse")]
    return {
        f"{way}.{layer}.{key}_l0": f"{key}_l{layer}{suffix}"
        for layer in range(layers)
        for key in keys
        for way, suffix in ways
    }


def test_the_mask_is_true_up_to_each_length():
    mask = valid_mask(torch.tensor([0, 2, 3]), 3)
    assert mask.tolist() == [[False, False, False], [True, True, False], [True, True, True]]


@pytest.mark.parametrize("lengths", [[7, 30, 12, 30, 1, 19], [9, 9, 9], [4], [60, 2, 3, 55, 100, 20, 90]])
def test_bilstm_equals_packing_in_values_and_all_gradients(lengths):
    torch.manual_seed(0)
    features, lengths = batch_of(lengths, extra=3, padding=0.0)
    encoder = build(BiLSTMEncoder, layers=2, hidden=7)
    lstm = nn.LSTM(INPUTS, 7, 2, batch_first=True, bidirectional=True)
    names, theirs = lstm_names(2), dict(lstm.named_parameters())
    assert set(names) == {name for name, _ in encoder.named_parameters()}
    assert set(names.values()) == set(theirs)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            parameter.copy_(theirs[names[name]])
    ours_in, theirs_in = features.clone().requires_grad_(), features.clone().requires_grad_()
    output, _ = encoder(ours_in, lengths)
    expected = packed(lstm, theirs_in, lengths)
    direction = torch.randn_like(expected)
    output.backward(direction)
    expected.backward(direction)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(ours_in.grad, theirs_in.grad, rtol=1e-4, atol=1e-6)
    for name, parameter in encoder.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs[names[name]].grad, rtol=1e-4, atol=1e-5)


def test_one_chunk_over_all_frames_as_on_an_accelerator_gives_the_same(monkeypatch):
    torch.manual_seed(0)
    encoder = build(BiLSTMEncoder)
    features, lengths = batch_of([60, 2, 3, 55, 90, 20, 80], extra=4)
    expected, _ = encoder(features, lengths)
    monkeypatch.setattr(bilstm, "_chunks", lambda lengths: [bilstm._Chunk(0, 94, len(lengths))])
    torch.testing.assert_close(encoder(features, lengths)[0], expected)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=12))
def test_chunks_cover_every_frame_and_are_no_dearer_than_one_chunk(lengths):
    chunks = _chunks(lengths)
    assert chunks[0].start == 0
    assert chunks[-1].stop == max(lengths)
    assert all(before.stop == after.start for before, after in pairwise(chunks))
    assert all(chunk.rows >= sum(length > chunk.start for length in lengths) for chunk in chunks)
    cost = sum((chunk.stop - chunk.start) * chunk.rows + CALL_COST for chunk in chunks)
    assert cost <= max(lengths) * len(lengths) + CALL_COST


@pytest.mark.parametrize("kind", ENCODERS)
@settings(deadline=None, max_examples=40)
@given(
    lengths=st.lists(st.integers(1, 90), min_size=1, max_size=6),
    extra=st.integers(0, 30),
    padding=st.sampled_from([0.0, 1e4, float("nan")]),
)
def test_an_utterance_does_not_know_its_padding_or_its_batch(kind, lengths, extra, padding):
    torch.manual_seed(len(lengths))
    encoder = build(kind).eval()
    features, lengths = batch_of(lengths, extra, padding)
    outputs, output_lengths = encoder(features, lengths)
    assert outputs.shape[::2] == (len(lengths), encoder.outputs)
    for i, length in enumerate(lengths.tolist()):
        alone, alone_length = encoder(features[i : i + 1, :length], lengths[i : i + 1])
        assert output_lengths[i] == alone_length == alone.shape[1]
        torch.testing.assert_close(outputs[i, :alone_length], alone[0], rtol=1e-5, atol=1e-5)
        assert not outputs[i, alone_length:].any()


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("training", [True, False])
def test_no_gradient_flows_from_padding_or_into_it(kind, training):
    torch.manual_seed(0)
    encoder = build(kind).train(training)
    gradients = []
    for padding in (0.0, float("nan")):
        torch.manual_seed(1)
        features, lengths = batch_of([33, 50, 8, 41], extra=9, padding=padding)
        features.requires_grad_()
        outputs, output_lengths = encoder(features, lengths)
        valid = valid_mask(output_lengths, outputs.shape[1])
        # a loss that asks something of padding too
        direction = torch.randn_like(outputs)
        direction[~valid] = 0.0 if padding == 0 else 1e6
        encoder.zero_grad()
        outputs.backward(direction)
        assert not features.grad[~valid_mask(lengths, features.shape[1])].any()
        assert features.grad[valid_mask(lengths, features.shape[1])].abs().sum(-1).min() > 0
        gradients.append([features.grad, *(parameter.grad for parameter in encoder.parameters())])
    for clean, dirty in zip(*gradients, strict=True):
        torch.testing.assert_close(clean, dirty, rtol=1e-5, atol=1e-6)


def test_training_statistics_of_the_convolutions_do_not_see_padding():
    torch.manual_seed(0)
    encoder = build(ConvEncoder)
    features, lengths = batch_of([33, 50, 8], extra=0)
    longer = torch.nn.functional.pad(features, (0, 0, 0, 21), value=7.0)
    torch.testing.assert_close(encoder(features, lengths)[0], encoder(longer, lengths)[0][:, :13])


@pytest.mark.parametrize("kind", ENCODERS)
def test_output_lengths_are_those_of_the_output(kind):
    encoder = build(kind).eval()
    lengths = torch.arange(1, 18)
    outputs, output_lengths = encoder(*batch_of(lengths.tolist()))
    expected = -(-lengths // encoder.subsampling)
    assert output_lengths.tolist() == encoder.output_lengths(lengths).tolist() == expected.tolist()
    assert outputs.shape[1] == output_lengths.max()


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("layer", [1, 2, 3])
@pytest.mark.parametrize("training", [True, False])
def test_a_tap_changes_nothing_of_the_output_and_is_zero_at_padding(kind, layer, training):
    torch.manual_seed(0)
    encoder = build(kind, layers=3, dropout=0.3).train(training)
    features, lengths = batch_of([33, 50, 8], extra=7)
    torch.manual_seed(1)
    expected, expected_lengths = encoder(features, lengths)
    torch.manual_seed(1)
    # statistics move in training, the output of a training step does not depend on them
    output, output_lengths, tapped = encoder.forward_with_tap(features, lengths, layer)
    assert torch.equal(output, expected)
    assert torch.equal(output_lengths, expected_lengths)
    assert tapped.shape == output.shape
    assert torch.equal(tapped, output) == (layer == 3)
    valid = valid_mask(output_lengths, output.shape[1])
    assert not tapped[~valid].any()
    assert tapped[valid].any()


@pytest.mark.parametrize("kind", ENCODERS)
def test_a_tap_gives_what_an_encoder_of_so_many_layers_gives(kind):
    torch.manual_seed(0)
    encoder, shallow = build(kind, layers=3).eval(), build(kind, layers=2).eval()
    weights = encoder.state_dict()
    shallow.load_state_dict({name: weights[name] for name in shallow.state_dict()})
    features, lengths = batch_of([33, 50, 8])
    _, output_lengths, tapped = encoder.forward_with_tap(features, lengths, 2)
    expected, expected_lengths = shallow(features, lengths)
    torch.testing.assert_close(tapped, expected)
    assert torch.equal(output_lengths, expected_lengths)


@pytest.mark.parametrize("kind", ENCODERS)
def test_gradients_of_a_tap_reach_the_layers_below_it_and_none_above(kind):
    torch.manual_seed(0)
    encoder = build(kind, layers=3)
    features, lengths = batch_of([33, 50, 8])
    encoder.forward_with_tap(features, lengths, 2)[2].square().sum().backward()
    for name, parameter in encoder.named_parameters():
        above = any(part in name for part in ("layers.2.", "forwards.2.", "backwards.2."))
        assert (parameter.grad is None or not parameter.grad.any()) == above, name


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("layer", [-1, 0, 3])
def test_a_tap_behind_a_layer_that_is_not_there_is_refused(kind, layer):
    with pytest.raises(ValueError, match=f"layer {layer} is not within 1 to 2"):
        build(kind).forward_with_tap(*batch_of([5, 3]), layer)


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("length", [0, 11])
def test_a_length_that_does_not_fit_is_refused(kind, length):
    with pytest.raises(ValueError, match="not within 1 to 10 frames"):
        build(kind)(torch.zeros(2, 10, INPUTS), torch.tensor([5, length]))


@pytest.mark.parametrize("kind", ENCODERS)
def test_dropout_works_with_one_layer_in_training_alone(kind):
    torch.manual_seed(0)
    encoder = build(kind, layers=1, dropout=0.5)
    features, lengths = batch_of([40, 30])
    first, second = (encoder(features, lengths)[0] for _ in range(2))
    assert not torch.equal(first, second)
    encoder.eval()
    assert torch.equal(encoder(features, lengths)[0], encoder(features, lengths)[0])


@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(p):
    torch.manual_seed(0)
    x = torch.ones(999, 1001, requires_grad=True)
    y = Dropout(p)(x)
    y.sum().backward()
    assert float((y == 0).float().mean()) == pytest.approx(p, abs=0.002)
    assert float(y.detach().mean()) == pytest.approx(1, abs=0.01)
    assert torch.equal(x.grad, y.detach())
    kept = (y != 0).float().detach()
    for shift in (1, 2, 3, 4):
        # the four decisions of one draw are independent of one another
        both = float((kept.view(-1)[shift:] * kept.view(-1)[:-shift]).mean())
        assert both == pytest.approx((1 - p) ** 2, abs=0.003)


def test_dropout_repeats_with_the_seed_and_refuses_one():
    layer = Dropout(0.3)
    draws = []
    for _ in range(2):
        torch.manual_seed(5)
        draws.append(layer(torch.ones(50, 3)))
    assert torch.equal(*draws)
    with pytest.raises(ValueError, match=r"dropout 1\.0"):
        Dropout(1.0)


def test_masked_norm_is_batch_norm_of_the_valid_frames():
    torch.manual_seed(0)
    lengths = torch.tensor([4, 9, 1, 7])
    valid = valid_mask(lengths, 11)
    masked, plain = MaskedBatchNorm(3).double(), nn.BatchNorm1d(3).double()
    nn.init.normal_(masked.weight)
    nn.init.normal_(masked.bias)
    plain.load_state_dict(masked.state_dict())
    for training in (True, True, False):
        masked.train(training)
        plain.train(training)
        frames = torch.randn(4, 11, 3, dtype=torch.float64) * 3 + 5
        ours, theirs = frames.clone().requires_grad_(), frames.clone().requires_grad_()
        output, expected = masked(ours, valid[:, :, None].double()), plain(theirs[valid])
        torch.testing.assert_close(output[valid], expected)
        assert not output[~valid].any()
        masked.zero_grad()
        plain.zero_grad()
        output.pow(3).sum().backward()
        expected.pow(3).sum().backward()
        torch.testing.assert_close(ours.grad, theirs.grad)
        for a, b in zip(masked.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(a.grad, b.grad)
        for name, buffer in masked.named_buffers():
            torch.testing.assert_close(buffer, dict(plain.named_buffers())[name])


@pytest.mark.parametrize("training", [True, False])
def test_gradients_of_the_masked_norm_are_exact(training):
    torch.manual_seed(0)
    norm = MaskedBatchNorm(3).double().train(training)
    mask = valid_mask(torch.tensor([4, 2, 5]), 5)[:, :, None].double()

    def normalise(frames, weight, bias):
        return torch.func.functional_call(norm, {"weight": weight, "bias": bias}, (frames, mask))

    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((3, 5, 3), (3,), (3,))]
    # reentrant: running statistics move, outputs in training do not depend on them
    assert torch.autograd.gradcheck(normalise, inputs)


def test_masked_norm_keeps_its_digits_far_from_zero():
    torch.manual_seed(0)
    frames = torch.randn(2, 500, 3)
    mask = valid_mask(torch.tensor([500, 300]), 500)[:, :, None].float()
    near, far = MaskedBatchNorm(3)(frames, mask), MaskedBatchNorm(3)(frames + 1000, mask)
    torch.testing.assert_close(near, far, rtol=0, atol=1e-3)


def test_the_default_convolutions_have_three_quarters_of_a_million_weights():
    net = nn.Sequential(encoder := ConvEncoder(40), nn.Linear(encoder.outputs, 83))
    assert sum(parameter.numel() for parameter in net.parameters()) == 753_043
    assert (encoder.outputs, encoder.subsampling) == (192, 4)


@pytest.mark.parametrize(
    ("settings", "subsampling"),
    [
        ({"encoder": "conv"}, 4),
        ({"encoder": "conv", "subsampling": 2}, 2),
        ({"encoder": "bilstm"}, 1),
        ({"encoder": "bilstm", "subsampling": 1}, 1),
        ({"encoder": "bilstm", "front": "conv"}, 4),
        ({"encoder": "bilstm", "front": "conv", "subsampling": 1}, 1),
    ],
)
def test_a_network_has_the_front_and_the_frame_rate_that_its_settings_ask_for(settings, subsampling):
    settings = ModelSettings(layers=2, hidden=4, **settings)
    network = EncoderNetwork(settings, INPUTS, 3)
    assert settings.stride == network.subsampling == subsampling
    names = [name for name, _ in network.encoder.named_parameters() if name.startswith("front")]
    assert bool(names) == (settings.encoder == "conv" or settings.front == "conv")
    assert network.output_lengths(np.array([1, 9])).tolist() == [1, -(-9 // subsampling)]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"encoder": "conv", "front": "conv"}, "has its front already"),
        ({"encoder": "bilstm", "subsampling": 2}, "a bilstm without a front keeps every frame"),
        ({"encoder": "conv", "subsampling": 3}, "should be 1, 2 or 4"),
        ({"encoder": "conv", "subsampling": True}, "valid integer"),
    ],
)
def test_a_front_or_a_subsampling_that_would_do_nothing_is_refused(settings, words):
    with pytest.raises(ValidationError, match=words):
        ModelSettings(**settings)


def test_a_subsampling_that_is_the_default_makes_no_other_architecture_and_another_does():
    assert ModelSettings(dropout=0.3).architecture == ModelSettings(subsampling=4).architecture
    assert ModelSettings().architecture != ModelSettings(subsampling=2).architecture
    assert ModelSettings(encoder="bilstm").architecture != ModelSettings(encoder="bilstm", front="conv").architecture


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("kind", ENCODERS)
def test_cuda_agrees_with_the_cpu(kind):
    torch.manual_seed(0)
    encoder = build(kind).double()
    features, lengths = batch_of([33, 50, 8], padding=0.0)
    features = features.double()
    outputs = encoder(features, lengths)[0]
    outputs.square().sum().backward()
    expected = [parameter.grad.clone() for parameter in encoder.parameters()]
    encoder.zero_grad()
    encoder.cuda()
    on_device = encoder(features.cuda(), lengths.cuda())[0]
    on_device.square().sum().backward()
    torch.testing.assert_close(on_device.cpu(), outputs)
    for parameter, gradient in zip(encoder.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad.cpu(), gradient)
