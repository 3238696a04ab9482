import json
from dataclasses import replace

import pandas as pd
from rich.console import Console

from orchestrator.leaderboard import COLUMNS, leaderboard
from orchestrator.leaderboard.terminal import board
from orchestrator.promotion import best_of
from orchestrator.record import FinalScore, StudyRecord, TrialRecord, TrialState
from trainers.artifacts import Score
from trainers.spec import TrialOutcome


def trial(study, number, errors, *, weights=10, promoted=False, state=TrialState.COMPLETE):
    score = Score(errors, 1, 2, 100) if state is TrialState.COMPLETE else None
    outcome = TrialOutcome(
        pruned=state is TrialState.PRUNED, score=score, units="word", decoder="greedy", weights=weights, seconds=2.0
    )
    return TrialRecord(
        "c",
        study,
        study,
        number,
        state,
        {"train.lr": 0.1 * number},
        outcome=outcome,
        promoted=promoted,
        run_id=f"r{number}",
    )


def test_studies_are_sorted_by_the_wer_of_their_best_complete_trial():
    worse = StudyRecord("c", "a", "a", (trial("a", 0, 20), trial("a", 1, 15)))
    better = StudyRecord("c", "b", "b", (trial("b", 0, 9),))
    table = leaderboard([worse, better])
    assert list(table["study"]) == ["b", "a"]
    assert list(table["dev_wer"]) == [12.0, 18.0]
    row = table.iloc[1]
    assert (row["substitutions"], row["deletions"], row["insertions"], row["reference_words"]) == (15, 1, 2, 100)
    assert json.loads(row["parameters"]) == {"train.lr": 0.1}


def test_pruned_trials_are_counted_and_never_ranked():
    pruned = trial("a", 0, 0, state=TrialState.PRUNED)
    table = leaderboard([StudyRecord("c", "a", "a", (pruned, trial("a", 1, 30)))])
    row = table.iloc[0]
    assert (row["completed"], row["pruned"], row["trial"]) == (1, 1, 1)


def test_a_study_without_a_complete_trial_comes_last_and_has_no_wer():
    empty = StudyRecord("c", "a", "a", (trial("a", 0, 0, state=TrialState.FAILED),))
    table = leaderboard([empty, StudyRecord("c", "b", "b", (trial("b", 0, 50),))])
    assert list(table["study"]) == ["b", "a"]
    assert pd.isna(table.iloc[1]["dev_wer"])
    assert table.iloc[1]["failed"] == 1


def test_a_table_of_nothing_still_has_its_columns():
    assert list(leaderboard([]).columns) == list(COLUMNS)


def test_counts_are_written_as_whole_numbers_even_beside_a_study_without_a_result():
    empty = StudyRecord("c", "a", "a", (trial("a", 0, 0, state=TrialState.FAILED),))
    text = leaderboard([empty, StudyRecord("c", "b", "b", (trial("b", 0, 50),))]).to_csv(index=False)
    assert ",50,1,2,100," in text


def test_of_equal_systems_the_one_with_fewer_weights_is_champion_and_then_the_earlier_study():
    large = StudyRecord("c", "a", "a", (trial("a", 0, 9, weights=20, promoted=True),))
    small = StudyRecord("c", "b", "b", (trial("b", 0, 9, weights=10, promoted=True),))
    same = StudyRecord("c", "d", "d", (trial("d", 0, 9, weights=10, promoted=True),))
    assert best_of([large, small, same]).study == "b"


def test_the_champion_is_marked():
    champion = trial("a", 0, 9, promoted=True)
    table = leaderboard([StudyRecord("c", "a", "a", (champion,))], champion)
    assert table.iloc[0]["promoted"] == "champion"


def promoted_beside(best):
    trials = (trial("d", 0, 9), trial("d", 1, 12, promoted=True), trial("d", 2, 20))
    return StudyRecord("c", "d", "d", trials, promoted=1, promoted_beside=best)


def shown(studies, champion=None):
    console = Console(width=80, record=True)
    console.print(board(leaderboard(studies, champion)))
    return " ".join(console.export_text().split())


def test_a_study_whose_promoted_trial_is_not_its_best_is_shown_by_it_with_the_best_beside():
    row = leaderboard([promoted_beside(best=0)]).iloc[0]
    assert (row["trial"], row["dev_wer"], row["promoted"]) == (1, 15.0, "study")
    assert (row["best_trial"], row["best_dev_wer"]) == (0, 12.0)
    assert json.loads(row["parameters"]) == {"train.lr": 0.1}
    assert "d is shown by trial 1; the lowest dev WER is 12.0 % of trial 0" in shown([promoted_beside(best=0)])


def test_a_champion_that_is_another_trial_of_its_study_is_said_with_its_figures():
    study = promoted_beside(best=0)
    said = "the champion is trial 2 of d, not the one shown: dev WER 23.0 %"
    assert said in shown([study], study.trials[2])
    scored = replace(study.trials[2], final=FinalScore(Score(10, 0, 0, 50), 2, "a test set"))
    assert f"{said}, test WER 20.0 % (look 2)" in shown([study], scored)
    assert "not the one shown" not in shown([study], study.trials[1])
    row = leaderboard([study], scored).iloc[0]
    assert (row["promoted"], row["champion_trial"], row["champion_test_wer"]) == ("study", 2, 20.0)


def test_a_trial_better_than_the_best_at_the_time_of_promotion_stands_for_its_study_until_the_next():
    row = leaderboard([promoted_beside(best=2)]).iloc[0]
    assert (row["trial"], row["dev_wer"], row["promoted"], row["best_trial"]) == (0, 12.0, "", 0)


def test_nothing_is_said_of_the_lowest_wer_where_it_is_the_one_that_is_shown():
    assert "lowest" not in shown([StudyRecord("c", "b", "b", (trial("b", 0, 9),))])
