from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.leaderboard import Evidence, leaderboard, looked_at, read_evidence
from orchestrator.leaderboard.comparison import FEWEST, Ground, Verdict, compare
from orchestrator.leaderboard.competition import competitors, flattery
from orchestrator.leaderboard.evidence import SAMPLE
from orchestrator.leaderboard.formats import as_markdown
from orchestrator.leaderboard.view import notes
from orchestrator.record import FinalScore
from search_spaces.campaign import Campaign, DataFiles, StudyDefinition
from tests.orchestrator.recognised import BASE, BETTER, TIED, WORSE, alone, recognised, study, wer
from trainers.artifacts import Hypothesis, Score
from trainers.outcomes import UtteranceErrors, final_key, write_outcome
from trainers.scoring.alignment import align
from trainers.scoring.bootstrap import bootstrap_difference, bootstrap_rate
from trainers.scoring.matched_pairs import matched_pairs
from trainers.scoring.multiplicity import holm
from trainers.scoring.selection import measurement_noise, optimism


def compared(baseline="base", flatteries=None, **errors):
    evidence = {name: one if isinstance(one, Evidence) else alone(one) for name, one in errors.items()}
    return compare(evidence, flatteries or dict.fromkeys(evidence, 0.0), baseline)


def test_known_systems_get_known_verdicts():
    found = compared(base=BASE, better=BETTER, worse=WORSE, tied=TIED, same=BASE)
    verdicts = {name: one.verdict.value for name, one in found.items()}
    assert verdicts == {"base": "baseline", "better": "better", "worse": "worse", "tied": "tie", "same": "tie"}
    assert found["worse"].difference.points == pytest.approx(10.0)
    assert found["worse"].difference.low == pytest.approx(10.0)
    assert found["tied"].detectable > 0
    assert (found["same"].difference.p, found["same"].detectable) == (1.0, None)
    assert found["base"].difference is None


def test_the_probability_of_a_row_is_that_of_the_paired_bootstrap_corrected_by_holm():
    found = compared(base=BASE, better=BETTER, tied=TIED)
    words = recognised(BASE).words
    alone_ = [bootstrap_difference(errors, BASE, words) for errors in (BETTER, TIED)]
    assert [found["better"].difference, found["tied"].difference] == alone_
    assert [found["better"].adjusted, found["tied"].adjusted] == holm([one.p for one in alone_])


@given(st.permutations(["base", "better", "tied", "other"]))
def test_the_order_of_the_studies_does_not_matter(order):
    errors = {"base": BASE, "better": BETTER, "tied": TIED, "other": BASE[::-1]}
    assert compared(**{name: errors[name] for name in order}) == compared(**errors)


@given(st.lists(st.integers(0, 6), min_size=40, max_size=40), st.integers(1, 4))
def test_more_studies_never_make_another_one_significant(errors, copies):
    few = compared(base=BASE, one=errors)["one"]
    many = compared(base=BASE, one=errors, **{f"tie{number}": TIED for number in range(copies)})["one"]
    assert many.adjusted >= few.adjusted
    assert many.difference == few.difference
    assert not (few.verdict is Verdict.TIE and many.verdict is not Verdict.TIE)


def test_without_a_baseline_nothing_is_tested_and_it_is_said_what_to_write():
    found = compared(baseline=None, one=BASE)
    assert found["one"].verdict is Verdict.NOT_TESTED
    assert "write baseline: STUDY" in found["one"].reason


UNTESTED = {
    "a baseline that is not there": ({"one": BASE}, "baseline base is not among"),
    "a baseline without a result": (
        {"base": Evidence(missing="no trial is complete"), "one": BASE},
        "baseline: no trial",
    ),
    "hypotheses that are not there": ({"base": BASE, "one": Evidence(missing="not in the store")}, "not in the store"),
    "one utterance": ({"base": [3], "one": [0]}, "too few utterances to test on: 1, and 10 are needed"),
    "few utterances": ({"base": [3] * (FEWEST - 1), "one": [0] * (FEWEST - 1)}, "too few"),
    "other utterances": ({"base": BASE, "one": Evidence(recognised(BASE, prefix="v"))}, "other utterances"),
}


@pytest.mark.parametrize("name", UNTESTED)
def test_what_cannot_be_compared_is_not_tested_and_says_why(name):
    errors, reason = UNTESTED[name]
    found = compared(**errors)["one"]
    assert (found.verdict, found.difference) == (Verdict.NOT_TESTED, None)
    assert reason in found.reason


