"""Configurations ranked by the means of fresh seeds, and what a leaderboard makes of them."""

import math
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rich.console import Console

from orchestrator.advice import advice
from orchestrator.confirmation import confirmations_of, points_to_confirm, verdict
from orchestrator.confirmed import alike, ranking, replicates, run_variance, undecided
from orchestrator.leaderboard import Evidence, leaderboard
from orchestrator.leaderboard.comparison import Ground, compare
from orchestrator.leaderboard.competition import competitors, flattery
from orchestrator.leaderboard.terminal import board
from orchestrator.leaderboard.view import notes
from orchestrator.record import StudyRecord, TrialRecord, TrialState
from orchestrator.retention import Needed, surplus
from orchestrator.seed_noise import seed_noise
from search_spaces.campaign import Campaign, ConfirmSettings, DataFiles, StudyDefinition
from search_spaces.replicates import SEED
from search_spaces.space import Axis, Categorical, Float, Space
from tests.orchestrator.recognised import BASE, recognised, study
from trainers.artifacts import Score
from trainers.scoring.bootstrap import bootstrap_difference
from trainers.scoring.selection import measurement_noise, optimism
from trainers.spec import TrialOutcome

WORDS = 1000


def trial(number, errors, *, lr=0.1, seed=1, repeats=None, state=TrialState.COMPLETE, **about):
    """A trial of 1000 words, whose WER in percent is a tenth of its errors."""
    overrides = {} if repeats is None else {SEED: seed}
    score = Score(errors, 0, 0, WORDS) if state is TrialState.COMPLETE else None
    return TrialRecord(
        "c",
        "s",
        "baseline",
        number,
        state,
        params={"train.lr": lr, **overrides},
        settings={"train": {"lr": lr, "seed": seed}} if state is not TrialState.WAITING else {},
        outcome=TrialOutcome(score=score, pruned=score is None, checkpoint=f"k{number}") if score else None,
        key=f"k{number}",
        overrides=overrides,
        repeats=repeats,
        **about,
    )


def confirmed(found, again, **about):
    """A study that found configurations with so many errors, and trained some of them again."""
    trials = [trial(number, errors, lr=0.1 + number) for number, errors in enumerate(found)]
    for origin, runs in again.items():
        trials += [
            trial(len(trials) + index, errors, lr=0.1 + origin, seed=2 + index, repeats=origin)
            for index, errors in enumerate(runs)
        ]
    return StudyRecord("c", "s", "baseline", tuple(trials), **about)


def decided(found, again):
    """The same, with the trial promoted that the means speak for."""
    record = confirmed(found, again)
    number = ranking(record)[0].typical.number
    trials = tuple(replace(one, promoted=one.number == number) for one in record.trials)
    return replace(record, trials=trials, promoted=number, promoted_beside=record.best.number)


runs = st.lists(st.integers(0, 1000), min_size=2, max_size=5)
studies = st.lists(st.tuples(st.integers(0, 1000), st.none() | runs), min_size=1, max_size=6).map(
    lambda each: confirmed([one for one, _ in each], {n: again for n, (_, again) in enumerate(each) if again})
)


@given(studies, st.randoms())
def test_the_ranking_is_that_of_the_means_whatever_the_order_of_the_trials(record, random):
    ranked = ranking(record)
    means = {one.origin.number: round(one.mean, 9) for one in ranked}
    by_hand = {
        origin: round(fmean(trial.dev_wer for trial in record.trials if trial.confirms == origin), 9)
        for origin in {trial.confirms for trial in record.trials} - {None}
    }
    assert means == by_hand
    assert list(means.values()) == sorted(means.values())
    shuffled = list(record.trials)
    random.shuffle(shuffled)
    again = ranking(replace(record, trials=tuple(shuffled)))
    assert [one.origin.number for one in again] == [one.origin.number for one in ranked]
    assert [one.typical.number for one in again] == [one.typical.number for one in ranked]


@given(studies, st.integers(0, 1000))
def test_how_lucky_the_search_was_with_a_configuration_does_not_move_its_mean(record, luck):
    """The winner's curse: the run that was chosen for its WER takes no part."""
    lucky = tuple(
        replace(one, outcome=replace(one.outcome, score=Score(luck, 0, 0, WORDS))) if one.confirms is None else one
        for one in record.trials
    )
    means = [sorted(one.mean for one in ranking(replace(record, trials=trials))) for trials in (record.trials, lucky)]
    assert means[0] == means[1]


