import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from search_spaces.axes.features import FeatureSettings
from search_spaces.axes.model import ModelSettings
from search_spaces.axes.train import TrainSettings
from trainers import loop
from trainers.data.masks import mask_features
from trainers.data.sets import encode_targets, load_set
from trainers.loop import Diverged, Pruned, evaluate
from trainers.losses.ctc import ctc_loss
from trainers.model.network import EncoderNetwork
from trainers.pipeline import run_trial
from trainers.run_state import Progress
from trainers.schedule import one_cycle


class Interrupted(Exception):
    """What a killed process stands for here."""


def network_for(corpus, encoder="bilstm", seed=1):
    torch.manual_seed(seed)
    settings = ModelSettings(encoder=encoder, layers=1, hidden=8, dropout=0.0)
    return EncoderNetwork(settings, corpus.train.features.dimensions, len(corpus.alphabet))


class Plain:
    """An objective of a loss alone."""

    def __init__(self, loss, settings):
        self.loss = loss
        self.settings = settings

    def by_length(self, epoch):
        return False

    def step(self, network, batch):
        return self.loss(*network(mask_features(batch.features, batch.lengths, self.settings), batch.lengths), batch)


def train(network, loss, corpus, settings, folder, report):
    return loop.train(network, Plain(loss, settings), corpus, settings, folder, report)


def ctc(log_probs, lengths, batch):
    return ctc_loss(log_probs, lengths, batch.targets, batch.target_lengths)


def settings_of(**values):
    return TrainSettings(**{"epochs": 3, "lr": 0.03, "batch_frames": 120, "feature_mask_width": 1, **values})


def without_times(reports):
    return [replace(report, seconds=0.0) for report in reports]


def always(report):
    return True


def test_an_interruption_within_an_epoch_repeats_that_epoch(corpus, tmp_path):
    networks = [network_for(corpus) for _ in range(2)]
    folders = [tmp_path / name for name in ("whole", "cut")]
    for folder in folders:
        folder.mkdir()
    expected = train(networks[0], ctc, corpus, settings_of(), folders[0], always)
    steps = 0

    def dies(*arguments):
        nonlocal steps
        steps += 1
        if steps == 5:
            raise Interrupted
        return ctc(*arguments)

    with pytest.raises(Interrupted):
        train(networks[1], dies, corpus, settings_of(batch_frames=120), folders[1], always)
    # another process starts with other weights and another state of its generators
    other = network_for(corpus, seed=99)
    found = train(other, ctc, corpus, settings_of(), folders[1], always)
    assert without_times(found.reports) == without_times(expected.reports)
    for name, value in networks[0].state_dict().items():
        assert torch.equal(other.state_dict()[name], value)


def test_a_run_that_was_interrupted_after_its_last_epoch_has_nothing_left_to_do(corpus, tmp_path):
    expected = train(network_for(corpus), ctc, corpus, settings_of(), tmp_path, always)
    other = network_for(corpus, seed=9)
    found = train(other, None, corpus, settings_of(), tmp_path, None)
    assert found.reports == expected.reports
    assert found.best_epoch == expected.best_epoch
    assert found.seconds == expected.seconds


def test_self_distillation_without_weight_on_the_teacher_is_the_baseline_loss_for_loss(make_spec, needs_of, store):
    outcomes = [
        run_trial(make_spec("baseline"), store, always),
        run_trial(
            make_spec("self_distillation", {"distillation.alpha": 0}, needs_of("self_distillation")), store, always
        ),
    ]
    assert without_times(outcomes[0].epochs) == without_times(outcomes[1].epochs)
    weights = [
        (store.path("checkpoints", outcome.checkpoint) / "last.safetensors").read_bytes() for outcome in outcomes
    ]
    assert weights[0] == weights[1]


def test_self_distillation_with_weight_on_the_teacher_is_not_the_baseline(make_spec, needs_of, store):
    baseline = run_trial(make_spec("baseline"), store, always)
    needs = needs_of("self_distillation")
    taught = run_trial(make_spec("self_distillation", {"distillation.alpha": 0.5}, needs), store, always)
    assert taught.epochs[0].loss != baseline.epochs[0].loss


def test_the_tiny_data_is_learnt(trained):
    assert trained.score.wer < 30
    assert trained.outcome.epochs[-1].loss < 0.3 * trained.outcome.epochs[0].loss


