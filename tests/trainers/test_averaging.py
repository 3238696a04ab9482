import pytest
import torch
from pydantic import ValidationError

from search_spaces.axes.model import ModelSettings
from search_spaces.axes.train import TrainSettings
from trainers.averaging import LastEpochs, MovingAverage
from trainers.checkpoint import load_checkpoint
from trainers.data.sets import load_set
from trainers.loop import evaluate, train
from trainers.losses.ctc import ctc_loss
from trainers.model.network import EncoderNetwork
from trainers.pipeline import run_trial


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


def test_the_mean_is_that_of_the_last_epochs_alone_running_statistics_included():
    model, last, taken = network(), LastEpochs(3), []
    for step in range(5):
        shift(model, step)
        last.take(model.state_dict())
        taken.append({name: value.clone() for name, value in model.state_dict().items()})
    found = last.mean()
    for name, value in taken[-1].items():
        wanted = sum(weights[name] for weights in taken[2:]) / 3 if value.is_floating_point() else value
        torch.testing.assert_close(found[name], wanted)
    assert any(name.endswith("running_var") for name in found)


def test_the_weights_that_were_taken_in_do_not_change_with_the_network():
    model, last = network(), LastEpochs(1)
    before = model.state_dict()["head.weight"].clone()
    last.take(model.state_dict())
    shift(model, 1)
    assert torch.equal(last.mean()["head.weight"], before)


def test_last_epochs_that_are_restored_go_on_as_the_first_would():
    model, first = network(), LastEpochs(12)
    for _ in range(11):  # two digits: 10 is older than 9 as a text
        shift(model, 0.3)
        first.take(model.state_dict())
    second = LastEpochs(12)
    second.restore(first.state())
    for _ in range(3):
        shift(model, 0.7)
        for last in (first, second):
            last.take(model.state_dict())
    for name, value in first.mean().items():
        assert torch.equal(value, second.mean()[name])


def test_without_last_epochs_nothing_is_kept():
    last = LastEpochs(0)
    last.take(network().state_dict())
    assert last.state() == {}
    with pytest.raises(ValueError, match="no weights to average"):
        last.mean()


class Ctc:
    """CTC alone."""

    def by_length(self, epoch):
        return False

    def step(self, network, batch):
        log_probs, lengths = network(batch.features, batch.lengths)
        return ctc_loss(log_probs, lengths, batch.targets, batch.target_lengths)


@pytest.mark.parametrize(("patience", "done"), [(0, 5), (1, None)])
def test_what_a_run_keeps_is_the_mean_of_its_last_epochs_wherever_it_ended(corpus, tmp_path, patience, done):
    torch.manual_seed(0)
    model = EncoderNetwork(ModelSettings(layers=1, hidden=8), corpus.train.features.dimensions, len(corpus.alphabet))
    settings = TrainSettings(epochs=5, lr=0.03, batch_frames=120, average_last=2, patience=patience)
    snapshots = []
    progress = train(
        model,
        Ctc(),
        corpus,
        settings,
        tmp_path,
        lambda report: snapshots.append({n: value.clone() for n, value in model.state_dict().items()}) or True,
    )
    assert len(snapshots) == (done or len(progress.reports))
    for name, value in progress.best_weights.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (snapshots[-1][name] + snapshots[-2][name]) / 2)


def test_the_mean_is_what_is_scored_and_the_record_says_so(make_spec, at_hand, store):
    spec = make_spec(values={"train.average_last": 2})
    outcome, said = run_trial(spec, store, lambda report: True), at_hand(spec, store).tuned_by
    checkpoint = load_checkpoint(store.path("checkpoints", outcome.checkpoint))
    dev = load_set(store, spec.dev, checkpoint.features)
    assert evaluate(checkpoint.network(), dev, checkpoint.alphabet, said)[0] == outcome.score.wer
    assert outcome.notes[0] == "its weights are the mean of those after epochs 3 to 4"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ema": 0.9, "average_last": 2}, "are not averaged together; set one of them to 0"),
        ({"epochs": 3, "average_last": 4}, "there are only 3 epochs"),
    ],
)
def test_averages_that_exclude_each_other_or_lack_epochs_are_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        TrainSettings(**values)
