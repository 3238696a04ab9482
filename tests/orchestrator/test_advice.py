from dataclasses import replace

import pytest

from orchestrator.advice import advice
from orchestrator.record import StudyRecord, TrialRecord, TrialState
from search_spaces.campaign import StudyDefinition
from search_spaces.space import Axis, Categorical, Float, Int, Space
from trainers.artifacts import Score
from trainers.spec import TrialOutcome

ALPHA, BEAM = Axis("decoding.alpha", Float(0.0, 1.0)), Axis("decoding.beam_width", Categorical((10, 20, 50)))
STUDY = StudyDefinition("decoding", "decoding", Space((ALPHA, BEAM)))


def trial(number, errors, source="baseline#0", state=TrialState.COMPLETE, **params):
    point = {f"decoding.{name}": value for name, value in params.items()}
    outcome = TrialOutcome(score=Score(errors, 0, 0, 100))
    needs = {"posteriors": (source,)}
    return TrialRecord("c", "decoding", "decoding", number, state, params=point, outcome=outcome, needs=needs)


def study(*trials):
    return StudyRecord("c", "decoding", "decoding", tuple(trials))


def sweep(best_at, count=10):
    """Trials of which the nearer alpha is to a value the better."""
    alphas = [number / (count - 1) for number in range(count)]
    return [trial(n, 10 + round(50 * abs(a - best_at)), alpha=a, beam_width=20) for n, a in enumerate(alphas)]


def test_a_best_point_at_the_upper_end_asks_for_a_wider_range():
    (said,) = advice(STUDY, study(*sweep(best_at=1.0)))
    assert "upper end of decoding.alpha (1 of 0 to 1)" in said


def test_a_best_point_inside_says_nothing():
    assert advice(STUDY, study(*sweep(best_at=0.5))) == ()


def test_zero_is_a_natural_end():
    assert advice(STUDY, study(*sweep(best_at=0.0))) == ()


def test_any_other_lower_end_is_an_edge():
    axis = Axis("decoding.alpha", Float(0.5, 1.0))
    trials = [trial(n, 10 + n, alpha=0.5 + n / 20, beam_width=20) for n in range(10)]
    (said,) = advice(replace(STUDY, space=Space((axis, BEAM))), study(*trials))
    assert "lower end of decoding.alpha (0.5 of 0.5 to 1)" in said


def test_a_tie_between_an_end_and_the_inside_is_no_edge():
    trials = sweep(best_at=1.0)
    inside = trial(99, 10, alpha=0.4, beam_width=20)
    assert advice(STUDY, study(*trials, inside)) == ()


@pytest.mark.parametrize(("width", "warned"), [(50, True), (20, False)])
def test_the_widest_of_several_choices_is_an_end_too(width, warned):
    trials = [trial(n, 20, alpha=0.5, beam_width=(10, 20, 50)[n % 3]) for n in range(9)]
    said = advice(STUDY, study(*trials, trial(9, 10, alpha=0.5, beam_width=width)))
    assert bool(said) == warned
    assert not said or "upper end of decoding.beam_width (50 of" in said[0]


def test_words_have_no_ends_and_a_whole_number_has():
    space = Space((Axis("decoding.method", Categorical(("a", "b", "c"))), Axis("decoding.beam_width", Int(1, 100))))
    trials = [trial(n, 30 - n, method="c", beam_width=10 * (n + 1)) for n in range(10)]
    (said,) = advice(replace(STUDY, space=space), study(*trials))
    assert "beam_width" in said


def test_few_trials_say_nothing_of_edges():
    assert advice(STUDY, study(*sweep(best_at=1.0, count=5))) == ()


def test_trials_that_are_not_complete_do_not_count():
    lost = [replace(one, state=TrialState.PRUNED) for one in sweep(best_at=1.0)]
    assert advice(STUDY, study(*lost)) == ()


def test_a_language_model_that_hurts_is_named_for_the_posteriors_it_hurts():
    greedy = [trial(20, 8, method="greedy"), trial(21, 40, source="student#1", method="greedy")]
    searched = sweep(best_at=0.5) + [trial(30 + n, 20, source="student#1", alpha=0.5, beam_width=20) for n in range(3)]
    (said,) = advice(STUDY, study(*greedy, *searched))
    assert said == (
        "the language model does not help baseline#0: 8.0 % without it, 13.0 % at the best of 10 points with it"
    )


def test_a_study_without_trials_says_nothing():
    assert advice(STUDY, study()) == ()
