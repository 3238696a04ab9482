from dataclasses import replace

import kenlm
import numpy as np
import pytest
from pyctcdecode.alphabet import Alphabet as StockAlphabet
from pyctcdecode.decoder import BeamSearchDecoderCTC
from pyctcdecode.language_model import LanguageModel

from orchestrator.advice import advice
from orchestrator.record import StudyRecord, TrialRecord, TrialState
from search_spaces.axes.decoding import DecodingSettings
from search_spaces.campaign import StudyDefinition
from search_spaces.space import Axis, Categorical, Float, Int, Space
from tests.orchestrator.made_surface import WIDER
from trainers.artifacts import Score
from trainers.decoding.searching import search_set
from trainers.outcomes import UtteranceErrors
from trainers.scoring.scorer import PLAIN
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


def said_of(definition, record):
    return advice(definition, record, lambda trial: None)


def sweep(best_at, count=10):
    """Trials of which the nearer alpha is to a value the better."""
    alphas = [number / (count - 1) for number in range(count)]
    return [trial(n, 10 + round(50 * abs(a - best_at)), alpha=a, beam_width=20) for n, a in enumerate(alphas)]


def test_a_best_point_at_the_upper_end_asks_for_a_wider_range():
    (said,) = said_of(STUDY, study(*sweep(best_at=1.0)))
    assert "upper end of decoding.alpha (1 of 0 to 1)" in said


def test_a_best_point_inside_says_nothing():
    assert said_of(STUDY, study(*sweep(best_at=0.5))) == ()


def test_zero_is_a_natural_end():
    assert said_of(STUDY, study(*sweep(best_at=0.0))) == ()


def test_any_other_lower_end_is_an_edge():
    axis = Axis("decoding.alpha", Float(0.5, 1.0))
    trials = [trial(n, 10 + n, alpha=0.5 + n / 20, beam_width=20) for n in range(10)]
    (said,) = said_of(replace(STUDY, space=Space((axis, BEAM))), study(*trials))
    assert "lower end of decoding.alpha (0.5 of 0.5 to 1)" in said


def test_a_tie_between_an_end_and_the_inside_is_no_edge():
    trials = sweep(best_at=1.0)
    inside = trial(99, 10, alpha=0.4, beam_width=20)
    assert said_of(STUDY, study(*trials, inside)) == ()


@pytest.mark.parametrize(("width", "warned"), [(50, True), (20, False)])
def test_the_widest_of_several_choices_is_an_end_too(width, warned):
    trials = [trial(n, 20, alpha=0.5, beam_width=(10, 20, 50)[n % 3]) for n in range(9)]
    said = said_of(STUDY, study(*trials, trial(9, 10, alpha=0.5, beam_width=width)))
    assert bool(said) == warned
    assert not said or "upper end of decoding.beam_width (50 of" in said[0]


def test_words_have_no_ends_and_a_whole_number_has():
    space = Space((Axis("decoding.method", Categorical(("a", "b", "c"))), Axis("decoding.beam_width", Int(1, 100))))
    trials = [trial(n, 30 - n, method="c", beam_width=10 * (n + 1)) for n in range(10)]
    (said,) = said_of(replace(STUDY, space=space), study(*trials))
    assert "beam_width" in said


def test_few_trials_say_nothing_of_edges():
    assert said_of(STUDY, study(*sweep(best_at=1.0, count=5))) == ()


def test_trials_that_are_not_complete_do_not_count():
    lost = [replace(one, state=TrialState.PRUNED) for one in sweep(best_at=1.0)]
    assert said_of(STUDY, study(*lost)) == ()


def test_a_language_model_that_hurts_is_named_for_the_posteriors_it_hurts():
    greedy = [trial(20, 8, method="greedy"), trial(21, 40, source="student#1", method="greedy")]
    searched = sweep(best_at=0.5) + [trial(30 + n, 20, source="student#1", alpha=0.5, beam_width=20) for n in range(3)]
    (said,) = said_of(STUDY, study(*greedy, *searched))
    assert said == (
        "the language model does not help baseline#0: 8.0 % without it, 13.0 % at the best of 10 points with it"
    )


def test_a_study_without_trials_says_nothing():
    assert said_of(STUDY, study()) == ()


def searched_again(*pairs, words=10):
    """What is said of points that were searched again: for each its errors by utterance before and after."""
    errors, trials = {}, []
    for number, (before, _) in enumerate(pairs):
        errors[number] = before
        trials.append(trial(number, sum(before), alpha=0.1 * (number + 1), beam_width=20))
    for number, (_, after) in enumerate(pairs):
        errors[len(trials)] = after
        point = trial(len(trials), sum(after), alpha=0.1 * (number + 1), beam_width=20)
        trials.append(replace(point, params=point.params | WIDER, overrides=WIDER, repeats=number))

    def errors_of(one):
        counts = np.array(errors[one.number])
        return UtteranceErrors(tuple(map(str, range(len(counts)))), counts, np.full(len(counts), words))

    return advice(STUDY, study(*trials), errors_of)


