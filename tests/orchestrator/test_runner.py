"""A whole campaign with the real Optuna, MLflow, pyctcdecode and KenLM: what it leaves behind, and how it goes on."""

import json
import re
import shutil
import sys
from dataclasses import replace

import pandas as pd
import pytest
from mlflow import MlflowClient

from orchestrator.dry_run import dry_run
from orchestrator.engines.local import LocalEngine
from orchestrator.home import Home
from orchestrator.leaderboard import leaderboard
from orchestrator.owner import Owner
from orchestrator.promotion import Champions, best_of
from orchestrator.record import TrialState
from orchestrator.runner import Runner
from orchestrator.sampling import Sampling
from orchestrator.surface import errors_in, find_surface
from orchestrator.tracking import Tracker
from search_spaces.campaign import SamplerSettings
from search_spaces.errors import ModelError, StudyMismatchError, UserError
from tests.orchestrator.running import Notes, run, working_in
from trainers.data.features import pack
from trainers.data.manifest import read_manifest
from trainers.recogniser import Recogniser
from trainers.store import Store

STATUS = {
    TrialState.COMPLETE: "FINISHED",
    TrialState.PRUNED: "KILLED",
    TrialState.FAILED: "FAILED",
    TrialState.WAITING: "SCHEDULED",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, make_tiny_campaign):
    """A campaign that has run to its end: its folder is only looked at."""
    folder = tmp_path_factory.mktemp("finished")
    with working_in(folder):
        tiny_campaign = make_tiny_campaign(folder)
        records, notes = run(tiny_campaign.read(), tiny_campaign.home)
    return tiny_campaign, records, notes


def trials_of(records):
    return [trial for study in records for trial in study.trials]


def test_every_study_comes_to_its_budget(finished):
    _, records, _ = finished
    assert {study.name: study.count(TrialState.COMPLETE) for study in records} == {
        "baseline": 2,
        "self_distillation": 1,
        "decoding": 5,
    }


def test_every_trial_is_in_mlflow_with_its_wer_and_state_under_its_studys_run(finished):
    campaign, records, _ = finished
    client = MlflowClient(campaign.home.tracking_uri)
    experiment = client.get_experiment_by_name("tiny")
    runs = {run.info.run_id: run for run in client.search_runs([experiment.experiment_id])}
    assert len(runs) == len(records) + len(trials_of(records))
    for study in records:
        assert runs[study.run_id].info.status == "FINISHED"
        for trial in study.trials:
            shown = runs[trial.run_id]
            assert shown.info.status == STATUS[trial.state]
            assert shown.data.tags["mlflow.parentRunId"] == study.run_id
            assert shown.data.metrics["dev_wer"] == pytest.approx(trial.dev_wer)
            assert shown.data.metrics["reference_words"] == trial.outcome.score.words


def test_curves_and_artifacts_of_a_training_trial_are_in_mlflow(finished):
    campaign, records, _ = finished
    client = MlflowClient(campaign.home.tracking_uri)
    trial = records[0].trials[0]
    history = client.get_metric_history(trial.run_id, "dev_wer_epoch")
    assert {point.step: point.value for point in history} == pytest.approx(dict(trial.curve))
    tags = client.get_run(trial.run_id).data.tags
    assert tags["provenance.features_dev"] in {path.name for path in (campaign.home.store / "features").iterdir()}
    assert {"provenance.commit", "provenance.dirty", "provenance.torch", "provenance.host", "seed"} <= set(tags)
    names = {item.path for item in client.list_artifacts(trial.run_id)}
    assert {"checkpoint", "hypotheses.csv", "settings.yaml"} <= names


def test_the_student_starts_from_the_best_teacher_and_with_its_parameters(finished):
    _, records, _ = finished
    teacher, student = records[0].best, records[1].trials[0]
    assert student.needs == {"teacher": (f"baseline#{teacher.number}",)}
    assert student.settings["train"]["lr"] == teacher.params["train.lr"]


