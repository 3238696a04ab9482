"""Records read at once are those that Optuna's own objects give."""

from dataclasses import replace

import pytest

from orchestrator.owner import Owner
from orchestrator.sampling import Point, Sampling
from search_spaces.campaign import PrunerSettings, SamplerSettings
from search_spaces.space import Axis, Categorical, Float, Space
from trainers.artifacts import Score
from trainers.spec import EpochReport, TrialOutcome

SPACE = Space((Axis("train.lr", Float(1e-3, 1e-2, log=True)), Axis("units", Categorical(("char", "word")))))
NASTY = 'said "epochs": [not "epochs": [] at all]'


def report(epoch, wer):
    return EpochReport(epoch, 10, 1.0, wer, 0.5, 1e-3, 1.0, 0.1)


@pytest.fixture
def study(home):
    """A study with a trial in every state."""
    points = [Point({}, {}), Point({"train.lr": 5e-3}, {}), Point({}, {}), Point({}, {}), Point({}, {"units": "mixed"})]
    study = Sampling(home).open("c_1", "first", "baseline", {"a": 1}, SPACE, points)
    study.claim(Owner.me(), 5, SamplerSettings(), 1, count=4)
    study.note("promoted", 1)
    for number in range(4):
        study.note_trial(
            number, "started", {"settings": {"units": "word"}, "key": f"k{number}", "needs": {"t": ["s#1"]}}
        )
        study.report(number, report(1, float("inf")), PrunerSettings())
    done = TrialOutcome(
        score=Score(3, 2, 1, 10), notes=(NASTY,), epochs=(report(1, 90.0), report(2, 60.0)), seconds=3.0
    )
    study.complete(1, done)
    study.complete(2, replace(done, pruned=True, score=None))
    study.fail(3, "no way")
    return study


def test_every_state_is_read_as_optuna_gives_it(home, study):
    assert Sampling(home).records("c_1") == [study.record()]
    states = [trial.state.value for trial in study.record().trials]
    assert states == ["running", "complete", "pruned", "failed", "waiting"]


def test_trials_that_are_not_chosen_keep_state_times_and_outcome_and_lose_the_rest(home, study):
    (brief,) = Sampling(home).records("c_1", lambda found: [found.promoted])
    whole = study.record()
    assert brief.trials[1] == whole.trials[1]
    assert replace(brief, trials=()) == replace(whole, trials=())
    for short, full in zip(brief.trials, whole.trials, strict=True):
        assert (short.state, short.started, short.finished) == (full.state, full.started, full.finished)
        assert short.dev_wer == full.dev_wer
    pruned = brief.trials[2]
    assert pruned.outcome == replace(whole.trials[2].outcome, epochs=())
    assert (pruned.settings, pruned.params, pruned.curve, pruned.key) == ({}, {}, {}, "")


def test_a_campaign_is_not_mixed_up_with_one_whose_name_looks_like_a_pattern_of_it(home, study):
    Sampling(home).open("cX1", "other", "baseline", {"a": 1}, SPACE, [])
    assert [found.name for found in Sampling(home).records("c_1")] == ["first"]
    assert Sampling(home).records("nothing") == []


@pytest.mark.parametrize(
    ("axes", "point"),
    [
        ((*SPACE.axes, Axis("train.seed", Categorical((1, 2)))), Point({}, {})),
        (SPACE.axes, Point({}, {"train.seed": 2})),
    ],
)
def test_a_study_whose_trials_differ_by_seed_is_read_whole(home, axes, point):
    study = Sampling(home).open("c", "seeds", "baseline", {"a": 1}, Space(tuple(axes)), [Point({}, {}), point])
    study.claim(Owner.me(), 2, SamplerSettings(), 1, count=2)
    assert Sampling(home).records("c", lambda _: ()) == [study.record()]
    assert study.record().trials[1].params["train.seed"] in (1, 2)
