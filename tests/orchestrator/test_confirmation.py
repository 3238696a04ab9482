"""Studies that confirm their best configurations, with the real Optuna and MLflow: once, resumably."""

import json
import os
import signal
import subprocess
from dataclasses import asdict, replace

import pytest
from mlflow import MlflowClient

from orchestrator import dry_run
from orchestrator.confirmation import points_to_confirm
from orchestrator.confirmed import ranking
from orchestrator.cost import TrainingCost
from orchestrator.home import Home
from orchestrator.leaderboard import leaderboard
from orchestrator.owner import Owner
from orchestrator.record import TrialState
from orchestrator.sampling import Sampling
from search_spaces.axes.features import FeatureSettings
from search_spaces.campaign import ConfirmSettings, PrunerSettings, SamplerSettings
from search_spaces.errors import CampaignError
from search_spaces.replicates import SEED, UNCONFIRMED
from search_spaces.space import Axis, Float, Space
from tests.orchestrator.running import COMMAND, run, working_in
from tests.orchestrator.told_studies import elsewhere, nothing_known, open_study, work_through
from trainers.artifacts import Score
from trainers.data.sets import load_set
from trainers.spec import EpochReport, TrialOutcome
from trainers.store import Store

LR = Axis("train.lr", Float(1e-3, 1e-1, log=True))


# a study whose trials are told their results


@pytest.fixture
def campaign(tiny_campaign):
    return tiny_campaign.read()


def open_run(campaign, home, budget=None, **changes):
    changes = {"space": Space((LR,)), "trials": 6, "enqueue": (), "confirm": ConfirmSettings(top=2, seeds=3), **changes}
    return open_study(campaign, "baseline", home, budget, **changes)


def lucky(train):
    """The lower the rate the better, and seed 1 most of all where the rate is high."""
    return round(2000 * train["lr"]) + 100 - (99 if train["seed"] == 1 and train["lr"] > 0.02 else 0) + train["seed"]


def finish(run, claims):
    """Let claimed trials end."""
    for claim in claims:
        values = {SEED: 1, **claim.params, **claim.overrides}
        settings = {"train": {"lr": values["train.lr"], "seed": values[SEED]}}
        run.sampled.note_trial(claim.number, "started", {"settings": settings})
        run.sampled.complete(claim.number, TrialOutcome(score=Score(lucky(settings["train"]), 0, 0, 1000)))


def work(run, until=None):
    work_through(run, finish, until)
    return run.sampled.record()


def confirming(record):
    return [trial for trial in record.trials if trial.confirms is not None]


def test_the_best_configurations_run_again_with_fresh_seeds_behind_the_whole_budget(campaign, home):
    run = open_run(campaign, home)
    ending = work_through(run, finish)
    record = run.sampled.record()
    assert [trial.number for trial in confirming(record)] == [6, 7, 8, 9, 10, 11]
    best = sorted(record.searched, key=lambda trial: (trial.dev_wer, trial.number))[:2]
    assert {trial.confirms for trial in confirming(record)} == {trial.number for trial in best}
    for trial in confirming(record):
        assert trial.params["train.lr"] == record.trials[trial.confirms].params["train.lr"]
        assert trial.seed in (2, 3, 4)
    first = ranking(record)[0]
    assert record.promoted == first.typical.number
    assert record.result.number == record.promoted
    # the lucky one of the search is not the one that its seeds speak for
    assert first.origin.number != record.best.number == best[0].number
    assert f"#{first.origin.number} is confirmed" in ending.remark


def test_the_number_of_trials_to_come_is_known_beforehand_and_true_at_the_end(campaign, home):
    run = open_run(campaign, home)
    assert (run.sampled.record().budget, run.sampled.record().confirmations) == (12, 6)
    assert (work(run).budget, run.sampled.record().confirmations) == (12, 6)


def test_a_study_that_nobody_told_to_is_confirmed_only_where_that_costs_little(campaign, home):
    assert open_run(campaign, home, confirm=None).confirm == UNCONFIRMED
    assert open_run(campaign, home, confirm=None, budget=44).confirm == UNCONFIRMED
    assert open_run(campaign, home, confirm=UNCONFIRMED, budget=45).confirm == UNCONFIRMED


def test_45_trials_of_training_are_confirmed_unasked_also_where_there_were_fewer_before(campaign, home):
    assert open_run(campaign, home, confirm=None, budget=44).confirm == UNCONFIRMED
    run = open_run(campaign, home, confirm=None, budget=45)
    assert run.confirm == ConfirmSettings(top=3, seeds=3)
    assert run.sampled.record().budget == 54


