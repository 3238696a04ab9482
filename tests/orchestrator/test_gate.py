"""The champion changes only for a challenger that is better beyond noise."""

import json
from dataclasses import replace

import numpy as np
import pytest
from mlflow import MlflowClient

from orchestrator.champion import champion_among, champion_folder, read_provenance
from orchestrator.gate import first, judge
from orchestrator.home import Home
from orchestrator.promotion import Champions, best_of
from orchestrator.record import StudyRecord, TrialRecord, TrialState
from orchestrator.sampling import Sampling
from orchestrator.tracking import Tracker
from search_spaces.campaign import PromotionSettings
from search_spaces.errors import CampaignError, CheckpointError
from search_spaces.reading import read_campaign
from tests.orchestrator.running import run, working_in
from trainers.artifacts import Hypothesis, Score
from trainers.outcomes import write_outcome
from trainers.scoring.scorer import PLAIN
from trainers.spec import TrialOutcome
from trainers.strategies import catalogue

UTTERANCES, WORDS = 60, 10
BEYOND_NOISE = PromotionSettings()


@pytest.fixture
def trial(tmp_path):
    """A complete trial that has so many words of each utterance wrong."""

    def make(study, number, wrong, weights=100, promoted=True, ids="u"):
        key = f"{study}{number}"
        words = [f"w{place}" for place in range(WORDS)]
        hypotheses = [
            Hypothesis(f"{ids}{index}", " ".join(["x"] * count + words[count:])) for index, count in enumerate(wrong)
        ]
        references = {one.id: " ".join(words) for one in hypotheses}
        score = Score(int(sum(wrong)), 0, 0, WORDS * len(wrong))
        outcome = TrialOutcome(score=score, scorer=PLAIN.name, decoder="greedy", weights=weights, checkpoint=key)
        folder = tmp_path / "outcomes" / key
        folder.mkdir(parents=True)
        write_outcome(folder, outcome, hypotheses, references)
        return TrialRecord("c", study, study, number, TrialState.COMPLETE, outcome=outcome, key=key, promoted=promoted)

    return make


@pytest.fixture
def outcomes(tmp_path):
    return tmp_path / "outcomes"


def study_of(*trials):
    (promoted,) = [trial.number for trial in trials if trial.promoted]
    best = min(trials, key=lambda one: one.dev_wer)
    return StudyRecord("c", trials[0].study, trials[0].strategy, trials, promoted, best.number)


def wrong(rng, share):
    return rng.binomial(WORDS, share, UTTERANCES)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_a_clear_gain_passes_and_says_against_whom_and_by_how_much(trial, outcomes, rng):
    errors = wrong(rng, 0.3)
    old, new = trial("old", 0, errors), trial("new", 1, np.maximum(errors - 1, 0))
    decision = judge(new, old, [study_of(old), study_of(new)], outcomes, BEYOND_NOISE)
    assert decision.passes
    assert decision.facts["against"] == "c/old#0"
    assert decision.facts["points"] == pytest.approx(new.dev_wer - old.dev_wer)
    assert decision.facts["low"] < decision.facts["points"] < decision.facts["high"] < 0
    assert decision.facts["p"] < 0.01
    assert "more than noise" in decision.reason
    assert f"{new.dev_wer:.1f} % against {old.dev_wer:.1f} % of old#0" in decision.reason


def test_a_gain_within_noise_keeps_the_champion(trial, outcomes, rng):
    errors = wrong(rng, 0.3)
    better = errors.copy()
    better[np.flatnonzero(errors)[0]] -= 1
    old, new = trial("old", 0, errors), trial("new", 0, better)
    studies = [study_of(old), study_of(new)]
    decision = judge(new, old, studies, outcomes, BEYOND_NOISE)
    assert not decision.passes
    assert "within noise, so the champion stays" in decision.reason
    assert judge(new, old, studies, outcomes, PromotionSettings(kind="always")).passes


