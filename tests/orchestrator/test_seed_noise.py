"""The spread of one configuration over its seeds."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.advice import advice
from orchestrator.leaderboard import leaderboard
from orchestrator.record import StudyRecord, TrialRecord, TrialState
from orchestrator.seed_noise import SeedNoise, seed_noise
from orchestrator.tracking.projection import project_study
from search_spaces.campaign import StudyDefinition
from trainers.artifacts import Score
from trainers.spec import TrialOutcome


def trial(number, errors, *, seed=None, lr=0.01, teacher="baseline#0", state=TrialState.COMPLETE):
    """A trial of 1000 words, whose WER in percent is a tenth of its errors."""
    settings = {"train": {"lr": lr, "seed": number + 1 if seed is None else seed}}
    score = Score(errors, 0, 0, 1000) if state is TrialState.COMPLETE else None
    outcome = TrialOutcome(pruned=state is TrialState.PRUNED, score=score)
    return TrialRecord(
        "c", "s", "seeds", number, state, settings=settings, needs={"teacher": (teacher,)}, outcome=outcome
    )


def study(*trials):
    return StudyRecord("c", "s", "seeds", trials)


def test_what_five_seeds_show_is_said_in_a_sentence():
    noise = seed_noise(study(*(trial(number, errors) for number, errors in enumerate([200, 205, 208, 212, 217]))))
    assert noise.mean == pytest.approx(20.84)
    assert noise.sd == pytest.approx(0.650, abs=5e-4)
    assert noise.difference == pytest.approx(2.7764 * math.sqrt(2) * noise.sd, rel=1e-4)  # of a printed table of t
    assert str(noise) == (
        "seed noise: sd 0.7 points over 5 seeds (20.0 to 21.7 %): a difference of two single runs below about "
        "2.6 points is no difference"
    )


def test_two_single_runs_stay_within_the_difference_in_95_of_100_studies():
    rng = np.random.default_rng(0)
    inside = 0
    for draws in rng.normal(20, 1, (4000, 6)):
        inside += abs(draws[4] - draws[5]) < SeedNoise(tuple(draws[:4])).difference
    assert inside / 4000 == pytest.approx(0.95, abs=0.01)


def test_only_trials_that_differ_by_seed_alone_are_replicates():
    found = seed_noise(
        study(
            trial(0, 200),
            trial(1, 210),
            trial(2, 100, lr=0.02),
            trial(3, 100, teacher="baseline#1"),
            trial(4, 0, state=TrialState.PRUNED),
            trial(5, 0, state=TrialState.FAILED),
        )
    )
    assert found == SeedNoise((20.0, 21.0))


def test_the_same_seed_twice_is_one_replicate():
    assert seed_noise(study(trial(0, 200, seed=1), trial(1, 200, seed=1))) is None


def test_of_several_configurations_the_one_with_the_most_seeds_counts_and_then_the_best():
    many = [trial(number, 300 + number) for number in range(3)]
    few = [trial(number, 100, lr=0.02) for number in range(3, 5)]
    better = [trial(number, 200 + number, lr=0.03) for number in range(5, 8)]
    assert seed_noise(study(*many, *few)).wers == (30.0, 30.1, 30.2)
    assert seed_noise(study(*many, *few, *better)).wers == (20.5, 20.6, 20.7)


def test_a_study_without_replicates_has_no_noise():
    assert seed_noise(study()) is None
    assert seed_noise(study(trial(0, 100))) is None
    assert seed_noise(study(TrialRecord("c", "s", "decoding", 0, TrialState.COMPLETE))) is None


def test_the_leaderboard_and_the_studys_run_show_mean_spread_and_count():
    replicated = study(trial(0, 200), trial(1, 210), trial(2, 220))
    single = StudyRecord("c", "one", "baseline", (trial(0, 190),))
    table = leaderboard([replicated, single])
    assert pd.isna(table.iloc[0]["dev_mean"])
    assert pd.isna(table.iloc[0]["replicates"])
    row = table.iloc[1]
    assert (row["dev_wer"], row["dev_mean"], row["dev_sd"], row["replicates"]) == (20.0, 21.0, 1.0, 3)
    shown = project_study(replicated).metrics
    assert (shown["best_wer"], shown["dev_mean"], shown["replicates"]) == (20.0, 21.0, 3.0)
    assert shown["dev_sd"] == pytest.approx(1.0)
    assert not {"dev_mean", "dev_sd", "replicates"} & set(project_study(single).metrics)


def test_a_mean_over_survivors_is_said_to_be_too_low():
    def said(*trials):
        return advice(StudyDefinition("s", "seeds"), study(*trials), lambda trials: [None] * len(trials))

    stopped = trial(2, 0, state=TrialState.PRUNED)
    (sentence,) = said(trial(0, 200), trial(1, 210), stopped)
    assert sentence.startswith("study s: 1 of 3 replicates stopped early, because they were losing; the mean")
    assert said(trial(0, 200), trial(1, 210)) == ()
    assert said(trial(0, 200), stopped) == ()


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=12), st.integers(0, 500), st.randoms())
def test_noise_does_not_depend_on_the_order_of_trials_nor_on_a_common_shift(errors, shift, random):
    order = list(range(len(errors)))
    random.shuffle(order)
    noise = seed_noise(study(*(trial(number, errors[number]) for number in range(len(errors)))))
    other = seed_noise(study(*(trial(number, errors[number] + shift) for number in order)))
    assert other.sd == pytest.approx(noise.sd, abs=1e-9)
    assert other.mean - noise.mean == pytest.approx(shift / 10)