def test_enough_utterances_are_tested():
    assert compared(base=[3] * FEWEST, one=[0] * FEWEST)["one"].verdict is Verdict.BETTER


def test_what_is_not_tested_does_not_count_among_the_comparisons():
    few = compared(base=BASE, better=BETTER)
    many = compared(base=BASE, better=BETTER, gone=Evidence(missing="gone"))
    assert few["better"] == many["better"]


def test_another_scorer_is_not_compared():
    evidence = {"base": alone(BASE), "one": alone(BETTER)}
    found = compare(evidence, {}, "base", scorers={"base": "levenshtein-1", "one": "sclite-1"})["one"]
    assert found.reason == "scored by sclite-1, the baseline by levenshtein-1"


def test_the_choice_among_many_takes_from_a_difference_and_can_take_the_verdict():
    plain = compared(base=BASE, better=BETTER)["better"].difference
    moved = compared(base=BASE, better=BETTER, flatteries={"base": 0.5, "better": 2.5})["better"].difference
    assert moved.points == pytest.approx(plain.points + 2.0)
    assert (moved.low, moved.high) == (pytest.approx(plain.low + 2.0), pytest.approx(plain.high + 2.0))
    assert moved.p >= plain.p
    gone = compared(base=BASE, better=BETTER, flatteries={"base": 0.0, "better": 50.0})["better"]
    assert (gone.difference.points, gone.difference.p, gone.verdict) == (0.0, 1.0, Verdict.TIE)


def test_the_choice_of_the_baseline_never_makes_a_difference_larger():
    plain = compared(base=BASE, better=BETTER)["better"]
    flattered = compared(base=BASE, better=BETTER, flatteries={"base": 5.0, "better": 0.0})["better"]
    assert flattered == plain


def test_two_systems_with_the_same_errors_stay_a_tie_whatever_they_were_chosen_among():
    found = compared(base=BASE, same=BASE, flatteries={"base": 0.0, "same": 3.0})["same"]
    assert (found.verdict, found.difference.p) == (Verdict.TIE, 1.0)


def test_on_dev_a_choice_whose_noise_is_not_known_is_not_tested():
    found = compared(base=BASE, one=BETTER, flatteries={"base": 0.0, "one": None})["one"]
    assert found.verdict is Verdict.NOT_TESTED
    assert "flatters itself" in found.reason


def test_test_has_the_word_as_soon_as_both_were_opened_and_needs_no_correction():
    base = Evidence(recognised(BASE), test=recognised(BASE, "t"))
    one = Evidence(recognised(BETTER), test=recognised(TIED, "t"))
    found = compared(base=base, one=one, flatteries={"base": None, "one": None})["one"]
    assert (found.ground, found.verdict) == (Ground.TEST, Verdict.TIE)
    half = compared(base=alone(BASE), one=one)["one"]
    assert (half.ground, half.verdict) == (Ground.DEV, Verdict.BETTER)


def test_fresh_seeds_are_resampled_with_the_utterances_and_need_no_correction():
    fresh = [recognised(BETTER), recognised(TIED), recognised(BASE)]
    base = Evidence(recognised(BASE), confirmed=[recognised(BASE), recognised(TIED)])
    found = compared(base=base, one=Evidence(recognised(BETTER), confirmed=fresh), flatteries={})["one"]
    expected = bootstrap_difference([BETTER, TIED, BASE], [BASE, TIED], recognised(BASE).words)
    assert (found.ground, found.difference, found.matched_pairs) == (Ground.CONFIRMED, expected, None)


def test_speakers_are_drawn_whole_and_few_of_them_are_not_tested():
    evidence = {"base": alone(BASE), "one": alone(TIED)}
    speakers = {f"u{number}": f"s{number // 2}" for number in range(40)}
    found = compare(evidence, {"base": 0.0, "one": 0.0}, "base", speakers=speakers)["one"]
    blocks = [speakers[name] for name in evidence["one"].dev.ids]
    assert found.difference == bootstrap_difference(TIED, BASE, evidence["one"].dev.words, blocks)
    few = compare(evidence, {}, "base", speakers=dict.fromkeys(speakers, "s"))["one"]
    assert few.reason == "too few speakers to test on: 1, and 10 are needed"