def test_greedy_decoding_of_both_sources_comes_first_and_equals_their_training_trials(finished):
    _, records, _ = finished
    baseline, student, decoding = records
    first, second = decoding.trials[:2]
    assert (first.outcome.decoder, second.outcome.decoder) == ("greedy", "greedy")
    assert first.dev_wer == baseline.best.dev_wer
    assert second.dev_wer == student.best.dev_wer
    assert all(trial.outcome.decoder.startswith("beam") for trial in decoding.trials[2:])


def test_one_trial_of_each_study_and_the_best_of_these_for_the_campaign_is_promoted(finished):
    _, records, notes = finished
    for study in records:
        assert [trial.number for trial in study.trials if trial.promoted] == [study.result.number]
        assert study.promoted_beside == study.best.number
    assert [study.result for study in records if study.strategy != "decoding"] == [study.best for study in records[:2]]
    ((champion, _),) = [event for event in notes.of("promoted") if event[1] == "champion"]
    assert champion.name == best_of(records).name
    board = leaderboard(records, champion)
    assert list(board["promoted"]).count("champion") == 1
    assert board["dev_wer"].is_monotonic_increasing


def test_the_champion_loaded_back_gives_the_hypotheses_that_were_recorded(finished):
    campaign, records, _ = finished
    champion = best_of(records)
    system = Recogniser.load(campaign.home.champions / "tiny")
    dev = read_manifest(campaign.read().data.dev)
    features = pack(Store(campaign.home.store), campaign.read().data.dev, dev, system.checkpoint.features)
    recorded = campaign.home.store / "outcomes" / champion.key / "hypotheses.jsonl"
    lines = [json.loads(line) for line in recorded.read_text(encoding="utf-8").splitlines()]
    assert [(h.id, h.text) for h in system.recognise(features)] == [(line["id"], line["hypothesis"]) for line in lines]


def test_the_registry_names_the_champion(finished):
    campaign, records, _ = finished
    version = MlflowClient(campaign.home.tracking_uri).get_model_version_by_alias("tiny", "champion")
    assert version.run_id == best_of(records).run_id


def test_a_second_run_runs_nothing(finished, monkeypatch):
    campaign, records, _ = finished
    monkeypatch.chdir(campaign.folder)
    again, notes = run(campaign.read(), campaign.home)
    assert notes.of("started") == []
    assert [[trial.run_id for trial in study.trials] for study in again] == [
        [trial.run_id for trial in study.trials] for study in records
    ]


def test_trials_that_take_a_moment_share_processes(finished):
    """A log is a process; those of trials that train are their own."""
    campaign, records, _ = finished
    logs = {study.name: len(list((campaign.home.logs / "tiny" / study.name).glob("*.log"))) for study in records}
    assert logs["baseline"] == 2
    assert logs["decoding"] < len(records[2].trials)


def test_a_store_of_mlflow_that_is_gone_is_made_again_by_the_next_run(tiny_campaign):
    campaign, home = tiny_campaign.read(), tiny_campaign.home
    run(campaign, home, ["baseline"])
    for path in home.root.glob("mlflow.db*"):
        path.unlink()
    (study,), notes = run(campaign, home, ["baseline"])
    assert notes.of("started") == []
    client = MlflowClient(home.tracking_uri)
    (experiment,) = [one for one in client.search_experiments() if one.name == "tiny"]
    shown = {run.data.tags["record"]: run.info.status for run in client.search_runs([experiment.experiment_id])}
    assert shown == {"tiny/baseline": "FINISHED"} | {trial.name: "FINISHED" for trial in study.trials}


def test_promotion_by_hand_moves_folder_and_alias_and_can_be_undone(finished):
    campaign, records, _ = finished
    champions = Champions(campaign.home, Tracker(campaign.home))
    before = champions.current("tiny")
    other = next(trial for trial in trials_of(records) if trial.name != best_of(records).name)
    client = MlflowClient(campaign.home.tracking_uri)
    moved = champions.promote(other)
    assert champions.current("tiny") == moved != before
    assert client.get_model_version_by_alias("tiny", "champion").run_id == other.run_id
    assert champions.undo("tiny") == champions.current("tiny") == before
    assert client.get_model_version_by_alias("tiny", "champion").run_id == best_of(records).run_id
    with pytest.raises(UserError, match="no earlier champion"):
        champions.undo("tiny")