@given(studies)
def test_the_promoted_run_is_of_the_lowest_mean_and_none_of_its_configuration_is_nearer_to_it(record):
    for first in ranking(record)[:1]:
        assert all(first.mean <= other.mean for other in ranking(record))
        gaps = [abs(one.dev_wer - first.mean) for one in first.trials]
        assert abs(first.typical.dev_wer - first.mean) <= min(gaps) + 1e-9
        assert first.typical in first.trials


@given(studies, st.sampled_from([TrialState.FAILED, TrialState.PRUNED, TrialState.RUNNING]), st.data())
def test_a_configuration_of_which_a_run_did_not_come_to_its_end_is_not_ranked(record, state, data):
    """The mean of the others would be one over survivors."""
    again = [one.number for one in record.trials if one.confirms is not None]
    assume(again)
    lost = data.draw(st.sampled_from(again))
    origin = record.trials[lost].confirms
    trials = tuple(replace(one, state=state, outcome=None) if one.number == lost else one for one in record.trials)
    before, after = ranking(record), ranking(replace(record, trials=trials))
    assert [one for one in before if one.origin.number != origin] == after


@given(studies, st.integers(0, 4), st.integers(2, 5))
def test_what_is_to_be_trained_brings_the_best_to_their_number_of_fresh_seeds(record, top, seeds):
    settings = ConfirmSettings(top=top, seeds=seeds)
    points = points_to_confirm(record, settings)
    best = sorted(record.searched, key=lambda one: (one.dev_wer, one.number))[:top]
    wanted = {one.number: max(seeds - sum(t.confirms == one.number for t in record.trials), 0) for one in best}
    assert {number: sum(point.repeats == number for point in points) for number in wanted} == wanted
    assert len(points) == sum(wanted.values())
    for point in points:
        assert point.params == {"train.lr": record.trials[point.repeats].params["train.lr"]}
        used = {one.seed for one in record.trials if one.number == point.repeats or one.confirms == point.repeats}
        assert point.overrides[SEED] not in used
    assert len({(point.repeats, point.overrides[SEED]) for point in points}) == len(points)
    added = [
        trial(
            len(record.trials) + n,
            0,
            lr=point.params["train.lr"],
            seed=point.overrides[SEED],
            repeats=point.repeats,
            state=TrialState.WAITING,
        )
        for n, point in enumerate(points)
    ]
    queued = replace(record, trials=(*record.trials, *added))
    assert points_to_confirm(queued, settings) == []  # what waits is known, though its settings are not
    count = confirmations_of(record, Space(), settings, len(record.searched))
    assert count == len(queued.trials) - len(queued.searched)


def test_of_two_seeds_a_run_that_went_wrong_is_not_the_one_that_is_promoted():
    (one,) = ranking(confirmed([147], {0: [294, 157]}))
    assert one.typical.dev_wer == one.lowest.dev_wer == 15.7


def test_a_configuration_that_the_search_ran_with_several_seeds_is_one_and_none_of_them_is_fresh():
    axis = Axis(SEED, Categorical((1, 2, 3)))
    found = StudyRecord("c", "s", "baseline", tuple(trial(n, 200 - n, seed=n + 1) for n in range(3)))
    points = points_to_confirm(found, ConfirmSettings(top=3, seeds=2))
    assert [(point.repeats, point.overrides) for point in points] == [(2, {SEED: 4}), (2, {SEED: 5})]
    assert confirmations_of(StudyRecord("c", "s", "baseline"), Space((axis,)), ConfirmSettings(), 3) == 3


def test_before_the_search_has_ended_as_many_are_expected_as_there_may_be_configurations():
    empty, settings = StudyRecord("c", "s", "baseline"), ConfirmSettings(top=3, seeds=2)
    assert confirmations_of(empty, Space((Axis("train.lr", Float(0, 1)),)), settings, 10) == 6
    assert confirmations_of(empty, Space((Axis("train.lr", Float(0, 1)),)), settings, 2) == 4
    assert confirmations_of(empty, Space((Axis("train.lr", Categorical((1, 2))),)), settings, 10) == 4
    assert confirmations_of(empty, Space(), ConfirmSettings(top=0), 10) == 0


def test_ties_within_seed_noise_are_said_aloud():
    record = confirmed([180, 185, 190], {0: [200, 210, 220], 1: [205, 210, 214], 2: [300, 310, 320]})
    ranked = ranking(record)
    assert [one.origin.number for one in ranked] == [1, 0, 2]
    assert [one.origin.number for one in alike(ranked)] == [0]
    assert verdict(ranked) == (
        "#1 is confirmed with 21.0 ± 0.5 % over 3 fresh seeds, the lowest mean of 3 configurations (18.5 % in the "
        "search); within seed noise of it: #0 (21.0 %); #7 is promoted, the run nearest to the mean, and not the "
        "lowest, #6 (20.5 %)"
    )