def test_of_two_within_noise_the_one_with_fewer_weights_is_taken_and_it_is_said(trial, outcomes, rng):
    errors = wrong(rng, 0.3)
    old, small = trial("old", 0, errors, 100), trial("small", 0, errors, 99)
    studies = [study_of(old), study_of(small)]
    decision = judge(small, old, studies, outcomes, BEYOND_NOISE)
    assert decision.passes
    assert "within noise, and it has fewer weights (99)" in decision.reason
    assert not judge(old, small, studies, outcomes, BEYOND_NOISE).passes


def test_fewer_weights_do_not_excuse_a_higher_wer(trial, outcomes, rng):
    errors = wrong(rng, 0.3)
    worse = errors.copy()
    worse[np.flatnonzero(errors < WORDS)[0]] += 1
    old, small = trial("old", 0, errors, 100), trial("small", 0, worse, 10)
    assert not judge(small, old, [study_of(old), study_of(small)], outcomes, BEYOND_NOISE).passes


def test_the_level_of_the_campaign_decides(trial, outcomes, rng):
    errors = wrong(rng, 0.3)
    better = errors.copy()
    better[np.flatnonzero(errors)[:7]] -= 1
    better[np.flatnonzero(errors < WORDS)[-2:]] += 1
    old, new = trial("old", 0, errors), trial("new", 0, better)
    studies = [study_of(old), study_of(new)]
    p = judge(new, old, studies, outcomes, BEYOND_NOISE).facts["p"]
    assert 0.01 < p < 0.5
    for level, passes in ((p * 0.9, False), (min(p * 1.1, 0.9), True)):
        assert judge(new, old, studies, outcomes, PromotionSettings(level=level)).passes is passes


def test_the_best_of_many_needs_more_than_the_best_of_one(trial, outcomes, rng):
    """Fifty equal systems: the luckiest passes where it is taken at its word, and not where its choice is counted."""
    errors = wrong(rng, 0.3)
    old = trial("old", 0, errors)
    many = [trial("new", number, wrong(rng, 0.3), promoted=False) for number in range(50)]
    lucky = min(many, key=lambda one: one.dev_wer)
    many = [replace(one, promoted=one.number == lucky.number) for one in many]
    alone = judge(lucky, old, [study_of(old), study_of(many[lucky.number])], outcomes, BEYOND_NOISE)
    among = judge(lucky, old, [study_of(old), study_of(*many)], outcomes, BEYOND_NOISE)
    assert alone.facts["points"] < among.facts["points"] <= 0
    assert alone.facts["p"] < 0.05 < among.facts["p"]
    assert alone.passes
    assert not among.passes


def test_what_cannot_be_compared_keeps_the_champion_and_says_why(trial, outcomes, rng):
    old, new = trial("old", 0, wrong(rng, 0.5)), trial("new", 0, wrong(rng, 0.1), ids="v")
    studies = [study_of(old), study_of(new)]
    decision = judge(new, old, studies, outcomes, BEYOND_NOISE)
    assert not decision.passes
    assert "scored on other utterances" in decision.reason
    (outcomes / old.key / "hypotheses.jsonl").unlink()
    assert "not tested" in judge(new, old, studies, outcomes, BEYOND_NOISE).reason


def test_the_first_champion_says_which_rivals_are_within_noise_of_it(trial, outcomes, rng):
    errors = wrong(rng, 0.3)
    best, like, bad = trial("a", 0, errors), trial("b", 0, errors), trial("d", 0, np.minimum(errors + 3, WORDS))
    decision = first(best, [like, bad], [study_of(one) for one in (best, like, bad)], outcomes)
    assert decision.passes
    assert "within noise of it: b#0" in decision.reason
    assert "d#0" not in decision.reason


# --- in a campaign


