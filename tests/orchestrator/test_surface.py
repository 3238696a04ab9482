"""The flat region of a decoding surface and its middle."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.record import TrialState
from orchestrator.surface import errors_in, find_surface, within_noise
from search_spaces.scorers import DEFAULT
from search_spaces.space import Axis, Categorical, Float, Int, Space
from tests.orchestrator.made_surface import ALPHA, BEAM, BETA, SPACE, UTTERANCES, WIDER, Study
from trainers.artifacts import Hypothesis
from trainers.outcomes import write_outcome
from trainers.scoring.paired import Gain
from trainers.spec import TrialOutcome


def numbers(surface):
    return [trial.number for trial in surface.flat]


points = st.lists(
    st.tuples(
        st.integers(0, 8),
        st.integers(0, 8),
        st.sampled_from((10, 50)),
        st.lists(st.integers(0, 3), min_size=UTTERANCES, max_size=UTTERANCES),
    ),
    min_size=1,
    max_size=15,
)


def study_of(rows):
    study = Study()
    for alpha, beta, width, errors in rows:
        study.add(errors, alpha=alpha / 4, beta=float(beta - 2), beam_width=width)
    return study


@given(points)
def test_the_best_and_the_middle_lie_in_the_flat_region_and_all_of_it_on_the_surface_of_the_best(rows):
    surface = study_of(rows).surface()
    lowest = min(trial.dev_wer for trial in study_of(rows).trials)
    assert surface.best.dev_wer == lowest
    assert surface.best.number in numbers(surface)
    assert surface.middle.number in numbers(surface)
    assert {trial.params["decoding.beam_width"] for trial in surface.flat} == {
        surface.best.params["decoding.beam_width"]
    }


@given(points, st.randoms(use_true_random=False))
def test_the_order_of_the_trials_does_not_matter(rows, random):
    study = study_of(rows)
    shuffled = random.sample(study.trials, len(study.trials))
    assert study.surface(trials=shuffled) == study.surface()


@given(points, st.sampled_from((0.001, 0.3, 7.0, 1e4)))
def test_the_unit_of_an_axis_does_not_matter(rows, factor):
    study = study_of(rows)
    scaled = [
        replace(trial, params={**trial.params, "decoding.alpha": factor * trial.params["decoding.alpha"]})
        for trial in study.trials
    ]
    space = Space((Axis("decoding.alpha", Float(0.0, 2.0 * factor)), BETA, BEAM))
    one, other = study.surface(), study.surface(space, scaled)
    assert (one.middle.number, numbers(one)) == (other.middle.number, numbers(other))


@given(points)
def test_a_second_study_of_other_posteriors_changes_nothing_as_long_as_it_is_worse(rows):
    study = study_of(rows)
    alone = study.surface()
    for _ in range(3):
        study.add(4, source="b", alpha=0.5, beta=0.0, beam_width=50)
    together = study.surface()
    assert (together.middle, together.flat) == (alone.middle, alone.flat)


def test_of_points_that_are_all_alike_the_middle_one_is_promoted_and_not_the_first():
    study = Study()
    for alpha in (0.0, 0.5, 1.0, 1.5, 2.0):
        study.add(1, alpha=alpha, beta=0.0, beam_width=10)
    surface = study.surface()
    assert (surface.best.number, surface.middle.number, numbers(surface)) == (0, 2, [0, 1, 2, 3, 4])
    assert str(surface) == "#2 (20.0 %) is the middle of 5 points within noise; the lowest WER is that of #0 (20.0 %)"


def test_of_two_points_equally_in_the_middle_the_one_of_lower_wer_is_taken():
    study = Study()
    study.add([1, 2, 1], alpha=0.5, beta=0.0, beam_width=10)
    study.add([1, 1, 2, 1], alpha=1.5, beta=0.0, beam_width=10)
    assert numbers(study.surface()) == [0, 1]
    assert study.surface().middle.number == 1


def test_a_difference_beyond_noise_is_not_flat_however_small_and_one_within_is_however_large():
    study = Study()
    study.add(1, alpha=1.0, beta=0.0, beam_width=10)
    study.add([2, 1], alpha=0.9, beta=0.0, beam_width=10)  # one error more in every other utterance
    study.add([1] * 11 + [5], alpha=1.1, beta=0.0, beam_width=10)  # four more in one
    assert numbers(study.surface()) == [0, 2]


def test_an_axis_spread_over_magnitudes_is_measured_in_magnitudes():
    study = Study()
    for alpha in (0.01, 0.1, 1.0, 10.0, 100.0):
        study.add(1, alpha=alpha)
    space = Space((Axis("decoding.alpha", Float(0.01, 100.0, log=True)),))
    assert study.surface(space).middle.params["decoding.alpha"] == 1.0


@given(points)
def test_numbers_to_choose_from_lie_along_their_axis_as_those_of_a_range_do(rows):
    study = study_of(rows)
    alphas = Axis("decoding.alpha", Categorical(tuple(step / 4 for step in (8, *range(8)))))
    chosen, ranged = study.surface(Space((alphas, BETA, BEAM))), study.surface()
    assert (chosen.best, chosen.middle, chosen.flat) == (ranged.best, ranged.middle, ranged.flat)


def test_between_two_choices_there_is_no_middle():
    study = Study()
    for alpha in (0.0, 2.0, 2.0):
        study.add(1, alpha=alpha)
    assert numbers(study.surface(Space((Axis("decoding.alpha", Categorical((0, 2.0))),)))) == [0]


def test_another_order_of_the_language_model_is_another_surface_though_it_is_a_number():
    study = Study()
    for order in (2, 3, 4):
        number = study.add(1, alpha=1.0)
        params = {**study.trials[number].params, "language_model.order": order}
        study.trials[number] = replace(study.trials[number], params=params)
    space = Space((ALPHA, Axis("language_model.order", Int(2, 4))))
    assert numbers(study.surface(space)) == [0]


def test_a_conditional_axis_parts_the_points_that_have_it_from_those_that_have_not():
    study = Study()
    study.add(1, alpha=1.0)
    study.add(1, alpha=1.0, beta=1.0)
    study.add(1, alpha=0.5, beta=2.0)
    assert numbers(study.surface()) == [0]
    assert numbers(study.surface(trials=study.trials[1:])) == [1, 2]


def test_greedy_decoding_is_no_point_of_the_surface_and_is_promoted_where_nothing_is_better():
    study = Study()
    study.add(1, overrides={"decoding.method": "greedy"}, alpha=0.0, beta=0.0, beam_width=10)
    study.add(2, alpha=0.0, beta=0.0, beam_width=10)
    study.add(2, alpha=1.0, beta=0.0, beam_width=10)
    assert (study.surface().middle.number, numbers(study.surface())) == (0, [0])
    study.add(0, alpha=0.5, beta=0.0, beam_width=10)
    assert study.surface().middle.number == 3


def test_a_repeat_with_wider_pruning_that_is_better_by_chance_leaves_the_middle_where_it_was():
    study = Study()
    for alpha in (0.5, 1.0, 1.5):
        study.add([1, 2], alpha=alpha, beta=0.0, beam_width=10)
    before = study.surface()
    study.add([1, 2] * 5 + [0, 2], overrides=WIDER, repeats=0, alpha=0.5, beta=0.0, beam_width=10)
    after = study.surface()
    assert after.best.number == 3
    assert (after.middle, after.flat) == (before.middle, before.flat)


def test_repeats_that_are_better_beyond_noise_are_a_surface_of_their_own():
    study = Study()
    for alpha in (0.5, 1.0, 1.5):
        study.add([1, 2, 3], alpha=alpha, beta=0.0, beam_width=10)
    for number, alpha in enumerate((0.5, 1.0, 1.5)):
        study.add([0, 1, 1], overrides=WIDER, repeats=number, alpha=alpha, beta=0.0, beam_width=10)
    assert (study.surface().middle.number, numbers(study.surface())) == (4, [3, 4, 5])


def test_trials_that_are_not_complete_are_no_points():
    study = Study()
    study.add(0, alpha=1.0, beta=0.0, beam_width=10)
    study.trials[0] = replace(study.trials[0], state=TrialState.PRUNED)
    assert study.surface() is None
    study.add(1, alpha=1.5, beta=0.0, beam_width=10)
    assert study.surface().best.number == 1


def test_a_point_whose_errors_are_gone_or_of_another_set_is_not_compared(store):
    study = Study()
    for alpha in (0.5, 1.0, 1.5):
        study.add(1, alpha=alpha, beta=0.0, beam_width=10)

    def errors_of(trial):
        found = study.errors_of(trial)
        return {0: found, 1: None, 2: replace(found, ids=("other", *found.ids[1:]))}[trial.number]

    assert numbers(find_surface(SPACE, study.trials, errors_of)) == [0]
    alone = find_surface(SPACE, study.trials, errors_in(store))  # nothing is there
    assert (numbers(alone), alone.middle.number, alone.loss) == ([0], 0, {})


def test_errors_are_read_from_the_outcomes_in_the_store(store):
    study = Study()
    study.add(1, alpha=1.0)
    trial = replace(study.trials[0], key="k")
    references = {"u": "A B", "v": "C"}
    found = [Hypothesis("u", "A"), Hypothesis("v", "C")]
    store.entry("outcomes", "k", lambda folder: write_outcome(folder, TrialOutcome(scorer=DEFAULT), found, references))
    read = errors_in(store)(trial)
    assert (read.ids, read.errors.tolist(), read.words.tolist()) == (("u", "v"), [1, 0], [2, 1])


@pytest.mark.parametrize(("points", "within"), [(1.9, True), (-1.9, True), (2.1, False), (-2.1, False)])
def test_noise_is_two_standard_errors_either_way(points, within):
    assert within_noise(Gain(points, 1.0)) == within