def test_only_a_complete_trial_can_be_promoted(finished):
    campaign, records, _ = finished
    champions = Champions(campaign.home, Tracker(campaign.home))
    with pytest.raises(UserError, match="only a complete trial"):
        champions.promote(replace(records[0].trials[0], state=TrialState.PRUNED))


def test_an_interrupted_run_leaves_nothing_running_and_goes_on_from_its_last_epoch(tiny_campaign):
    campaign, home = tiny_campaign.read(), tiny_campaign.home
    notes = Notes()
    runner = Runner(campaign, ["baseline"], home, LocalEngine(2), notes)
    notes.on_epoch = lambda trial, report: runner.interrupt() if report.epoch == 2 else None
    with pytest.raises(KeyboardInterrupt):
        runner.run()
    (stopped,) = Sampling(home).records("tiny")
    assert {trial.state for trial in stopped.trials} <= {TrialState.WAITING, TrialState.COMPLETE}
    assert TrialState.WAITING in {trial.state for trial in stopped.trials}
    client = MlflowClient(home.tracking_uri)
    shown = {run.info.run_id: run.info.status for run in client.search_runs(["1"])}
    assert "RUNNING" not in shown.values()
    assert {trial.run_id: STATUS[trial.state] for trial in stopped.trials}.items() <= shown.items()

    (done,), again = run(campaign, home, ["baseline"])
    for trial in stopped.trials:
        seen = [report.epoch for one, report in again.of("epoch") if one.number == trial.number]
        assert seen == list(range(5 - len(seen), 5))
        # an epoch may have been saved and not yet reported when the run was stopped
        assert len(trial.curve) <= 4 - len(seen) <= len(trial.curve) + 1
        assert sorted(done.trials[trial.number].curve) == [1, 2, 3, 4]
    assert max(len(trial.curve) for trial in stopped.trials) >= 2
    assert [trial.number for trial in done.trials] == [0, 1]
    assert {trial.run_id for trial in done.trials} == {trial.run_id for trial in stopped.trials}


def test_an_interrupted_run_ends_where_an_undisturbed_one_does(tiny_campaign, finished):
    campaign, home = tiny_campaign.read(), tiny_campaign.home
    notes = Notes()
    runner = Runner(campaign, ["baseline"], home, LocalEngine(1), notes)
    notes.on_epoch = lambda trial, report: runner.interrupt() if report.epoch == 2 else None
    with pytest.raises(KeyboardInterrupt):
        runner.run()
    (done,), _ = run(campaign, home, ["baseline"])
    undisturbed = finished[1][0].trials[0]
    assert done.trials[0].curve == undisturbed.curve
    assert done.trials[0].outcome.score == undisturbed.outcome.score


def test_a_trial_whose_process_is_killed_is_taken_up_again(tiny_campaign):
    import psutil

    notes = Notes()
    killed = []

    def kill(trial, report):
        if report.epoch == 2 and not killed:
            children = psutil.Process().children(recursive=True)
            victim = max(children, key=lambda process: process.create_time())
            killed.append(victim.pid)
            victim.kill()

    notes.on_epoch = kill
    (done,), _ = run(tiny_campaign.read(), tiny_campaign.home, ["baseline"], notes, workers=1)
    assert killed
    assert [trial.state for trial in done.trials] == [TrialState.COMPLETE] * 2
    assert done.trials[0].deaths == 1
    assert any("SIGKILL" in text for (text,) in notes.of("warn"))


def test_a_changed_campaign_is_refused_before_anything_starts(tiny_campaign):
    run(tiny_campaign.read(), tiny_campaign.home, ["baseline"])
    tiny_campaign.rewrite("epochs: 4", "epochs: 5")
    notes = Notes()
    with pytest.raises(StudyMismatchError, match=r"settings\.train\.epochs: was 4, is now 5"):
        run(tiny_campaign.read(), tiny_campaign.home, ["baseline"], notes)
    assert notes.of("started") == []


