import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from search_spaces.axes.train import TrainSettings
from trainers.schedule import on_plateau, one_cycle, out_of_patience, rate_factor, steps_down
from trainers.spec import EpochReport

rates = st.lists(st.integers(0, 100).map(float), max_size=30)


def reports(wers, blank=0.8):
    blanks = blank if isinstance(blank, list) else [blank] * len(wers)
    return [
        EpochReport(epoch, 40, 1.0, wer, share, 1e-3, 1.0, 1.0)
        for epoch, (wer, share) in enumerate(zip(wers, blanks, strict=True), 1)
    ]


@given(
    total=st.integers(1, 60),
    warmup=st.floats(0, 1),
    share=st.floats(0, 1, exclude_max=True),
    step=st.floats(0, 0.2),
)
def test_one_cycle_rises_to_its_peak_at_the_end_of_the_warm_up_and_then_falls(total, warmup, share, step):
    now, later = share * total, min(share + step, 1) * total
    top = warmup * total
    factor = one_cycle(now, total, warmup)
    assert 0 < factor <= 1
    if later < total:
        then = one_cycle(later, total, warmup)
        if later < top:
            assert then >= factor - 1e-12
        if now >= top:
            assert then <= factor + 1e-12


@pytest.mark.parametrize("warmup", [0.1, 0.15, 0.5])
def test_one_cycle_starts_at_a_twenty_fifth_and_ends_near_zero_along_half_cosines(warmup):
    assert one_cycle(0, 10, warmup) == pytest.approx(1 / 25)
    assert one_cycle(10 * warmup, 10, warmup) == pytest.approx(1)
    assert one_cycle(10, 10, warmup) == pytest.approx(1e-4)
    assert one_cycle(5 * warmup, 10, warmup) == pytest.approx((1 / 25 + 1) / 2)
    assert one_cycle(5 + 5 * warmup, 10, warmup) == pytest.approx((1 + 1e-4) / 2)


def test_one_cycle_without_a_warm_up_starts_at_its_peak_and_with_nothing_else_never_reaches_it():
    assert one_cycle(0, 10, 0) == 1
    assert one_cycle(0, 10, 1) == pytest.approx(1 / 25)
    assert one_cycle(9.999, 10, 1) == pytest.approx(1, abs=1e-4)


def plateau(**values):
    return TrainSettings(**{"epochs": 10, "schedule": "plateau", "warmup": 0.2, "plateau_factor": 0.5, **values})


def test_before_a_plateau_the_rate_rises_as_in_one_cycle_and_then_stays():
    settings = plateau(plateau_patience=2)
    assert rate_factor(settings, [], 1.0) == one_cycle(1.0, 10, 0.2)
    falling = reports([90.0, 80.0, 70.0, 60.0])
    assert rate_factor(settings, falling, 4.5) == 1.0


def test_every_so_many_epochs_without_a_better_rate_are_a_step_down():
    settings = plateau(plateau_patience=2, plateau_factor=0.1)
    wers = [50.0, 40.0, 30.0, 31.0, 30.0, 35.0, 36.0, 29.0, 30.0]
    factors = [rate_factor(settings, reports(wers[:done]), float(done)) for done in range(2, len(wers) + 1)]
    assert factors == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01])


def test_epochs_of_the_warm_up_and_of_nothing_but_blank_make_no_step_down():
    assert steps_down(reports([100.0] * 12), patience=3, warm=12) == 0
    assert steps_down(reports([100.0] * 12, blank=1.0), patience=3) == 0
    later = reports([100.0] * 12, blank=[1.0] * 8 + [0.9] * 4)
    assert steps_down(later, patience=3) == 1


@given(wers=rates, patience=st.integers(1, 5))
def test_what_is_to_come_changes_no_step_down_that_was_made(wers, patience):
    counts = [steps_down(reports(wers[:done]), patience) for done in range(len(wers) + 1)]
    assert counts == sorted(counts)
    assert counts[-1] <= max(len(wers) - 1, 0) // patience


@given(wers=rates, patience=st.integers(1, 5))
def test_patience_ends_at_the_first_epoch_so_many_behind_the_best(wers, patience):
    over = [out_of_patience(reports(wers[:done]), patience) for done in range(len(wers) + 1)]
    for done in range(1, len(wers) + 1):
        best = wers[:done].index(min(wers[:done])) + 1
        if not any(over[:done]):
            assert over[done] == (done - best >= patience)


def test_patience_does_not_count_the_epochs_of_nothing_but_blank():
    assert not out_of_patience(reports([100.0] * 20, blank=1.0), 3)
    assert out_of_patience(reports([100.0] * 20), 3)
    assert not out_of_patience(reports([100.0] * 20), 0)


@pytest.mark.parametrize(
    ("epochs", "done", "expected"), [(10, 4, False), (10, 5, True), (40, 11, False), (40, 12, True)]
)
def test_nothing_but_blank_is_a_plateau_after_three_tenths_of_the_epochs_and_five_at_least(epochs, done, expected):
    assert on_plateau(reports([100.0] * done, blank=0.99), epochs) is expected
    assert not on_plateau(reports([100.0] * done, blank=[0.97] + [0.99] * (done - 1)), epochs)


def test_patience_that_ends_a_run_before_its_first_step_down_is_refused():
    with pytest.raises(ValidationError, match="ends the run before its learning rate steps down"):
        plateau(plateau_patience=3, patience=3)
    assert plateau(plateau_patience=3, patience=4).patience == 4
    assert TrainSettings(patience=1).patience == 1


def test_no_factor_is_zero_or_above_one():
    for done in (0.0, 3.0, 9.9):
        assert 0 < rate_factor(plateau(), reports([50.0] * 9), done) <= 1
    assert math.isfinite(rate_factor(plateau(warmup=0), [], 0.0))
