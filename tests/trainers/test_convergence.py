import pytest

from search_spaces.axes.train import TrainSettings
from trainers.convergence import remarks, still_improving
from trainers.run_state import Progress
from trainers.spec import EpochReport


def reports(*wers, epochs=None):
    total = epochs or len(wers)
    return [EpochReport(i, total, 1.0, wer, 0.8, 1e-3, 1.0, 1.0) for i, wer in enumerate(wers, 1)]


@pytest.mark.parametrize(
    ("wers", "expected"),
    [
        ((90.0, 80.0, 70.0, 60.0, 50.0), True),
        ((90.0, 50.0, 30.0, 21.0, 20.5), False),  # half a point is within noise on 700 words
        ((90.0, 20.0, 30.0, 40.0, 50.0), False),
        ((50.0,), False),
    ],
)
def test_a_run_is_still_improving_only_beyond_noise(wers, expected):
    assert still_improving(reports(*wers), 700) is expected


def test_what_is_noise_depends_on_the_words_that_were_scored():
    run = reports(60.0, 40.0, 30.0, 28.0)
    assert still_improving(run, 20_000)
    assert not still_improving(run, 200)


def test_a_run_that_was_stopped_early_had_budget_left():
    assert not still_improving(reports(90.0, 80.0, 70.0, epochs=10), 700)


def test_the_last_tenth_of_a_long_run_is_judged_together():
    falling = [50.0 - epoch / 10 for epoch in range(100)]  # a tenth of a point an epoch: never beyond noise alone
    assert still_improving(reports(*falling), 20_000)


def test_a_word_error_rate_of_nothing_or_above_all_is_no_trouble():
    assert not still_improving(reports(0.0, 0.0), 10)
    assert still_improving(reports(180.0, 100.0), 10)


def test_early_stopping_is_said_with_its_epochs():
    progress = Progress(reports(50.0, 40.0, 41.0, 42.0, epochs=120), best_epoch=2)
    assert remarks(progress, TrainSettings(epochs=120), 700) == ("stopped at epoch 4 of 120, best 2",)


def test_steps_that_were_not_taken_are_said():
    progress = Progress(reports(50.0, 50.0), best_epoch=1, bad_steps=3)
    assert remarks(progress, TrainSettings(epochs=2), 700) == (
        "3 steps were not taken: their loss or gradient was no number",
    )


def test_an_uneventful_run_needs_no_words():
    assert remarks(Progress(reports(50.0, 50.0), best_epoch=1), TrainSettings(epochs=2), 700) == ()


def test_what_was_averaged_left_out_begun_anew_and_moved_is_said():
    progress = Progress(reports(50.0, 50.0, 50.0), best_epoch=1, dropped=2, restarted=True, computed_on=["cpu", "cuda"])
    assert remarks(progress, TrainSettings(epochs=3, average_last=2), 700) == (
        "its weights are the mean of those after epochs 2 to 3",
        "2 training utterances were left out: their transcripts do not fit their frames",
        "the state of an interrupted attempt could not be read: the run began anew",
        "not computed on one device throughout: cpu; then cuda",
    )