def test_more_trials_are_run_when_the_budget_grows_and_finished_ones_stay(tiny_campaign):
    (before,), _ = run(tiny_campaign.read(), tiny_campaign.home, ["baseline"])
    (after,), notes = run(tiny_campaign.read(), tiny_campaign.home, ["baseline"], budget=3)
    assert [trial.number for (trial,) in notes.of("started")] == [2]
    assert after.trials[:2] == before.trials or after.best.number == 2


def test_a_study_whose_needs_failed_does_not_start(tiny_campaign):
    # with 16 frames in one the transcripts no longer fit, which only the trial itself can find out
    tiny_campaign.rewrite("{train.lr: {float: [1e-2, 3e-2]}}", "{features.stack: {choice: [16]}}")
    tiny_campaign.rewrite("enqueue: [{train.lr: 2e-2}]", "seed: 1")
    names = ["baseline", "self_distillation"]
    (baseline, student), notes = run(tiny_campaign.read(), tiny_campaign.home, names)
    assert baseline.count(TrialState.FAILED) == len(baseline.trials) == 2
    assert "frames" in baseline.trials[0].error
    assert student.trials == ()
    assert any("baseline has no complete trial" in text for (text,) in notes.of("warn"))


def test_a_run_takes_no_new_trial_when_its_time_is_up(tiny_campaign):
    (study,), notes = run(tiny_campaign.read(), tiny_campaign.home, ["baseline"], timeout=0.0)
    assert notes.of("started") == []
    assert study.count(TrialState.COMPLETE) == 0


def test_trials_of_a_killed_run_are_taken_up_by_the_next(tiny_campaign):
    campaign, home = tiny_campaign.read(), tiny_campaign.home
    runner = Runner(campaign, ["baseline"], home, LocalEngine(1), Notes())
    notes = runner._observer
    lost = []

    class Killed(BaseException):
        """Stands for kill -9: nothing of the runner's cleaning up is done."""

    def die(trial, report):
        lost.append(trial.number)
        raise Killed

    notes.on_epoch = die
    runner._stop = runner._sync = lambda: None
    with pytest.raises(Killed):
        runner.run()
    runner._engine.stop()
    assert Sampling(home).records("tiny")[0].trials[0].state is TrialState.RUNNING
    # the owner is this process, which lives: its trials are not taken from it
    sampled = Sampling(home).load("tiny", "baseline")
    assert sampled.reap(0.0) == []
    owner = sampled._trial(0).user_attrs["owner"]
    sampled.note_trial(0, "owner", {**owner, "pid": 2**22 - 1})
    (done,), again = run(campaign, home, ["baseline"])
    assert lost == [0]
    assert done.count(TrialState.COMPLETE) == 2
    assert any(re.match("baseline#0 was left", text) for (text,) in again.of("note"))


def test_a_checkpoint_from_elsewhere_can_teach(tiny_campaign, finished):
    champion = finished[0].home.champions / "tiny"
    tiny_campaign.rewrite("needs: {teacher: baseline}\n    inherit: baseline", f"needs: {{teacher: {champion}}}")
    (study,), _ = run(tiny_campaign.read(), tiny_campaign.home, ["self_distillation"])
    assert study.count(TrialState.COMPLETE) == 1
    assert study.trials[0].needs == {"teacher": (str(champion),)}


def test_a_checkpoint_from_elsewhere_can_be_decoded_and_its_system_promoted(tiny_campaign, finished, tmp_path):
    elsewhere = shutil.copytree(finished[0].home.champions / "tiny", tmp_path / "elsewhere")
    tiny_campaign.rewrite("posteriors: [baseline, self_distillation]", f"posteriors: {elsewhere}")
    (study,), _ = run(tiny_campaign.read(), tiny_campaign.home, ["decoding"])
    assert study.count(TrialState.COMPLETE) == 5
    shutil.rmtree(elsewhere)
    champions = Champions(tiny_campaign.home, Tracker(tiny_campaign.home))
    system = Recogniser.load(champions.promote(study.best))
    assert system.checkpoint.digest == study.best.outcome.checkpoint