def test_the_best_epoch_is_the_first_with_the_lowest_rate_and_its_weights_are_kept(corpus, tmp_path):
    network = network_for(corpus)
    snapshots = []

    def snapshot(report):
        snapshots.append({name: value.clone() for name, value in network.state_dict().items()})
        return True

    progress = train(network, ctc, corpus, settings_of(epochs=8, lr=0.05), tmp_path, snapshot)
    rates = [report.dev_wer for report in progress.reports]
    assert len(set(rates)) > 1
    assert progress.best_epoch == 1 + rates.index(min(rates))
    assert progress.best_wer == min(rates)
    for name, value in snapshots[progress.best_epoch - 1].items():
        assert torch.equal(progress.best_weights[name], value)


def test_the_report_of_an_epoch_says_what_the_network_does_on_dev(corpus, tmp_path):
    network = network_for(corpus)
    reports = []
    train(network, ctc, corpus, settings_of(epochs=2), tmp_path, lambda report: reports.append(report) or True)
    wer, blank = evaluate(network, corpus.dev, corpus.alphabet, corpus.tuning)
    assert [(report.epoch, report.epochs) for report in reports] == [(1, 2), (2, 2)]
    assert (reports[-1].dev_wer, reports[-1].blank_share) == (wer, blank)
    assert 0 <= blank <= 1
    assert all(math.isfinite(value) for report in reports for value in vars_of(report))


def vars_of(report):
    return (report.loss, report.lr, report.gradient_norm, report.seconds)


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_leaves_the_network_its_mode_and_its_running_statistics(corpus, training):
    network = network_for(corpus, "conv").train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    evaluate(network, corpus.dev, corpus.alphabet, corpus.tuning)
    assert network.training == training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(("patience", "epochs"), [(0, 6), (1, 2), (3, 4), (10, 6)])
def test_patience_ends_a_run_that_gets_no_better(corpus, tmp_path, patience, epochs):
    def nothing(log_probs, lengths, batch):
        return 0 * log_probs.sum()

    settings = settings_of(epochs=6, patience=patience, weight_decay=0)
    progress = train(network_for(corpus), nothing, corpus, settings, tmp_path, always)
    assert len(progress.reports) == epochs
    assert progress.best_epoch == 1


def test_patience_counts_from_the_best_epoch_also_after_an_interruption(corpus, tmp_path):
    def nothing(log_probs, lengths, batch):
        return 0 * log_probs.sum()

    settings = settings_of(epochs=9, patience=4, weight_decay=0)

    def stop(report):
        if report.epoch == 3:
            raise Interrupted
        return True

    with pytest.raises(Interrupted):
        train(network_for(corpus), nothing, corpus, settings, tmp_path, stop)
    assert len(train(network_for(corpus), nothing, corpus, settings, tmp_path, always).reports) == 5


def test_the_learning_rate_of_a_step_is_that_of_the_cycle(corpus, tmp_path):
    settings = settings_of(epochs=4, batch_frames=1, warmup=0.5)
    progress = train(network_for(corpus), ctc, corpus, settings, tmp_path, always)
    utterances = len(corpus.train)
    for epoch, report in enumerate(progress.reports):
        assert report.lr == 0.03 * one_cycle(epoch + (utterances - 1) / utterances, 4, 0.5)


def test_a_report_that_says_no_stops_the_run_with_all_that_it_has_done(corpus, tmp_path):
    with pytest.raises(Pruned, match="stopped after epoch 2") as caught:
        train(network_for(corpus), ctc, corpus, settings_of(), tmp_path, lambda report: report.epoch < 2)
    assert [report.epoch for report in caught.value.progress.reports] == [1, 2]
    assert caught.value.progress.seconds > 0


class Poisoned:
    """CTC that is NaN (or has a gradient that is) at some of its steps."""

    def __init__(self, bad, gradient=False):
        self.bad, self.gradient = bad, gradient
        self.batches = []

    def __call__(self, log_probs, lengths, batch):
        self.batches.append(batch)
        loss = ctc(log_probs, lengths, batch)
        if not self.bad(len(self.batches)):
            return loss
        if self.gradient:
            # a square root of zero: its value is a number, its gradient is not
            return loss + (0 * log_probs.sum()).abs().sqrt()
        return loss * math.nan