def test_a_best_point_that_is_worse_with_wider_pruning_is_named_with_its_figures():
    (said,) = searched_again(([1] * 10, [3, 2] * 5), ([2] * 10, [3, 2] * 5))
    assert said == (
        "study decoding: with wider pruning (token_min_logp -7, beam_prune_logp -20, beam_width 100) the best point, "
        "#0 (decoding.alpha=0.1, decoding.beam_width=20), has 25.0 % WER where it had 10.0 % (+15.0 points, standard "
        "error 1.7): the thresholds decide. Its weights suit the narrow search alone; search them with wider "
        "thresholds, in a study of another name"
    )


def test_a_best_point_that_is_better_with_wider_pruning_is_named_too():
    (said,) = searched_again(([3, 2] * 5, [1] * 10), ([3] * 10, [3] * 10))
    assert "has 10.0 % WER where it had 25.0 % (-15.0 points" in said
    assert "The narrow search loses better hypotheses" in said


def test_a_best_point_that_moves_beyond_noise_is_named_with_where_it_moves_to():
    (said,) = searched_again(([2] * 10, [2] * 10), ([3, 2] * 5, [1, 2, 1] * 3 + [1]))
    assert "has 20.0 % WER and #1 (decoding.alpha=0.2, decoding.beam_width=20) 13.0 % (+7.0 points" in said
    assert "before 20.0 and 25.0 %: the thresholds decide" in said


def test_a_best_point_that_moves_within_noise_is_said_to():
    (said,) = searched_again(([2] * 10, [2] * 10), ([3, 2] * 5, [2] * 9 + [1]))
    assert "within noise" in said


def test_a_best_point_that_stays_says_nothing():
    assert searched_again(([1] * 10, [1] * 9 + [2]), ([2] * 10, [2] * 10)) == ()
    # another that is as good is no move
    assert searched_again(([1] * 10, [1] * 10), ([2] * 10, [1] * 10)) == ()


@pytest.fixture(scope="module")
def characters(an4_posteriors):
    return an4_posteriors("char", "char")


def said_of_decodings(references, before, after):
    """What is said of one point, by what was recognised there before and after."""
    scores = [[PLAIN.score(*pair) for pair in zip(references, texts, strict=True)] for texts in (before, after)]
    first = trial(0, 0, alpha=1.0, beta=3.0)
    trials = [first, replace(first, number=1, params=first.params | WIDER, overrides=WIDER, repeats=0)]
    trials = [
        replace(one, outcome=TrialOutcome(score=sum(found, Score()))) for one, found in zip(trials, scores, strict=True)
    ]

    def errors_of(one):
        found = scores[one.number]
        errors, words = (np.array([getattr(score, name) for score in found]) for name in ("errors", "words"))
        return UtteranceErrors(tuple(map(str, range(len(found)))), errors, words)

    return advice(STUDY, study(*trials), errors_of)


def test_on_an4_a_beam_of_three_decides_and_the_usual_thresholds_do_not(characters, an4_fourgram):
    posteriors, alphabet, references = characters
    usual = DecodingSettings(method="beam", alpha=1.0, beta=3.0)
    narrow = usual.model_copy(update={"beam_width": 3, "beam_prune_logp": -3.0})
    wide = usual.model_copy(update=usual.widened())
    found = search_set(alphabet, an4_fourgram, posteriors, [usual, narrow, wide]).hypotheses
    at_usual, at_narrow, at_wide = ([one.text for one in hypotheses] for hypotheses in found)
    assert said_of_decodings(references, at_usual, at_wide) == ()
    (said,) = said_of_decodings(references, at_narrow, at_wide)
    assert "has 19.9 % WER where it had 23.0 % (-3.1 points, standard error 1.0): the thresholds decide" in said


@pytest.mark.slow
def test_on_an4_pyctcdecode_as_it_comes_is_said_to_be_worse_with_wider_pruning(characters, an4_fourgram):
    posteriors, alphabet, references = characters
    model = LanguageModel(kenlm.Model(str(an4_fourgram.arpa)), an4_fourgram.words)
    decoder = BeamSearchDecoderCTC(StockAlphabet(list(alphabet.labels), is_bpe=False), model)
    decoder.reset_params(alpha=1.0, beta=3.0)

    def texts(width, token, prune):
        options = {"beam_width": width, "token_min_logp": token, "beam_prune_logp": prune}
        return [decoder.decode(np.asarray(frames, np.float64), **options) for frames in posteriors]

    (said,) = said_of_decodings(references, texts(50, -5.0, -10.0), texts(100, -7.0, -20.0))
    assert "has 23.8 % WER where it had 21.1 % (+2.7 points, standard error 1.1): the thresholds decide" in said


def test_repeats_with_wider_pruning_say_nothing_of_edges():
    wide = [replace(trial(50 + n, 1, alpha=0.5, beam_width=100), overrides=WIDER, repeats=n) for n in range(2)]
    assert said_of(STUDY, study(*sweep(best_at=0.5), *wide)) == ()
