import torch

from search_spaces.axes.model import ModelSettings
from trainers.averaging import MovingAverage
from trainers.model.network import EncoderNetwork


def network(seed=0):
    torch.manual_seed(seed)
    return EncoderNetwork(ModelSettings(encoder="conv", layers=1, hidden=4), 5, 3)


def shift(model, amount):
    with torch.no_grad():
        for value in model.state_dict().values():
            value.add_(int(amount) if not value.is_floating_point() else amount)


def test_the_average_follows_its_formula():
    model = network()
    average = MovingAverage(model, 0.7)
    name = "head.weight"
    expected = model.state_dict()[name].clone()
    for step in range(1, 8):
        shift(model, 1)
        average.step()
        decay = min(0.7, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model.state_dict()[name]
        torch.testing.assert_close(average.network.state_dict()[name], expected)


def test_running_statistics_are_averaged_and_counts_are_taken_over():
    model = network()
    average = MovingAverage(model, 0.5)
    shift(model, 1)
    average.step()
    ours, theirs = average.network.state_dict(), model.state_dict()
    means = [name for name in ours if name.endswith("running_mean")]
    assert means
    for name in means:
        assert 0 < ours[name].min() < theirs[name].min()
    for name in (name for name, value in ours.items() if not value.is_floating_point()):
        assert torch.equal(ours[name], theirs[name])


def test_without_decay_the_network_itself_is_evaluated():
    model = network()
    average = MovingAverage(model, 0.0)
    average.step()
    assert average.network is model
    assert average.state() == {}
    assert all(weight.requires_grad for weight in model.parameters())


def test_a_restored_average_goes_on_as_the_first_would():
    first_model, second_model = network(), network()
    first, second = MovingAverage(first_model, 0.9), MovingAverage(second_model, 0.9)
    for _ in range(3):
        shift(first_model, 0.5)
        first.step()
    second.restore(first.state())
    second_model.load_state_dict(first_model.state_dict())
    for model, average in ((first_model, first), (second_model, second)):
        shift(model, 0.25)
        average.step()
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name])


def test_the_average_takes_no_gradient_and_leaves_the_network_its_own():
    model = network()
    average = MovingAverage(model, 0.9)
    assert not any(weight.requires_grad for weight in average.network.parameters())
    assert all(weight.requires_grad for weight in model.parameters())