def test_what_a_campaign_says_of_promotion_is_read_and_checked(tiny_campaign):
    assert tiny_campaign.read().promotion == PromotionSettings(kind="beyond_noise", level=0.05)
    text = tiny_campaign.file.read_text(encoding="utf-8")
    for written, meant in (
        ("always", PromotionSettings(kind="always")),
        ("{level: 0.01}", PromotionSettings(level=0.01)),
    ):
        tiny_campaign.file.write_text(f"{text}promotion: {written}\n", encoding="utf-8")
        assert tiny_campaign.read().promotion == meant
    for written in ("sometimes", "{level: 2}", "{levle: 0.1}", "[always]"):
        tiny_campaign.file.write_text(f"{text}promotion: {written}\n", encoding="utf-8")
        with pytest.raises(CampaignError, match=r"line \d+: promotion"):
            read_campaign(tiny_campaign.file)


@pytest.fixture(scope="module")
def begun(tmp_path_factory, make_tiny_campaign):
    """A folder in which the baseline has a champion, and what was said; it is copied before anything is done in it."""
    folder = tmp_path_factory.mktemp("begun")
    with working_in(folder):
        tiny = make_tiny_campaign(folder)
        _, notes = run(tiny.read(), tiny.home, ["baseline"])
    return folder, notes


@pytest.fixture(scope="module")
def ended(begun):
    return begun[0]


@pytest.fixture
def campaign(folder):
    return read_campaign(folder / "tiny.yaml", catalogue())


def test_the_first_champion_is_said_to_be_that_and_the_registry_says_so_too(begun, folder):
    said = "the first champion, by the lowest dev WER"
    assert any(said in text for (text,) in begun[1].of("note"))
    version = MlflowClient(Home.here().tracking_uri).get_model_version_by_alias("tiny", "champion")
    assert version.tags["promoted.rule"] == "first"
    assert "the first champion" in version.tags["promoted.why"]


def test_a_champion_is_challenged_undone_and_not_brought_back_by_itself(campaign):
    home = Home.here()
    (study,) = Sampling(home).records("tiny")
    before = champion_folder(home, "tiny")
    assert read_provenance(before)["promoted"]["rule"] == "first"
    assert champion_among(home, "tiny", [study]).name == best_of([study]).name

    # four utterances are too few to tell anything: the champion stays whatever they show
    records, notes = run(campaign, home)
    best = best_of(records)
    if best.key != read_provenance(before)["key"]:
        assert champion_folder(home, "tiny") == before
        assert any("4 utterances are too few to test on" in text for (text,) in notes.of("note"))
    always = PromotionSettings(kind="always")
    champions = Champions(home, Tracker(home))
    other = next(one for study in records for one in study.trials if one.key != read_provenance(before)["key"])
    assert champions.challenge(other, records, always).passes
    promoted = read_provenance(champion_folder(home, "tiny"))["promoted"]
    assert (promoted["before"], promoted["rule"]) == (before.name, "always")
    assert promoted["against"].startswith("tiny/")
    assert champions.undo("tiny") == before
    decision = champions.challenge(other, records, always)
    assert not decision.passes
    assert f"orchestrator promote tiny --study {other.study} --trial {other.number} brings it back" in decision.reason
    champions.promote(other)
    assert "by hand" in read_provenance(champion_folder(home, "tiny"))["promoted"]["why"]


def test_a_champion_whose_trial_is_not_stored_stays(campaign):
    home = Home.here()
    (study,) = Sampling(home).records("tiny")
    champions = Champions(home, Tracker(home))
    folder = champions.current("tiny")
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    (folder / "provenance.json").write_text(json.dumps({**provenance, "key": "lost"}), encoding="utf-8")
    decision = champions.challenge(study.best, [study], PromotionSettings())
    assert not decision.passes
    assert "is not stored here" in decision.reason
    (folder / "provenance.json").unlink()
    with pytest.raises(CheckpointError, match="not a whole system"):
        champion_among(home, "tiny", [study])
