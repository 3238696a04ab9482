"""The best points of a decoding study are searched again with wider pruning: within the budget, once, and resumably."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.record import TrialRecord, TrialState
from orchestrator.widening import own_budget, repeats_of, widened_points
from search_spaces.axes.decoding import DecodingSettings
from search_spaces.axes.settings import overlay
from search_spaces.campaign import SamplerSettings, StudyDefinition
from search_spaces.space import Axis, Categorical, Float, Space
from tests.orchestrator.told_studies import nothing_known, open_study, work_through
from trainers.artifacts import Score
from trainers.spec import TrialOutcome

ALPHA = Axis("decoding.alpha", Float(0.0, 1.0, step=0.05))
BEAM = Axis("decoding.beam_width", Categorical((10, 50)))


@pytest.fixture
def campaign(tiny_campaign):
    tiny_campaign.rewrite("posteriors: [baseline, self_distillation]", "posteriors: baseline")
    campaign = tiny_campaign.read()
    study = replace(campaign.studies["decoding"], space=Space((ALPHA, BEAM)), trials=32)
    return replace(campaign, studies={**campaign.studies, "decoding": study})


def open_run(campaign, home, budget=None, **changes):
    return open_study(campaign, "decoding", home, budget, **changes)


def finish(run, claims):
    """Let claimed trials end: the nearer alpha is to 0.3 the better, with greedy decoding worst."""
    for claim in claims:
        values = {**claim.params, **claim.overrides}
        settings = DecodingSettings.model_validate(overlay({"decoding": {"method": "beam"}}, values)["decoding"])
        run.sampled.note_trial(claim.number, "started", {"settings": {"decoding": settings.model_dump()}})
        errors = 90 if settings.method == "greedy" else 10 + round(50 * abs(settings.alpha - 0.3))
        run.sampled.complete(claim.number, TrialOutcome(score=Score(errors, 0, 0, 100)))


def work(run, until=None):
    work_through(run, finish, until)
    return run.sampled.record()


def repeats(record):
    return [trial for trial in record.trials if trial.repeats is not None]


def test_the_last_trials_repeat_the_best_points_with_wider_pruning_within_the_budget(campaign, home):
    record = work(open_run(campaign, home))
    assert record.count(TrialState.COMPLETE) == len(record.trials) == 32
    assert [trial.number for trial in repeats(record)] == [30, 31]
    searched = [trial for trial in record.trials if not trial.overrides]
    best = min(searched, key=lambda trial: (trial.dev_wer, trial.number))
    first, second = (record.trials[trial.repeats] for trial in repeats(record))
    assert first == best
    assert first.params != second.params
    assert repeats(record)[0].params == {
        **best.params,
        "decoding.token_min_logp": -7.0,
        "decoding.beam_prune_logp": -20.0,
        "decoding.beam_width": 100,
    }


def test_a_repeat_leaves_the_point_itself_to_the_sampler(campaign, home):
    run = open_run(campaign, home)
    for trial in repeats(work(run)):
        point = run.sampled._trial(trial.number).params
        assert point == run.sampled._trial(trial.repeats).params


@given(st.integers(0, 2000))
def test_repeats_are_one_trial_in_sixteen_and_eight_at_most(budget):
    count = repeats_of(StudyDefinition("d", "decoding"), budget)
    assert count <= 8
    assert 16 * count <= budget
    assert count == 8 or 16 * (count + 1) > budget
    assert repeats_of(StudyDefinition("b", "baseline"), budget) == 0


def test_a_small_study_repeats_nothing(campaign, home):
    record = work(open_run(campaign, home, trials=15))
    assert (len(record.trials), repeats(record)) == (15, [])


def test_a_grid_is_searched_whole_and_then_its_best_points_again(campaign, home):
    run = open_run(campaign, home, sampler=SamplerSettings(kind="grid"))
    record = work(run)
    searched = [trial for trial in record.trials if not trial.overrides]
    assert len(searched) == 21 * 2
    assert run.budget == own_budget(run.definition) == len(record.trials) == 43 + 2
    assert [trial.number for trial in repeats(record)] == [43, 44]


def test_a_run_that_was_killed_in_between_repeats_only_what_is_not_repeated_yet(campaign, home):
    work(open_run(campaign, home), until=30)
    run = open_run(campaign, home)
    points = widened_points(run.sampled.record().trials, 2)
    assert run.sampled.append(points[:1], 30)  # and killed before the second
    record = work(open_run(campaign, home))
    assert [trial.repeats for trial in repeats(record)] == [point.repeats for point in points]
    assert len(record.trials) == 32


def test_two_runs_that_come_to_the_end_at_once_repeat_the_points_once(campaign, home):
    one, other = open_run(campaign, home), open_run(campaign, home)
    work(one, until=30)
    assert (one.claim(), other.claim()) == ([], [])
    known = len(other.sampled.record().trials)
    assert one.close(nothing_known) is None
    points = widened_points(other.sampled.record().trials, 2)
    assert other.sampled.append(points, known)  # there is work, but not of its own
    assert len(other.sampled.record().trials) == 32
    mine = one.claim()
    theirs = other.claim()
    assert other.close(nothing_known) is None  # the other run's trial is not done
    finish(one, mine)
    finish(other, theirs)
    record = work(other)
    assert len({trial.repeats for trial in repeats(record)}) == len(repeats(record)) == 2


def test_a_larger_budget_is_searched_before_further_points_are_repeated(campaign, home):
    first = work(open_run(campaign, home))
    record = work(open_run(campaign, home, budget=64))
    assert len(record.trials) == 64
    assert [trial.number for trial in repeats(record)] == [30, 31, 62, 63]
    assert [trial.outcome for trial in record.trials[:32]] == [trial.outcome for trial in first.trials]
    assert len({trial.repeats for trial in repeats(record)}) == 4


def test_where_nothing_can_be_searched_again_the_search_has_the_whole_budget(campaign, home):
    run = open_run(campaign, home)
    while claims := run.claim():
        for claim in claims:
            run.sampled.fail(claim.number, "no")
    assert len(run.sampled.record().trials) == 30
    assert run.close(nothing_known) is None
    assert len(work(run).trials) == 32
    assert repeats(run.sampled.record()) == []


def test_pruning_that_is_wide_already_is_widened_further():
    settings = DecodingSettings(token_min_logp=-9.0, beam_prune_logp=-30.0, beam_width=200)
    assert settings.widened() == {"token_min_logp": -11.0, "beam_prune_logp": -40.0, "beam_width": 400}
    assert DecodingSettings(beam_width=9_000).widened()["beam_width"] == 10_000


def test_a_greedy_point_is_not_searched_again():
    outcome = TrialOutcome(score=Score(1, 0, 0, 10))
    trial = TrialRecord("c", "d", "decoding", 0, TrialState.COMPLETE, {"decoding.temperature": 1.0}, outcome=outcome)
    assert widened_points([trial], 3) == []
    (point,) = widened_points([replace(trial, settings={"decoding": {"method": "beam"}})], 3)
    assert (point.params, point.repeats) == ({"decoding.temperature": 1.0}, 0)