def test_equal_configurations_are_told_apart_in_one_of_twenty_cases():
    """Two with three seeds each, as Student's t has it for the second of them, whichever that is."""
    rng = np.random.default_rng(1)
    apart = 0
    for draws in rng.normal(2000, 100, (1000, 2, 3)).round().astype(int):
        ranked = ranking(confirmed([0, 0], {0: list(draws[0]), 1: list(draws[1])}))
        apart += not alike(ranked)
    assert apart / 1000 == pytest.approx(0.05, abs=0.02)


def test_fresh_seeds_show_what_a_configuration_is_worth_where_the_best_of_a_search_flatters_itself():
    """Configurations, the luck of a seed, and dev: each with a standard deviation of 5 errors in 1000 words."""
    rng = np.random.default_rng(0)
    names = ("search", "mean", "typical", "lowest", "gain")
    gaps = {name: [] for name in names}
    for _ in range(300):
        true = rng.normal(200, 5, 20)
        found = true + rng.normal(0, 5, 20) + rng.normal(0, 5, 20)
        top = np.argsort(found)[:3]
        worth = true[top, None] + rng.normal(0, 5, (3, 3))
        shown = worth + rng.normal(0, 5, (3, 3))
        first, *_ = ranking(confirmed(list(found), dict(zip(map(int, top), map(list, shown), strict=True))))
        worth_of = dict(
            zip((one.number for one in first.trials), worth[list(top).index(first.origin.number)], strict=True)
        )
        gaps["search"].append(found.min() - true[np.argmin(found)])
        gaps["mean"].append(10 * first.mean - true[first.origin.number])
        for name, run in (("typical", first.typical), ("lowest", first.lowest)):
            gaps[name].append(10 * run.dev_wer - worth_of[run.number])
        gaps["gain"].append(worth_of[first.typical.number] - worth_of[first.lowest.number])
    points = {name: fmean(gap) / 10 for name, gap in gaps.items()}
    expected = {"search": -1.1, "mean": -0.25, "typical": -0.1, "lowest": -0.4, "gain": 0.3}
    assert points == pytest.approx(expected, abs=0.1)


def test_the_variance_of_a_run_is_pooled_by_degrees_of_freedom():
    ranked = ranking(confirmed([0, 0], {0: [10, 20, 30], 1: [10, 14]}))
    assert run_variance(ranked) == pytest.approx((2 * 1.0 + 1 * 0.08) / 3)


def test_the_lowest_of_the_search_is_the_best_and_a_lower_fresh_seed_is_not():
    record = confirmed([180, 170], {1: [160, 200]})
    assert record.best.number == record.result.number == 1
    done = decided([180, 170], {1: [160, 200]})
    assert done.best.number == 1
    assert (done.result.number, done.result.confirms) == (2, 1)
    # a better trial of a search that went on stands for the study until that is confirmed in turn
    further = replace(done, trials=(*done.trials, trial(4, 100, lr=9.0)))
    assert further.result.number == 4


def test_the_noise_of_a_confirmed_study_is_that_of_its_fresh_seeds_alone():
    noise = seed_noise(decided([100, 300], {0: [200, 210, 220], 1: [290, 300, 310]}))
    assert noise.wers == (20.0, 21.0, 22.0)
    waiting = confirmed([100], {0: [200, 210]})
    assert seed_noise(waiting) is None  # the run that was chosen is not one of several seeds


def test_replicates_are_all_trials_of_a_study_with_one_configuration_but_no_survivors():
    one = StudyRecord("c", "s", "seeds", tuple(trial(n, 200 + n, seed=n) for n in range(3)))
    assert replicates(one) == one.trials
    stopped = replace(one, trials=(*one.trials, trial(3, 0, seed=3, state=TrialState.PRUNED)))
    assert replicates(stopped) == ()
    other = replace(one, trials=(*one.trials, trial(3, 0, seed=3, lr=1.0)))
    assert replicates(other) == ()
    assert replicates(replace(one, trials=one.trials[:1])) == ()
    assert replicates(StudyRecord("c", "s", "seeds")) == ()