OWN = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, inputs, labels, hidden):
        super().__init__()
        self.gru = nn.GRU(inputs, hidden, batch_first=True)
        self.head = nn.Linear(hidden, labels)

    def forward(self, features, lengths):
        return torch.log_softmax(self.head(self.gru(features)[0]), dim=-1), lengths
"""


def test_a_module_in_the_working_folder_is_trained_searched_distilled_and_decoded(tiny_campaign, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tiny_campaign.folder / "nets_of_a_user.py").write_text(OWN, encoding="utf-8")
    tiny_campaign.rewrite("{encoder: bilstm, layers: 1, hidden: 16, dropout: 0.1}", "{class: 'nets_of_a_user:Net'}")
    tiny_campaign.rewrite("space: {train.lr: {float: [1e-2, 3e-2]}}", "space: {model.args.hidden: {int: [8, 12]}}")
    tiny_campaign.rewrite("enqueue: [{train.lr: 2e-2}]", "enqueue: [{model.args.hidden: 8}]")
    records, notes = run(tiny_campaign.read(), tiny_campaign.home)
    assert [trial.error for study in records for trial in study.trials] == [""] * 8
    assert [study.count(TrialState.COMPLETE) for study in records] == [2, 1, 5]
    assert [text for (text,) in notes.of("warn") if "language model does not help" not in text] == []
    best, student = records[0].best, records[1].best
    assert student.settings["model"] == best.settings["model"]
    assert best.settings["model"]["class"] == "nets_of_a_user:Net"
    assert Recogniser.load(Champions(tiny_campaign.home, Tracker(tiny_campaign.home)).current("tiny"))
    # a module whose arguments are known from the studies alone is timed too
    plan = dry_run(tiny_campaign.read(), ["baseline", "self_distillation"], (), 1)
    assert [study.why for study in plan.studies] == ["three steps of its network, timed now"] * 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("class Net", "class Other", "has no class Net"),
        ("labels, hidden", "labels, hidden, depth", "missing a required argument: 'depth'"),
        ("torch.log_softmax(self.head(self.gru(features)[0]), dim=-1)", "self.head(features[:, :, :4])", "fails on"),
    ],
)
def test_a_module_that_does_not_serve_is_refused_before_anything_starts(tiny_campaign, monkeypatch, old, new, message):
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"nets_{abs(hash(new))}"
    (tiny_campaign.folder / f"{name}.py").write_text(OWN.replace(old, new), encoding="utf-8")
    own = f"{{class: '{name}:Net', args: {{hidden: 8}}}}"
    tiny_campaign.rewrite("{encoder: bilstm, layers: 1, hidden: 16, dropout: 0.1}", own)
    with pytest.raises(ModelError, match=message):
        run(tiny_campaign.read(), tiny_campaign.home)
    assert not (tiny_campaign.home.root / "optuna.db").exists()


def test_two_runs_at_once_share_the_trials(tiny_campaign):
    """One run is another's observer: whenever the first hears of an epoch, a second looks for work."""
    campaign, home = tiny_campaign.read(), tiny_campaign.home
    taken = []

    def second(trial, report):
        if not taken:
            taken.extend(Sampling(home).load("tiny", "baseline").claim(Owner.me(), 2, SamplerSettings(), 1))

    notes = Notes()
    notes.on_epoch = second
    runner = Runner(campaign, ["baseline"], home, LocalEngine(1), notes, timeout=20.0)
    (study,) = runner.run()
    assert [trial.number for (trial,) in notes.of("started")] == [0]
    assert taken[0].number == 1
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.RUNNING]
    assert study.promoted is None


def test_a_point_that_does_not_go_with_the_other_settings_fails_alone(tiny_campaign):
    tiny_campaign.rewrite(
        "space: {train.lr: {float: [1e-2, 3e-2]}}\n    enqueue: [{train.lr: 2e-2}]",
        "fixed: {model.attention: windowed}\n"
        "    space: {model.hidden: {choice: [8, 9]}, model.attention_heads: {choice: [2, 4]}}\n"
        "    enqueue: [{model.hidden: 8, model.attention_heads: 2}, {model.hidden: 9, model.attention_heads: 4}]",
    )
    (study,), _ = run(tiny_campaign.read(), tiny_campaign.home, ["baseline"])
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.FAILED]
    assert "does not go with the other settings" in study.trials[1].error
    assert study.best.number == 0


