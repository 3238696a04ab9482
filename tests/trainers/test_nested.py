"""With its own part switched off, a strategy is the baseline, loss for loss."""

import pytest

from trainers.pipeline import run_trial

NEUTRAL = {
    "self_distillation": {"distillation.alpha": 0.0},
    "distillation": {"distillation.alpha": 0.0},
    "augmentation": {"augmentation.smoothing": 0.0, "augmentation.mixup": 0.0, "augmentation.curriculum": 0},
    "inter_ctc": {"inter_ctc.weight": 0.0},
}


def losses(outcome):
    return [(report.loss, report.dev_wer, report.gradient_norm) for report in outcome.epochs]


@pytest.mark.parametrize("strategy", NEUTRAL)
def test_a_strategy_that_is_switched_off_is_the_baseline(make_spec, needs_of, store, strategy):
    common = {"train.epochs": 3, "train.time_rescale": 0.1, "train.time_masks": 1, "model.dropout": 0.2}
    baseline = run_trial(make_spec("baseline", common), store, lambda report: True)
    needs = {name: sources for name, sources in needs_of(strategy).items() if name == "teacher"}
    spec = make_spec(strategy, {**common, **NEUTRAL[strategy]}, needs)
    assert losses(run_trial(spec, store, lambda report: True)) == losses(baseline)


@pytest.mark.parametrize(
    ("strategy", "values"),
    [
        ("self_distillation", {"distillation.alpha": 0.5}),
        ("distillation", {"distillation.level": "span"}),
        ("distillation", {"distillation.level": "guided", "distillation.alpha": 0.2}),
        ("distillation", {"distillation.level": "sequence"}),
        ("augmentation", {"augmentation.smoothing": 0.1, "augmentation.mixup": 0.0}),
        ("augmentation", {"augmentation.smoothing": 0.0, "augmentation.mixup": 1.0}),
        (
            "augmentation",
            {"augmentation.smoothing": 0.0, "augmentation.mixup": 1.0, "augmentation.mixup_at": "hidden"},
        ),
        ("augmentation", {"augmentation.smoothing": 0.0, "augmentation.mixup": 0.0, "augmentation.curriculum": 2}),
        ("inter_ctc", {"inter_ctc.weight": 0.3}),
        ("cr_ctc", {}),
    ],
)
def test_a_strategy_that_is_switched_on_is_not_and_still_learns(make_spec, needs_of, store, strategy, values):
    common = {"train.epochs": 3, "train.time_masks": 1}
    baseline = run_trial(make_spec("baseline", common), store, lambda report: True)
    needs = {name: sources for name, sources in needs_of(strategy).items() if name == "teacher"}
    found = losses(run_trial(make_spec(strategy, {**common, **values}, needs), store, lambda report: True))
    assert found != losses(baseline)
    assert found[-1][0] < found[0][0]


def test_the_second_head_is_gone_from_the_checkpoint(make_spec, store):
    with_head = run_trial(make_spec("inter_ctc", {"train.epochs": 1}), store, lambda report: True)
    without = run_trial(make_spec("baseline", {"train.epochs": 1}), store, lambda report: True)
    assert with_head.weights == without.weights