def test_the_lowest_of_several_is_corrected_by_the_noise_of_a_sample_of_them():
    rng = np.random.default_rng(3)
    sample = [recognised(list(rng.binomial(10, 0.2, 30))) for _ in range(12)]
    wers = [float(100 * one.errors.sum() / 300) for one in sample]
    noise = measurement_noise(np.stack([one.errors for one in sample]), sample[0].words)
    assert flattery(study("a", *wers), sample) == pytest.approx(optimism(wers, noise))
    assert flattery(study("a", *wers), sample) > 0.5


def test_a_study_of_one_trial_flatters_nobody_and_one_whose_noise_is_unknown_says_so():
    assert flattery(study("a", 20.0), []) == 0.0
    assert flattery(study("a"), []) == 0.0
    assert flattery(study("a", 20.0, 21.0), [recognised(BASE)]) is None


def test_another_trial_than_the_lowest_is_corrected_by_less_the_nearer_it_lies_to_the_mean():
    rng = np.random.default_rng(3)
    sample = [recognised(list(rng.binomial(10, 0.2, 30))) for _ in range(4)]
    wers = (10.0, 15.0, 20.0, 35.0)
    lowest = study("a", *wers)
    halfway = type(lowest)("c", "a", "a", lowest.trials, promoted=1, promoted_beside=0)
    mean = type(lowest)("c", "a", "a", lowest.trials, promoted=2, promoted_beside=0)
    assert flattery(halfway, sample) == pytest.approx(flattery(lowest, sample) / 2)
    assert flattery(mean, sample) == 0.0


def test_trials_that_went_astray_compete_with_nobody():
    wers = (20.0, 20.3, 21.0, 20.7, 19.7, 20.0, 22.0, 21.3, 99.0, 70.0)
    assert [trial.dev_wer for trial in competitors(study("a", *wers))] == pytest.approx(wers[:8], abs=0.2)
    assert len(competitors(study("a", *[20.0] * 6, 21.0, 20.0, 90.0))) == 8
    assert len(competitors(study("a", 20.0, 20.1, 90.0))) == 3  # of so few nobody can tell


def campaign(hypothesis=None):
    definitions = {
        "base": StudyDefinition("base", "baseline"),
        "one": StudyDefinition("one", "attention", hypothesis=hypothesis),
    }
    return Campaign("c", "c.yaml", DataFiles("train", "dev"), {}, definitions, "base")


def test_the_row_of_a_study_holds_interval_comparison_and_what_is_relative_to_the_baseline():
    base = study("base", wer(BASE), utterances=40, weights=10)
    one = study("one", wer(BETTER), utterances=40, weights=25)
    evidence = {"base": alone(BASE), "one": alone(BETTER)}
    table = leaderboard([base, one], None, campaign(), evidence).set_index("study")
    interval = bootstrap_rate(BETTER, recognised(BETTER).words)
    row = table.loc["one"]
    assert (row["dev_low"], row["dev_high"]) == (round(interval.low, 2), round(interval.high, 2))
    assert row["dev_corrected"] == row["dev_wer"]
    assert (row["verdict"], row["inference_cost"], row["trials_over_baseline"]) == ("better", 2.5, 0)
    assert row["compared_on"] == "dev, which chose the systems"
    assert table.loc["base", "verdict"] == "baseline"
    assert table.loc["base", ["p", "p_adjusted", "p_matched_pairs", "difference"]].isna().all()


def test_the_matched_pairs_test_stands_beside_with_the_alignments_of_the_records_scorer():
    one, base = ([align(*map(str.split, pair)) for pair in recognised(errors).texts] for errors in (TIED, BASE))
    found = compared(base=BASE, tied=TIED)["tied"]
    assert found.matched_pairs == matched_pairs(one, base)
    assert found.matched_pairs.p > 0.9


def test_systems_that_fit_other_wordings_are_compared_each_by_the_words_it_was_scored_with():
    said, errors = "a { b / c d e } f", {"base": [1, 0] * 10, "one": [2, 0] * 10}
    texts = {"base": ["x b f", "a b f"] * 10, "one": ["x c d e x", "a c d e f"] * 10}
    words = {"base": [3] * 20, "one": [5] * 20}
    ids = tuple(map(str, range(20)))
    evidence = {
        name: Evidence(
            UtteranceErrors(ids, np.array(errors[name]), np.array(words[name]), tuple((said, one) for one in heard))
        )
        for name, heard in texts.items()
    }
    found = compare(evidence, dict.fromkeys(evidence, 0.0), "base", scorers=dict.fromkeys(evidence, "sclite-1"))["one"]
    assert found.difference == bootstrap_difference(errors["one"], errors["base"], [words["one"], words["base"]])
    assert found.difference.points == pytest.approx(100 * (1 / 5 - 1 / 6))
    assert found.matched_pairs is None