def test_a_trial_of_several_generations_has_one_curve_and_says_what_each_gained(tiny_campaign):
    tiny_campaign.rewrite("{choice: [0.5]}}\n", "{choice: [0.5]}}\n    fixed: {distillation.generations: 2}\n")
    (_, study), notes = run(tiny_campaign.read(), tiny_campaign.home, ["baseline", "self_distillation"])
    (trial,) = study.trials
    assert trial.state is TrialState.COMPLETE
    epochs = trial.outcome.epochs
    assert [report.epoch for report in epochs] in ([1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7, 8])
    assert {report.epochs for report in epochs} == {8}
    assert trial.curve == {report.epoch: report.dev_wer for report in epochs}
    assert trial.outcome.notes[0].startswith("generation 1 of 2: ")
    seen = [report for one, report in notes.of("epoch") if one.study == "self_distillation"]
    assert [report.epoch for report in seen] == [report.epoch for report in epochs]


def test_a_decoding_study_searches_its_best_points_again_promotes_the_middle_and_shows_its_surface(
    tiny_campaign, finished, tmp_path, monkeypatch
):
    elsewhere = shutil.copytree(finished[0].home.champions / "tiny", tmp_path / "elsewhere")
    tiny_campaign.rewrite("posteriors: [baseline, self_distillation]", f"posteriors: {elsewhere}")
    tiny_campaign.rewrite("trials: 5", "trials: 32")
    campaign, home = tiny_campaign.read(), tiny_campaign.home
    (study,), notes = run(campaign, home, ["decoding"])
    assert study.count(TrialState.COMPLETE) == len(study.trials) == 32
    again = [trial for trial in study.trials if trial.repeats is not None]
    assert [trial.number for trial in again] == [30, 31]
    for trial in again:
        settings, before = trial.settings["decoding"], study.trials[trial.repeats].settings["decoding"]
        assert (settings["token_min_logp"], settings["beam_prune_logp"], settings["beam_width"]) == (-7, -20, 100)
        assert (settings["alpha"], settings["beta"]) == (before["alpha"], before["beta"])

    surface = find_surface(campaign.studies["decoding"].space, study.trials, errors_in(Store(home.store)))
    assert study.promoted == surface.middle.number == study.result.number
    assert f"study decoding: {surface}" in [text for (text,) in notes.of("note")]

    def shown():
        client = MlflowClient(Home.here().tracking_uri)
        (parent,) = client.search_runs(
            [client.get_experiment_by_name("tiny").experiment_id], "tags.record = 'tiny/decoding'"
        )
        files = {item.path for item in client.list_artifacts(parent.info.run_id)}
        return parent, files, client

    parent, files, client = shown()
    assert parent.data.tags["best_trial"] == str(study.best.number)
    assert parent.data.tags["promoted_trial"] == str(study.promoted)
    assert parent.data.metrics["promoted_wer"] == pytest.approx(study.result.dev_wer)
    assert {"surface.csv", "surface.pdf", "surface.png"} <= files
    table = pd.read_csv(client.download_artifacts(parent.info.run_id, "surface.csv", str(tmp_path)))
    assert sorted(table["trial"]) == list(range(32))
    assert table.loc[table["promoted"], "trial"].tolist() == [study.promoted]
    assert table.loc[table["lowest"], "trial"].tolist() == [study.best.number]
    assert set(table.loc[table["within_noise"], "trial"]) == {trial.number for trial in surface.flat}
    assert client.get_run(again[0].run_id).data.tags["repeats"] == str(again[0].repeats)

    shutil.rmtree(home.artifacts)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home.root}/another.db")
    run(campaign, Home.here(), ["decoding"])
    assert {"surface.csv", "surface.pdf", "surface.png"} <= shown()[1]
