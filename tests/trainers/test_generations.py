from dataclasses import replace

import pytest

from trainers.loop import Plateau
from trainers.pipeline import run_trial
from trainers.run_state import Progress
from trainers.scoring.paired import Gain
from trainers.store import Store
from trainers.strategies import self_distillation
from trainers.strategies.self_distillation import SelfDistillation
from trainers.strategy import TrainingStrategy

EPOCHS = 3


def always(report):
    return True


def told(outcome):
    """What of an outcome no clock decides."""
    epochs = [replace(report, seconds=0.0) for report in outcome.epochs]
    return replace(outcome, epochs=tuple(epochs), seconds=0.0, cpu_seconds=0.0)


@pytest.fixture
def spec_of(make_spec, trained):
    def maker(generations, strategy="self_distillation", **values):
        values = {"train.epochs": EPOCHS, "distillation.generations": generations, "model.dropout": 0.2, **values}
        return make_spec(strategy, values, {"teacher": (trained.ingredient,)})

    return maker


@pytest.fixture
def gains(monkeypatch):
    """Let every generation gain so much, with a standard error of 1."""

    def let(*points):
        left = iter(points)
        monkeypatch.setattr(self_distillation, "paired_gain", lambda *texts: Gain(next(left), 1.0))

    return let


def checkpoints(store):
    return {path.name for path in (store.root / "checkpoints").iterdir() if not path.name.startswith(".")}


def test_generations_follow_one_another_in_one_curve(spec_of, store, gains):
    gains(2.0, 1.5, 1.1)
    reports = []
    outcome = run_trial(spec_of(3), store, lambda report: reports.append(report) or True)
    assert [report.epoch for report in reports] == list(range(1, 10))
    assert {report.epochs for report in reports} == {9}
    assert outcome.epochs == tuple(reports)
    assert outcome.seconds == pytest.approx(sum(report.seconds for report in reports))
    assert outcome.score.wer == min(report.dev_wer for report in reports)
    assert outcome.score.wer == outcome.epochs[outcome.best_epoch - 1].dev_wer
    assert len(checkpoints(store)) == 3
    assert outcome.checkpoint in checkpoints(store)
    for number, (note, gain) in enumerate(zip(outcome.notes, (2.0, 1.5, 1.1), strict=False), 1):
        assert note.startswith(f"generation {number} of 3: ")
        assert note.endswith(f" %, gain {gain} is above its standard error 1.0")


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (0.4, "gain 0.4 is below its standard error 1.0: stopped"),
        (-3.0, "gain -3.0 is below its standard error 1.0: stopped"),
        (1.0, "gain 1.0 is equal to its standard error 1.0: stopped"),
    ],
)
def test_a_generation_that_gains_no_more_than_chance_is_the_last(spec_of, store, gains, points, words):
    gains(2.0, points)
    seen = []
    outcome = run_trial(spec_of(3), store, lambda report: seen.append(report.epoch) or True)
    assert seen == [1, 2, 3, 4, 5, 6]
    assert outcome.notes[1].startswith("generation 2 of 3: ")
    assert outcome.notes[1].endswith(f" %, {words}")


def test_the_first_generation_is_the_trial_without_generations(spec_of, store, gains):
    alone = run_trial(spec_of(1), store, always)
    gains(0.0)
    seen = []
    outcome = run_trial(spec_of(2), store, lambda report: seen.append(report) or True)
    assert seen == []  # it was there
    assert outcome.checkpoint == alone.checkpoint
    assert outcome.score == alone.score
    assert [report.loss for report in outcome.epochs] == [report.loss for report in alone.epochs]


def test_a_generation_is_taught_by_the_one_before_and_starts_from_other_weights(spec_of, store, gains, monkeypatch):
    trials = []
    monkeypatch.setattr(
        TrainingStrategy, "run", lambda self, run=TrainingStrategy.run: trials.append(self.trial) or run(self)
    )
    gains(2.0, 2.0, 2.0)
    outcome = run_trial(spec_of(3), store, always)
    teachers = [trial.spec.needs["teacher"][0].key for trial in trials]
    assert teachers[1:] == [trial.spec.key for trial in trials[:-1]]
    seeds = [trial.settings.train.seed for trial in trials]
    assert len(set(seeds)) == 3
    assert seeds[0] == 1
    assert all(trial.spec.settings["train"]["seed"] == trial.settings.train.seed for trial in trials)
    losses = [report.loss for report in outcome.epochs]
    assert losses[0] != losses[EPOCHS] != losses[2 * EPOCHS]


@pytest.mark.parametrize("stopped", [2, 4, 6, 8])
def test_a_killed_trial_goes_on_in_the_generation_where_it_was(spec_of, tmp_path, gains, stopped):
    whole, broken = Store(tmp_path / "whole"), Store(tmp_path / "broken")
    gains(2.0, 2.0, 2.0)
    expected = run_trial(spec_of(3), whole, always)

    def kill(report):
        if report.epoch == stopped:
            raise KeyboardInterrupt
        return True

    gains(*[2.0] * 6)
    with pytest.raises(KeyboardInterrupt):
        run_trial(spec_of(3), broken, kill)
    seen = []
    found = run_trial(spec_of(3), broken, lambda report: seen.append(report.epoch) or True)
    assert seen == list(range(stopped + 1, 10))
    assert told(found) == told(expected)
    for name in checkpoints(whole):
        one, other = (store.path("checkpoints", name) / "model.safetensors" for store in (whole, broken))
        assert one.read_bytes() == other.read_bytes()


def test_a_trial_that_the_sampler_stops_is_stopped_with_all_its_epochs(spec_of, store, gains):
    gains(2.0)
    outcome = run_trial(spec_of(3), store, lambda report: report.epoch < 5)
    assert outcome.pruned
    assert outcome.score is None
    assert [(report.epoch, report.epochs) for report in outcome.epochs] == [(n, 9) for n in range(1, 6)]


@pytest.mark.parametrize("number", [1, 2])
def test_a_plateau_ends_the_trial_only_where_no_generation_came_before(spec_of, store, gains, monkeypatch, number):
    gains(2.0)
    runs = []
    train = TrainingStrategy._train

    def stuck(self, folder):
        runs.append(1)
        train(self, folder)
        if len(runs) == number:
            raise Plateau(Progress.of(folder))

    monkeypatch.setattr(SelfDistillation, "_train", stuck)
    outcome = run_trial(spec_of(3), store, always)
    assert outcome.pruned == (number == 1)
    assert any(f"generation {number} of 3: stopped at epoch 3 of 3: it said nothing" in x for x in outcome.notes)
    assert len(outcome.epochs) == number * EPOCHS
    if number == 2:
        assert outcome.best_epoch <= EPOCHS


def test_it_says_what_it_measured_in_plain_words(spec_of, store):
    outcome = run_trial(spec_of(2), store, always)
    first = min(report.dev_wer for report in outcome.epochs[:EPOCHS])
    assert outcome.notes[0].startswith(f"generation 1 of 2: {first:.1f} %, gain ")
    assert " its standard error " in outcome.notes[0]
