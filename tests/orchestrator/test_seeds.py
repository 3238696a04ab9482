"""Replicates of a configuration, with the real Optuna and MLflow."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import dry_run
from orchestrator.cost import TrainingCost
from orchestrator.leaderboard import leaderboard
from orchestrator.planning import data_fingerprints, make_spec
from orchestrator.record import StudyRecord, TrialRecord, TrialState
from orchestrator.sampling import Claim, Sampling
from orchestrator.seed_noise import seed_noise
from orchestrator.start import Configuration, Start, pinned_start, resolve_start
from search_spaces.axes.features import FeatureSettings
from search_spaces.campaign import PrunerSettings
from search_spaces.errors import CampaignError, UserError
from search_spaces.replicates import fresh_seed
from tests.orchestrator.running import run, working_in
from trainers.artifacts import Score
from trainers.data.sets import load_set
from trainers.spec import Ingredient, TrialOutcome
from trainers.store import Store

SEEDS = """\
  again:
    strategy: seeds
    trials: 3
    needs: {configuration: self_distillation}
"""


def add(tiny_campaign, text):
    tiny_campaign.rewrite("  decoding:\n    strategy: decoding\n", text + "  decoding:\n    strategy: decoding\n")


def studies_of(tiny_campaign, *names):
    records, notes = run(tiny_campaign.read(), tiny_campaign.home, names)
    return {record.name: record for record in records}, notes


@pytest.fixture(scope="module")
def replicated(tmp_path_factory, make_tiny_campaign):
    """A campaign in which a study was repeated with other seeds: its folder is only looked at."""
    folder = tmp_path_factory.mktemp("replicated")
    with working_in(folder):
        tiny_campaign = make_tiny_campaign(folder)
        add(tiny_campaign, SEEDS)
        records, notes = studies_of(tiny_campaign, "baseline", "self_distillation", "again")
    return records, notes, tiny_campaign


def test_replicates_of_any_training_study_differ_from_its_trial_by_their_seed_alone(replicated):
    records, notes, tiny_campaign = replicated
    (original,) = records["self_distillation"].trials
    trials = records["again"].trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 3
    assert [trial.seed for trial in trials] == [2, 3, 4]  # seed 1 is the one that the trial was chosen with
    for trial in trials:
        settings = {**trial.settings, "train": {**trial.settings["train"], "seed": original.seed}}
        assert settings == original.settings
        assert trial.needs == {"configuration": ("self_distillation#0",), **original.needs}
    assert len({trial.key for trial in (original, *trials)}) == 4
    assert len({trial.outcome.epochs[-1].loss for trial in trials}) == 3
    noise = seed_noise(records["again"])
    assert noise.replicates == 3
    assert (f"study again: {noise}",) in notes.of("note")
    row = leaderboard(list(records.values())).set_index("study").loc["again"]
    assert (row["strategy"], row["replicates"]) == ("seeds", 3)
    # pinned: what the study repeats does not change when it is opened again
    sampled = Sampling(tiny_campaign.home).load("tiny", "again")
    start = pinned_start(sampled.attribute("start"), Store(tiny_campaign.home.store))
    assert start.configuration.title == "self_distillation#0"
    assert start.configuration.needs["teacher"][0].folder.is_dir()


def test_a_replicate_with_the_seed_of_the_original_is_the_original(replicated):
    """The same key: it would be taken from the store, and what is trained again is what was trained before."""
    records, _, tiny_campaign = replicated
    campaign = tiny_campaign.read()
    sampled = Sampling(tiny_campaign.home).load("tiny", "again")
    start = pinned_start(sampled.attribute("start"), Store(tiny_campaign.home.store))
    claim = Claim(0, {}, {"train.seed": 1}, "")
    spec = make_spec(campaign, campaign.studies["again"], claim, start, data_fingerprints(campaign))
    assert spec.key == records["self_distillation"].trials[0].key


def test_without_more_words_five_seeds_of_the_campaigns_own_configuration_are_trained_and_none_is_pruned(tiny_campaign):
    add(tiny_campaign, "  seeds: {strategy: seeds}\n")
    study = tiny_campaign.read().studies["seeds"]
    assert (study.trials, study.pruner.kind) == (5, "none")
    records, _ = studies_of(tiny_campaign, "seeds")
    assert [trial.seed for trial in records["seeds"].trials] == [1, 2, 3, 4, 5]
    assert records["seeds"].count(TrialState.COMPLETE) == 5


def test_parameters_that_won_are_inherited_and_a_space_may_vary_them(tiny_campaign):
    add(
        tiny_campaign,
        "  seeds:\n    strategy: seeds\n    inherit: baseline\n    sampler: grid\n    pruner: median\n"
        "    space: {model.dropout: {choice: [0.0, 0.1]}, train.seed: {choice: [7, 8]}}\n",
    )
    assert tiny_campaign.read().studies["seeds"].pruner == PrunerSettings(kind="median")
    records, _ = studies_of(tiny_campaign, "baseline", "seeds")
    best = records["baseline"].best
    points = {(trial.settings["model"]["dropout"], trial.seed) for trial in records["seeds"].trials}
    assert points == {(0.0, 7), (0.0, 8), (0.1, 7), (0.1, 8)}
    assert {trial.settings["train"]["lr"] for trial in records["seeds"].trials} == {best.params["train.lr"]}
    assert seed_noise(records["seeds"]).replicates == 2


def test_the_plan_of_replicates_is_that_of_the_configuration_which_they_repeat(tiny_campaign, monkeypatch):
    seen = []

    def cost(settings, *about):
        seen.append(settings)
        return TrainingCost(10.0, 1.0, 1)

    monkeypatch.setattr(dry_run, "training_cost", cost)
    add(tiny_campaign, SEEDS)
    tiny_campaign.rewrite("{choice: [0.5]}}\n", "{choice: [0.5]}}\n    fixed: {distillation.generations: 2}\n")
    campaign = tiny_campaign.read()
    load_set(Store(tiny_campaign.home.store), campaign.data.train, FeatureSettings(kind="stored", normalise="none"))
    plan = dry_run.dry_run(campaign, ["again"], [], 1)
    assert (plan.studies[0].strategy, plan.studies[0].seconds, plan.megabytes) == ("seeds", 3 * 2 * 10, 3 * 2 * 1)
    assert seen[0].distillation.generations == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("needs: {configuration: decoding}", "study decoding trains nothing (strategy decoding); name one that does"),
        ("needs: {configuration: again}", "the study needs itself"),
        ("needs: {configuration: other}", "study other is itself of replicates; name the study that they repeat"),
        ("needs: {configuration: ./folder}", "takes the configuration of a study, and ./folder is a folder"),
        ("fixed: {train.seed: 3}", "every trial of strategy 'seeds' has a seed of its own; drop it"),
        ("space: {train.lr: {float: [0.01, 0.02]}}", "trials is missing"),
        ("space: {distillation.alpha: {choice: [1]}}", "has no effect on strategy 'seeds'"),
    ],
)
def test_what_cannot_be_repeated_is_refused_in_the_file(tiny_campaign, text, message):
    add(tiny_campaign, f"  other: {{strategy: seeds}}\n  again:\n    strategy: seeds\n    {text}\n")
    with pytest.raises(CampaignError) as caught:
        tiny_campaign.read()
    assert message in str(caught.value)


@given(st.integers(0, 50), st.sets(st.integers(0, 60)))
def test_seeds_of_replicates_are_distinct_and_leave_out_those_that_are_taken(count, taken):
    seeds = [fresh_seed(number, taken) for number in range(count)]
    assert seeds == sorted(set(seeds))
    assert not taken & set(seeds)
    assert seeds == [seed for seed in range(1, count + len(taken) + 1) if seed not in taken][:count]


def test_a_study_does_not_begin_with_weights_that_were_freed(tiny_campaign, store):
    outcome = TrialOutcome(score=Score(1, 0, 0, 4), checkpoint="k")
    freed = TrialRecord("tiny", "baseline", "baseline", 3, TrialState.COMPLETE, outcome=outcome, freed=True)
    before = {"baseline": StudyRecord("tiny", "baseline", "baseline", (freed,))}
    with pytest.raises(UserError, match=r"tiny/baseline#3 were freed .* orchestrator free tiny/baseline --restore 3"):
        resolve_start(tiny_campaign.read().studies["self_distillation"], before, store)


def test_a_start_survives_being_written_down(store):
    teacher = Ingredient("baseline", store.path("checkpoints", "k"), "k", 1)
    again = Configuration("student", 2, "self_distillation", {"train": {"seed": 4}}, {"teacher": (teacher,)})
    for start in (Start(seed=4, configuration=again), Start({"teacher": (teacher,)}, {"train.lr": 0.1}), Start()):
        assert pinned_start(start.plain(), store) == start
    old = {name: value for name, value in Start().plain().items() if name in ("needs", "inherited")}
    assert pinned_start(old, store) == Start()
    assert replace(again, number=3).title == "student#3"