def test_a_study_that_was_confirmed_once_is_confirmed_again_when_it_has_grown(campaign, home):
    first = work(open_run(campaign, home))
    assert len(first.trials) == 12
    same = work(open_run(campaign, home, confirm=None))
    assert (same.trials, same.promoted) == (first.trials, first.promoted)
    run = open_run(campaign, home, confirm=None, budget=20)
    record = work(run)
    assert len(record.searched) == 20
    assert record.trials[:12] == tuple(
        replace(trial, promoted=trial.number == record.promoted) for trial in first.trials
    )
    best = sorted(record.searched, key=lambda trial: (trial.dev_wer, trial.number))[:2]
    for trial in best:
        assert sum(other.confirms == trial.number for other in confirming(record)) == 3
    assert record.promoted == ranking(record)[0].typical.number


def test_a_run_that_was_killed_in_between_confirms_only_what_is_missing(campaign, home):
    run = open_run(campaign, home)
    work(run, until=6)
    points = points_to_confirm(run.sampled.record(), run.confirm)
    assert run.sampled.append(points[:4], 6)  # and killed before the others
    record = work(open_run(campaign, home))
    assert [(trial.confirms, trial.overrides) for trial in confirming(record)] == [
        (point.repeats, point.overrides) for point in points
    ]
    undisturbed = work(open_run(campaign, elsewhere(home)))
    assert [(t.params, t.dev_wer, t.promoted) for t in record.trials] == [
        (t.params, t.dev_wer, t.promoted) for t in undisturbed.trials
    ]


def test_two_runs_that_come_to_the_end_at_once_confirm_once(campaign, home):
    one, other = open_run(campaign, home), open_run(campaign, home)
    work(one, until=6)
    assert (one.claim(), other.claim()) == ([], [])
    known = other.sampled.record()
    assert one.close(nothing_known) is None
    assert other.sampled.append(points_to_confirm(known, other.confirm), 6)  # there is work, but not of its own
    mine, theirs = one.claim(), other.claim()
    assert other.close(nothing_known) is None  # the other run's trial is not done
    finish(one, mine)
    finish(other, theirs)
    record = work(other)
    assert len(confirming(record)) == 6
    assert len({(trial.confirms, trial.seed) for trial in confirming(record)}) == 6


@pytest.mark.parametrize("kind", ["tpe", "gp"])
def test_a_search_that_goes_on_chooses_as_if_nothing_had_been_confirmed(campaign, home, kind):
    sampler = SamplerSettings(kind=kind, startup=3)
    confirmed = open_run(campaign, home, sampler=sampler)
    plain = open_run(campaign, elsewhere(home), sampler=sampler, confirm=UNCONFIRMED)
    assert (len(work(confirmed).trials), len(work(plain).trials)) == (12, 6)
    # the number of a trial is part of its seed: the same one is asked of both
    seen = [run.sampled._ask(Owner.me(), sampler, 99).params for run in (confirmed, plain)]
    assert seen[0] == seen[1]


def test_a_run_that_confirms_is_not_stopped_for_losing_and_stops_no_other(campaign, home):
    run = open_run(campaign, home, pruner=PrunerSettings(kind="median", startup=1, warmup=1))
    pruner = run.definition.pruner

    def report(number, epoch, wer):
        return run.sampled.report(number, EpochReport(epoch, 5, 1.0, wer, 0.5, 0.1, 1.0, 1.0), pruner)

    while claims := run.claim():
        for epoch in range(1, 4):
            assert report(claims[0].number, epoch, 50.0)
        finish(run, claims)
    assert run.close(nothing_known) is None
    for _ in range(6):
        (claim,) = run.claim()
        assert all(report(claim.number, epoch, wer) for epoch, wer in ((1, 1.0), (2, 99.0), (3, 99.0)))
        finish(run, [claim])
    more = open_run(campaign, home, budget=8)
    ((one,), (other,)) = more.claim(), more.claim()
    assert report(one.number, 1, 49.0)  # worse than every run that confirms, and better than the search
    assert not report(other.number, 1, 51.0)


def test_where_every_configuration_lost_a_run_the_best_of_the_search_is_promoted_and_that_is_said(campaign, home):
    run = open_run(campaign, home)
    while not run.closed:
        claims = run.claim()
        for claim in claims:
            if claim.overrides.get(SEED) == 2:
                run.sampled.fail(claim.number, "no")
            else:
                finish(run, [claim])
        ending = None if claims else run.close(nothing_known)
    record = run.sampled.record()
    assert ending.promoted.number == record.best.number
    assert "failed: what is promoted is the best of the search" in ending.remark


# campaigns that train


