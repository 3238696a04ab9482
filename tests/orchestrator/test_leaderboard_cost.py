from dataclasses import replace
from datetime import datetime, timedelta

from orchestrator.leaderboard import leaderboard
from orchestrator.leaderboard.cost import Cost, behind, cost_with_needs, study_cost
from orchestrator.record import TrialState
from search_spaces.campaign import Campaign, DataFiles, StudyDefinition
from tests.orchestrator.recognised import study

NOON = datetime(2026, 1, 1, 12)


def with_failure(found, seconds):
    failed = replace(
        found.trials[0],
        number=len(found.trials),
        state=TrialState.FAILED,
        outcome=None,
        started=NOON,
        finished=NOON + timedelta(seconds=seconds),
    )
    return replace(found, trials=(*found.trials, failed))


def test_trials_of_every_state_that_has_ended_are_paid_for():
    complete = study("a", 20.0, 21.0, cpu_seconds=100.0)
    pruned = replace(
        complete.trials[0],
        number=2,
        state=TrialState.PRUNED,
        outcome=replace(complete.trials[0].outcome, pruned=True, score=None, cpu_seconds=30.0),
    )
    running = replace(complete.trials[0], number=3, state=TrialState.RUNNING, outcome=None, started=NOON)
    found = with_failure(replace(complete, trials=(*complete.trials, pruned, running)), 7.0)
    assert study_cost(found) == Cost(cpu=100.0 + 100.0 + 30.0 + 7.0)


def test_on_a_gpu_wall_time_counts_and_for_what_failed_there_too():
    found = with_failure(study("a", 20.0, computed_on="cuda (H100), fp32, CTC on cuda"), 7.0)
    assert study_cost(found) == Cost(gpu=50.0 + 7.0)


def test_a_trial_that_moved_counts_on_the_device_it_ended_on():
    assert study_cost(study("a", 20.0, computed_on="cpu, fp32; then cuda (H100), fp32")) == Cost(gpu=50.0)
    assert study_cost(study("a", 20.0, computed_on="cuda (H100), fp32; then cpu, fp32", cpu_seconds=9.0)) == Cost(
        cpu=9.0
    )


DEFINITIONS = {
    "teacher": StudyDefinition("teacher", "baseline"),
    "student": StudyDefinition("student", "distillation", needs={"teacher": ("teacher",)}, inherit="teacher"),
    "other": StudyDefinition("other", "distillation", needs={"teacher": ("teacher", "elsewhere/folder")}),
    "pool": StudyDefinition("pool", "decoding", needs={"posteriors": ("student", "other")}),
}


def test_what_is_needed_is_counted_once_however_many_ways_lead_there():
    costs = {"teacher": Cost(cpu=1.0), "student": Cost(cpu=10.0), "other": Cost(gpu=100.0), "pool": Cost(cpu=1000.0)}
    assert behind("pool", DEFINITIONS) == ("teacher", "student", "other", "pool")
    assert cost_with_needs("pool", costs, DEFINITIONS) == Cost(cpu=1011.0, gpu=100.0)
    assert cost_with_needs("student", costs, DEFINITIONS) == Cost(cpu=11.0)
    assert cost_with_needs("teacher", costs, DEFINITIONS) == Cost(cpu=1.0)


def test_a_study_that_no_campaign_names_needs_nothing():
    assert cost_with_needs("imported", {"imported": Cost(cpu=5.0)}, DEFINITIONS) == Cost(cpu=5.0)


def test_the_row_holds_own_hours_and_hours_with_needs_and_says_what_it_cannot_know():
    campaign = Campaign("c", "c.yaml", DataFiles("train", "dev"), {}, DEFINITIONS, "teacher")
    studies = [study("teacher", 20.0, 21.0, cpu_seconds=36.0), study("other", 19.0, computed_on="cuda, fp32")]
    table = leaderboard(studies, None, campaign).set_index("study")
    row = table.loc["other"]
    assert (row["cpu_hours"], row["cpu_hours_with_needs"]) == (0.0, 0.02)
    assert (row["gpu_hours"], row["gpu_hours_with_needs"]) == (50 / 3600, 50 / 3600)
    assert row["trials_over_baseline"] == -1
    assert "the cost of elsewhere/folder is not known" in row["remarks"]
    assert "not known" not in table.loc["teacher", "remarks"]