def test_references_of_equal_lengths_that_say_something_else_are_not_compared():
    base = recognised(BASE)
    changed = (("y " + base.texts[0][0].partition(" ")[2], base.texts[0][1]), *base.texts[1:])
    found = compare({"base": Evidence(base), "one": Evidence(replace(base, texts=changed))}, {}, "base")["one"]
    assert (found.verdict, found.reason) == (Verdict.NOT_TESTED, "the baseline was scored on other utterances")


@pytest.mark.parametrize(("hypothesis", "held"), [((13.0, 15.0), "yes"), ((1.0, 3.0), "no"), ((15.0, 17.0), "open")])
def test_a_hypothesis_is_held_against_the_corrected_wer_and_its_interval(hypothesis, held):
    evidence = {"base": alone(BASE), "one": alone(BETTER)}
    studies = [study("base", wer(BASE), utterances=40), study("one", wer(BETTER), utterances=40)]
    row = leaderboard(studies, None, campaign(hypothesis), evidence).set_index("study").loc["one"]
    assert (row["hypothesis_low"], row["hypothesis_high"]) == hypothesis
    assert (row["hypothesis_held"], row["hypothesis_on"]) == (held, "dev, corrected")


def test_a_test_set_that_was_opened_fills_its_columns_and_judges_the_hypothesis():
    evidence = {"base": alone(BASE), "one": Evidence(recognised(BETTER), test=recognised(BASE, "t"), looks=2)}
    one = study("one", wer(BETTER), utterances=40)
    table = leaderboard([study("base", wer(BASE), utterances=40), one], None, campaign((1.0, 15.0)), evidence)
    row = table.set_index("study").loc["one"]
    assert (row["test_wer"], row["test_looks"]) == (round(wer(BASE), 2), 2)
    assert row["test_low"] < row["test_wer"] < row["test_high"]
    assert (row["hypothesis_on"], row["hypothesis_held"]) == ("test", "no")
    assert table.set_index("study").loc["base", ["test_wer", "test_low", "test_looks"]].isna().all()
    assert any("not the first look of the strategy" in sentence and "one" in sentence for sentence in notes(table))
    assert "(look 2)" in as_markdown(table, "c")


def test_errors_by_utterance_come_from_the_store_and_what_is_not_there_is_said(tmp_path):
    found = study("one", wer(BASE), wer(BETTER), utterances=40)
    final = FinalScore(Score(1, 0, 0, 400), 1, "set")
    found = replace(found, trials=(found.trials[0], replace(found.trials[1], final=final)))
    assert "trial 1" in read_evidence([found], tmp_path / "outcomes")["one"].missing
    places = {"outcomes/one0": BASE, "outcomes/one1": BETTER, f"finals/{final_key('set', 'one1')}": TIED}
    for place, errors in places.items():
        said = recognised(errors)
        hypotheses = [Hypothesis(name, text) for name, (_, text) in zip(said.ids, said.texts, strict=True)]
        (tmp_path / place).mkdir(parents=True)
        references = {name: reference for name, (reference, _) in zip(said.ids, said.texts, strict=True)}
        write_outcome(tmp_path / place, found.trials[0].outcome, hypotheses, references)
    read = read_evidence([found], tmp_path / "outcomes")["one"]
    assert read.missing == ""
    assert read.looks == 1
    assert [list(one.errors) for one in (read.dev, read.test, *read.sample)] == [BETTER, TIED, BASE, BETTER]
    assert read.dev.texts == recognised(BETTER).texts


def test_the_sample_of_a_long_study_is_bounded_and_spread_over_it():
    found = study("one", *[20.0 + number % 3 for number in range(1000)])
    numbers = sorted(looked_at(found))
    assert len(numbers) <= SAMPLE + 2
    assert max(later - earlier for earlier, later in pairwise(numbers)) <= 50
    assert found.result.number in numbers