CONFIRM = "    trials: 2\n    confirm: {top: 2, seeds: 2}\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, make_tiny_campaign):
    """A campaign whose baseline is confirmed: its folder is only looked at."""
    folder = tmp_path_factory.mktemp("confirmed")
    with working_in(folder):
        tiny_campaign = make_tiny_campaign(folder)
        tiny_campaign.rewrite("    trials: 2\n", CONFIRM)
        names = ["baseline", "self_distillation"]
        records, notes = run(tiny_campaign.read(), tiny_campaign.home, names)
    return tiny_campaign, records, notes


def test_fresh_seeds_are_trials_of_the_same_study_that_differ_by_their_seed_alone(finished):
    _, (baseline, _), _ = finished
    assert [trial.state for trial in baseline.trials] == [TrialState.COMPLETE] * 6
    for trial in confirming(baseline):
        origin = baseline.origin(trial)
        assert {**trial.settings, "train": {**trial.settings["train"], "seed": origin.seed}} == origin.settings
    assert sorted((trial.confirms, trial.seed) for trial in confirming(baseline)) == [(0, 2), (0, 3), (1, 2), (1, 3)]
    assert len({trial.key for trial in baseline.trials}) == 6
    assert len({trial.outcome.epochs[-1].loss for trial in baseline.trials}) == 6


def test_the_study_promotes_a_run_of_the_lowest_mean_and_others_take_it_up(finished):
    _, (baseline, student), notes = finished
    first = ranking(baseline)[0]
    assert baseline.promoted == first.typical.number
    assert student.trials[0].needs == {"teacher": (f"baseline#{first.typical.number}",)}
    # the seed is no parameter: only what was searched is inherited
    assert student.trials[0].settings["train"]["lr"] == first.origin.params["train.lr"]
    assert student.trials[0].seed == 1
    assert any(f"study baseline: #{first.origin.number} is confirmed" in text for (text,) in notes.of("note"))


def test_mlflow_shows_what_a_run_confirms_and_the_mean_of_the_study(finished):
    campaign, (baseline, _), _ = finished
    client = MlflowClient(campaign.home.tracking_uri)
    for trial in baseline.trials:
        tags = client.get_run(trial.run_id).data.tags
        assert tags.get("confirms") == (None if trial.confirms is None else str(trial.confirms))
    shown = client.get_run(baseline.run_id).data
    assert shown.metrics["dev_mean"] == pytest.approx(ranking(baseline)[0].mean)
    assert shown.metrics["replicates"] == 2
    assert shown.tags["promoted_trial"] == str(baseline.promoted)


def test_a_second_run_confirms_nothing_more(finished, monkeypatch):
    tiny_campaign, records, _ = finished
    monkeypatch.chdir(tiny_campaign.folder)
    again, notes = run(tiny_campaign.read(), tiny_campaign.home, ["baseline", "self_distillation"])
    assert notes.of("started") == []
    assert [asdict(record)["trials"] for record in again] == [asdict(record)["trials"] for record in records]


def test_a_study_that_has_ended_is_confirmed_by_an_option_of_run(call, tiny_campaign):
    assert call("run", "tiny/baseline", "--workers", "2")[0] == 0
    status, said = call("run", "tiny/baseline", "--workers", "2", "--confirm", "1x2")
    assert status == 0
    (record,) = Sampling(tiny_campaign.home).records("tiny")
    (origin,) = {trial.confirms for trial in confirming(record)}
    assert len(confirming(record)) == 2
    assert f"baseline#2 started, confirms #{origin}: " in said.out
    assert f"study baseline: #{origin} is confirmed with " in said.out
    assert "over 2 fresh seeds, the one configuration" in said.out
    status, said = call("status", "tiny", "--json")
    row = json.loads(said.out)[0]
    assert (row["budget"], row["confirmed"], row["confirmations"], row["complete"]) == (4, 2, 2, 4)
    assert "2/2+2/2" in call("status", "tiny")[1].out
    status, said = call("plan", "tiny/baseline", "--json")
    (plan,) = json.loads(said.out)["studies"]
    assert (plan["fresh"], plan["confirmations"], plan["why"]) == (0, 0, "done")