def test_a_search_whose_losers_were_stopped_is_no_reason_to_doubt_the_fresh_seeds():
    done = decided([180, 170], {1: [160, 200]})
    stopped = replace(done, trials=(*done.trials, trial(4, 0, lr=7.0, state=TrialState.PRUNED)))
    assert advice(StudyDefinition("s", "baseline"), stopped, lambda trial: None) == ()


def test_runs_that_confirm_keep_their_weights_until_one_of_them_is_promoted():
    def freed(record):
        found = surplus([record], {"c/s": 1}, Needed(), {one.key: one.name for one in record.trials})
        return {one.trial.number for one in found}

    open_ = confirmed([180, 190], {0: [200, 210, 220]})
    assert undecided(open_)
    assert freed(open_) == {1}
    done = decided([180, 190], {0: [200, 210, 220]})
    assert not undecided(done)
    assert freed(done) == {1, 2, 4}
    more = replace(done, trials=(*done.trials, trial(5, 0, seed=5, repeats=0, state=TrialState.WAITING)))
    assert undecided(more)
    assert freed(more) == {1}


# the leaderboard


def test_a_mean_that_was_chosen_among_several_is_corrected_as_the_lowest_of_means():
    done = decided([180, 185], {0: [200, 210, 220], 1: [220, 230, 240]})
    sample = [recognised(list(row)) for row in np.random.default_rng(0).binomial(10, 0.2, (6, 30))]
    assert [one.number for one in competitors(done)] == [2, 3, 4, 5, 6, 7]
    noise = measurement_noise(np.stack([one.errors for one in sample]), sample[0].words)
    expected = optimism([21.0, 23.0], math.sqrt((noise**2 + 1.0) / 3))
    assert flattery(done, sample) == pytest.approx(expected)
    assert flattery(decided([180, 185], {0: [200, 210]}), ()) == 0.0
    assert flattery(done, ()) is None


def test_with_seeds_on_both_sides_the_verdict_draws_them_and_takes_the_choice_among_means_back():
    fresh = [recognised([max(0, errors - 1 - shift) for errors in BASE]) for shift in (0, 1)]
    base = Evidence(recognised(BASE), confirmed=[recognised(BASE), recognised(BASE[::-1])])
    one = Evidence(fresh[0], confirmed=fresh, flattered=1.5)
    found = compare({"base": base, "one": one}, {}, "base")["one"]
    expected = bootstrap_difference(
        [system.errors for system in fresh], [BASE, BASE[::-1]], fresh[0].words, correction=1.5
    )
    assert (found.ground, found.difference) == (Ground.CONFIRMED, expected)
    # the correction takes a verdict away and makes none
    far = compare({"base": base, "one": replace(one, flattered=99.0)}, {}, "base")["one"]
    assert far.difference.points == 0.0


@pytest.fixture
def table():
    base = study("base", 23.0, 24.0, promoted=0)
    done = replace(decided([180, 185, 190], {0: [200, 210, 220], 1: [220, 230, 240]}), name="s")
    campaign = Campaign(
        "c",
        Path("c.yaml"),
        DataFiles(Path("a"), Path("b")),
        {},
        {name: StudyDefinition(name, "baseline") for name in ("base", "s")},
        "base",
    )
    return leaderboard([base, done], None, campaign)


def test_a_row_shows_mean_spread_and_count_of_the_fresh_seeds_and_what_the_search_showed(table):
    row = table.set_index("study").loc["s"]
    assert (row["dev_mean"], row["dev_sd"], row["replicates"]) == (21.0, 1.0, 3)
    assert (row["dev_wer"], row["trial"], row["confirms"], row["best_dev_wer"]) == (21.0, 4, 0, 18.0)
    assert (row["trials"], row["confirmations"], row["trials_over_baseline"]) == (9, 6, 1)
    assert "trial 4 trains the configuration of trial 0 again, with a fresh seed" in row["remarks"]


def test_a_reader_is_told_of_unequal_searches_and_of_the_fresh_seeds(table):
    said = list(notes(table))
    assert "not searched with the same number of trials: the baseline had 2, s 3" in said
    assert (
        "s is shown by trial 4, one of 3 fresh seeds that confirm trial 0 with 21.0 ± 1.0 %; the lowest of the search "
        "was 18.0 %"
    ) in said
    console = Console(width=80, record=True)
    console.print(board(table))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "21.0 ± 1.0 (3)" in text


def test_a_baseline_without_seeds_beside_a_study_with_them_is_said(table):
    table.loc[table["study"] == "s", "compared_on"] = str(Ground.DEV)
    assert "the baseline was not confirmed with fresh seeds, so that one run of it is compared with one of s" in list(
        notes(table)
    )