@pytest.mark.parametrize("gradient", [False, True])
def test_ten_steps_in_a_row_that_are_no_numbers_end_the_run_and_name_the_batch(corpus, tmp_path, gradient):
    loss = Poisoned(lambda step: step > 1, gradient)
    with pytest.raises(Diverged) as caught:
        train(network_for(corpus), loss, corpus, settings_of(batch_frames=1), tmp_path, always)
    assert len(loss.batches) == 11
    name = corpus.train.utterances[loss.batches[-1].indices[0]].id
    assert str(caught.value) == (
        "the loss or its gradient was no number 10 steps in a row, last in epoch 1 at step 11 of 12, "
        f"with {name}; a lower train.lr or train.clip may help"
    )


def test_an_epoch_of_fewer_steps_that_are_all_no_numbers_ends_the_run_too(corpus, tmp_path):
    loss = Poisoned(lambda step: True)
    with pytest.raises(Diverged, match=r"no number 4 steps in a row, last in epoch 1 at step 4 of 4, with feat"):
        train(network_for(corpus), loss, corpus, settings_of(batch_frames=120), tmp_path, always)
    assert len(loss.batches) == 4


@pytest.mark.parametrize("gradient", [False, True])
def test_fewer_such_steps_are_left_out_and_do_no_harm(corpus, tmp_path, gradient):
    network = network_for(corpus)
    loss = Poisoned(lambda step: step % 10 != 1, gradient)
    progress = train(network, loss, corpus, settings_of(epochs=2, batch_frames=1), tmp_path, always)
    assert all(math.isfinite(report.loss) for report in progress.reports)
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


def test_the_seed_decides_the_run(corpus, tmp_path):
    losses = []
    for number, seed in enumerate([1, 1, 2]):
        folder = tmp_path / str(number)
        folder.mkdir()
        progress = train(network_for(corpus), ctc, corpus, settings_of(seed=seed), folder, always)
        losses.append([report.loss for report in progress.reports])
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_the_history_of_a_finished_run_is_kept_and_its_state_is_not(corpus, tmp_path):
    progress = train(network_for(corpus), ctc, corpus, settings_of(), tmp_path, always)
    assert (tmp_path / "state.safetensors").is_file()
    progress.finish(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["history.json", "store"]
    found = Progress.of(tmp_path)
    assert found.reports == progress.reports
    assert (found.best_epoch, found.seconds) == (progress.best_epoch, progress.seconds)
    assert json.loads((tmp_path / "history.json").read_text())["best_epoch"] == progress.best_epoch


def test_a_run_that_has_not_begun_has_no_best_rate():
    assert Progress().best_wer == math.inf


def test_masks_are_drawn_anew_in_every_epoch_and_dev_is_never_masked(corpus, store, tmp_path, write_features):
    # one utterance, so that nothing but its masks can differ
    manifest = write_features(tmp_path / "one.jsonl", ["GO STOP YES"])
    only = load_set(store, manifest, FeatureSettings(kind="stored", normalise="utterance"))
    targets = encode_targets(only, corpus.alphabet, lambda lengths: lengths)
    seen = []

    def spy(log_probs, lengths, batch):
        seen.append(log_probs.detach().numpy())
        return 0 * log_probs.sum()

    settings = settings_of(epochs=4, weight_decay=0, time_mask_share=0.9, feature_mask_width=6)
    progress = train(network_for(corpus), spy, replace(corpus, train=only, targets=targets), settings, tmp_path, always)
    assert len(seen) == 4
    assert not any(np.array_equal(first, second) for first, second in pairwise(seen))
    assert len({(report.dev_wer, report.blank_share) for report in progress.reports}) == 1


def test_steps_that_are_not_taken_are_counted(corpus, tmp_path):
    calls = []

    def now_and_then(log_probs, lengths, batch):
        calls.append(1)
        return ctc(log_probs, lengths, batch) * (float("nan") if len(calls) % 3 == 0 else 1.0)

    settings = settings_of(epochs=2, batch_frames=60)
    progress = train(network_for(corpus), now_and_then, corpus, settings, tmp_path, always)
    assert progress.bad_steps == len(calls) // 3 > 0


def test_with_a_moving_average_the_average_is_evaluated_and_kept(corpus, tmp_path):
    settings = settings_of(epochs=2, ema=0.9)
    network = network_for(corpus)
    progress = train(network, ctc, corpus, settings, tmp_path, always)
    last = network.state_dict()
    assert any(not torch.equal(value, last[name]) for name, value in progress.best_weights.items())
    averaged = network_for(corpus)
    averaged.load_state_dict(progress.best_weights)
    wer, _ = evaluate(averaged, corpus.dev, corpus.alphabet, corpus.tuning)
    assert wer == progress.best_wer