def test_the_plan_counts_what_will_confirm_and_its_time(call, tiny_campaign, monkeypatch):
    monkeypatch.setattr(dry_run, "training_cost", lambda settings, *about: TrainingCost(10.0, 1.0, 1))
    tiny_campaign.rewrite("    trials: 2\n", CONFIRM)
    campaign = tiny_campaign.read()
    load_set(Store(tiny_campaign.home.store), campaign.data.train, FeatureSettings(kind="stored", normalise="none"))
    plan = json.loads(call("plan", "tiny/baseline", "--json", "--workers", "1")[1].out)
    (study,) = plan["studies"]
    assert (study["fresh"], study["confirmations"], study["seconds"]) == (2, 4, 60.0)
    assert (plan["seconds"], plan["megabytes"]) == (60.0, 6.0)
    assert study["why"].endswith("; 4 confirm the best")
    assert "2+4" in call("plan", "tiny/baseline")[1].out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tiny/decoding", "--confirm"), "study decoding trains nothing or has replicates already"),
        (("tiny", "--confirm", "3"), "'3' is not TOPxSEEDS"),
        (("tiny", "--confirm", "3x1"), "two seeds at least"),
        (("--confirm", "tiny"), "--confirm alone behind the campaign"),
    ],
)
def test_what_cannot_be_confirmed_is_refused(call, tiny_campaign, words, message):
    status, said = call("run", *words)
    assert status == 2
    assert message in " ".join(said.err.replace("│", " ").split())
    assert not (tiny_campaign.home.root / "optuna.db").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    trials: 5",
            "    trials: 5\n    confirm: {top: 2}",
            "fresh seeds confirm what is trained, and strategy 'dec",
        ),
        ("    trials: 2", "    trials: 2\n    confirm: {topp: 2}", "did you mean 'top'?"),
        ("    trials: 2", "    trials: 2\n    confirm: {seeds: 1}", "greater than or equal to 2"),
        ("baseline: baseline\n", "baseline: baseline\nconfirm: often\n", "confirm: "),
        (
            "\nstudies:\n",
            "\nstudies:\n  again: {strategy: seeds, confirm: {top: 1}}\n",
            "'seeds' has replicates already; drop it",
        ),
    ],
)
def test_a_declaration_that_cannot_be_kept_is_a_mistake_in_the_file(tiny_campaign, old, new, message):
    tiny_campaign.rewrite(old, new)
    with pytest.raises(CampaignError) as caught:
        tiny_campaign.read()
    assert message in str(caught.value)


def test_a_campaign_declares_for_all_its_studies_and_a_study_for_itself(tiny_campaign):
    tiny_campaign.rewrite("baseline: baseline\n", "baseline: baseline\nconfirm: {top: 2, seeds: 4}\n")
    tiny_campaign.rewrite("    trials: 1\n", "    trials: 1\n    confirm: none\n")
    studies = tiny_campaign.read().studies
    assert studies["baseline"].confirm == ConfirmSettings(top=2, seeds=4)
    assert studies["self_distillation"].confirm == UNCONFIRMED
    assert studies["decoding"].confirm == UNCONFIRMED  # it has nothing that a seed would change


# from the shell: killed, and two at once


def shell(*words):
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [COMMAND, "run", "tiny/baseline", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True)


def results(record):
    return [(trial.params, trial.seed, trial.dev_wer, trial.confirms, trial.promoted) for trial in record.trials]


def test_a_run_killed_amid_its_confirmations_goes_on_to_the_same_end(tiny_campaign, finished):
    tiny_campaign.rewrite("    trials: 2\n", CONFIRM)
    with shell("--workers", "1") as process:
        confirms = ""
        for line in process.stdout:
            confirms = line.split()[1] if ", confirms" in line else confirms
            if confirms and f"{confirms} epoch 2/" in line:
                break
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    (stopped,) = Sampling(tiny_campaign.home).records("tiny")
    assert stopped.promoted is None
    assert stopped.count(TrialState.RUNNING) == 1
    with shell("--workers", "1") as process:
        said = process.stdout.read()
    assert process.returncode == 0, said
    (record,) = Sampling(tiny_campaign.home).records("tiny")
    assert results(record) == results(finished[1][0])


def test_two_runs_at_once_share_the_confirmations(tiny_campaign, finished):
    tiny_campaign.rewrite("    trials: 2\n", CONFIRM)
    both = [shell("--workers", "1") for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    (record,) = Sampling(tiny_campaign.home).records("tiny")
    assert results(record) == results(finished[1][0])
    started = [line.split()[1] for text in said for line in text.splitlines() if " started" in line]
    assert sorted(started) == [f"baseline#{number}" for number in range(6)]


def test_the_command_of_a_confirmed_row_trains_the_promoted_run_alone(finished, tmp_path, monkeypatch):
    tiny_campaign, (baseline, student), _ = finished
    monkeypatch.chdir(tiny_campaign.folder)
    table = leaderboard([baseline, student], None, tiny_campaign.read()).set_index("study")
    line = table.loc["self_distillation"]["command"].replace("ORCHESTRATOR_HOME=reproduced orchestrator", str(COMMAND))
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "reproduced"))
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = Sampling(Home.here()).records("tiny")
    promoted = baseline.trials[baseline.promoted]
    assert [[(trial.key, trial.dev_wer) for trial in record.trials] for record in found] == [
        [(promoted.key, promoted.dev_wer)],
        [(student.trials[0].key, student.trials[0].dev_wer)],
    ]
