import csv
import io
import json
import logging
import math
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from orchestrator.home import Home
from orchestrator.record import StudyRecord, TrialRecord, TrialState
from orchestrator.tracking import Tracker, TrialFolders, serve_ui
from orchestrator.tracking.projection import project_study, project_trial
from orchestrator.tracking.store import RunStore
from search_spaces.errors import StoreError, UserError
from trainers.artifacts import Score
from trainers.outcomes import HYPOTHESES
from trainers.spec import EpochReport, TrialOutcome

SETTINGS = {
    "train": {"lr": 0.006, "epochs": 3, "seed": 5, "schedule": None, "amp": False},
    "model": {"encoder": "conv", "kernels": [3, 5]},
}
STARTED = datetime(2026, 1, 2, 3, 4, 5)
WERS = {1: 60.0, 2: 40.0, 3: 45.0}
EPOCHS = tuple(EpochReport(epoch, 3, 1.0 / epoch, wer, 0.5, 0.001, 2.0, 4.0) for epoch, wer in WERS.items())


def trial(number=0, state=TrialState.RUNNING, **more):
    defaults = {
        "params": {"train.lr": 0.006},
        "settings": SETTINGS,
        "key": f"key{number}",
        "started": STARTED,
        "needs": {"teacher": ("first#3",)},
        "provenance": {"commit": "abc123", "host": "here"},
    }
    return TrialRecord("digits", "tuned", "baseline", number, state, **{**defaults, **more})


def ended(number=0, state=TrialState.COMPLETE, **more):
    score = Score(3, 2, 1, 20) if state is TrialState.COMPLETE else None
    outcome = TrialOutcome(
        pruned=state is TrialState.PRUNED,
        score=score,
        scorer="wer 1",
        decoder="greedy",
        units="char",
        weights=1234,
        checkpoint="ck",
        epochs=EPOCHS,
        best_epoch=2,
        seconds=12.5,
        cpu_seconds=20.0,
        notes=("a note",),
    )
    defaults = {
        "outcome": None if state is TrialState.FAILED else outcome,
        "curve": WERS,
        "finished": STARTED + timedelta(seconds=14),
    }
    return trial(number, state, **{**defaults, **more})


def study(*trials, **more):
    return StudyRecord("digits", "tuned", "baseline", trials, **more)


def test_how_a_run_ended_and_what_it_was_computed_on_are_shown():
    outcome = ended().outcome
    notes = ("stopped at epoch 57 of 120, best 41", "still improving when the budget ended")
    more = {"notes": notes, "still_improving": True, "computed_on": "cuda (Some GPU), bf16, CTC on cuda"}
    tags = project_trial(ended(outcome=replace(outcome, **more)), "").tags
    assert tags["notes"] == "\n".join(notes)
    assert tags["still_improving"] == "yes"
    assert tags["computed_on"] == "cuda (Some GPU), bf16, CTC on cuda"
    assert "still_improving" not in project_trial(ended(), "").tags


def test_a_studys_run_names_its_best_and_its_promoted_trial_and_says_what_to_know_of_them():
    better = replace(ended(1), outcome=replace(ended().outcome, score=Score(1, 0, 0, 20)))
    shown = project_study(study(ended(0, promoted=True), better, promoted=0, advice=("One thing.", "Another.")))
    assert (shown.tags["best_trial"], shown.tags["promoted_trial"]) == ("1", "0")
    assert (shown.metrics["best_wer"], shown.metrics["promoted_wer"]) == (5.0, 30.0)
    assert shown.tags["advice"] == "One thing.\nAnother."
    assert not {"promoted_trial", "advice"} & set(project_study(study(ended(), better)).tags)


def test_a_trial_that_repeats_anothers_point_says_whose():
    assert project_trial(ended(5, repeats=0), "").tags["repeats"] == "0"
    assert "repeats" not in project_trial(ended(5), "").tags


def no_folders(record):
    return TrialFolders()


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A new database; making one takes a second."""
    root = tmp_path_factory.mktemp("template")
    Tracker(Home(root, "", f"sqlite:///{root}/mlflow.db"))
    return root / "mlflow.db"


@pytest.fixture
def home(tmp_path, template):
    shutil.copy(template, tmp_path / "mlflow.db")
    return Home(tmp_path, "", f"sqlite:///{tmp_path}/mlflow.db")


@pytest.fixture
def tracker(home):
    return Tracker(home)


@pytest.fixture
def client(home):
    return MlflowClient(home.tracking_uri, home.tracking_uri)


@pytest.fixture
def folders(tmp_path):
    checkpoint, outcome, log = tmp_path / "made/ck", tmp_path / "made/outcome", tmp_path / "made/0.log"
    for folder in (checkpoint, outcome):
        folder.mkdir(parents=True)
    (checkpoint / "model.safetensors").write_bytes(b"weights")
    counts = {"substitutions": 0, "deletions": 0, "insertions": 0, "words": 2}
    lines = [
        {"id": "good", "reference": "GO YES", "hypothesis": "GO YES", **counts},
        {"id": "bad", "reference": 'NO "NO", STOP', "hypothesis": "", **counts, "deletions": 3, "words": 3},
        {"id": "fair", "reference": "GO NO", "hypothesis": "GO", **counts, "deletions": 1, "acoustic": -1.5},
    ]
    (outcome / HYPOTHESES).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    log.write_text("out of memory\n", encoding="utf-8")
    return TrialFolders(checkpoint, outcome, log)


def runs(client):
    experiment = client.get_experiment_by_name("digits")
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def history(client, run_id, name):
    return sorted((point.step, point.value) for point in client.get_metric_history(run_id, name))


def artifact(client, run_id, name):
    return Path(client.get_run(run_id).info.artifact_uri) / name


def everything(client, run_id):
    """All that MLflow holds of a run."""
    run = client.get_run(run_id)
    curves = {name: client.get_metric_history(run_id, name) for name in run.data.metrics}
    points = {name: [(one.step, one.value, one.timestamp) for one in curve] for name, curve in curves.items()}
    return run.info.status, run.info.end_time, run.data.params, run.data.tags, points


# a trial from its start to its end


def test_a_trial_is_shown_from_its_start_to_its_end(tracker, client, folders):
    parent = tracker.study_run(study(), {"strategy": "baseline", "axes": {"train.lr": [0.001, 0.01]}})
    run_id = tracker.start(trial(), parent)
    running = client.get_run(run_id)
    assert running.info.status == "RUNNING"
    assert running.info.run_name == "tuned#0"
    assert running.info.start_time == int(STARTED.timestamp() * 1000)
    assert running.data.params == {
        "train.lr": "0.006",
        "train.epochs": "3",
        "train.seed": "5",
        "train.schedule": "null",
        "train.amp": "false",
        "model.encoder": "conv",
        "model.kernels": "[3, 5]",
    }
    assert yaml.safe_load(artifact(client, run_id, "settings.yaml").read_text()) == SETTINGS
    for report in EPOCHS:
        tracker.epoch(run_id, report)
    assert tracker.finish(ended(run_id=run_id), parent, folders) == run_id

    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.info.end_time == int((STARTED + timedelta(seconds=14)).timestamp() * 1000)
    assert run.data.metrics == {
        "dev_wer": 30.0,
        "errors": 6,
        "substitutions": 3,
        "deletions": 2,
        "insertions": 1,
        "reference_words": 20,
        "duration_seconds": 12.5,
        "cpu_seconds": 20.0,
        "weights": 1234,
        "best_epoch": 2,
        "best_wer": 40.0,
        "dev_wer_epoch": 45.0,
        "train_loss": 1 / 3,
        "blank_share": 0.5,
        "lr": 0.001,
        "gradient_norm": 2.0,
        "epoch_seconds": 4.0,
    }
    assert history(client, run_id, "dev_wer_epoch") == list(WERS.items())
    assert history(client, run_id, "best_wer") == [(1, 60.0), (2, 40.0), (3, 40.0)]
    tags = run.data.tags
    assert tags["mlflow.parentRunId"] == parent
    assert tags["mlflow.source.git.commit"] == tags["provenance.commit"] == "abc123"
    shown = {name: tags[name] for name in ("strategy", "study", "trial", "seed", "state", "key", "decoder", "units")}
    assert list(shown.values()) == ["baseline", "tuned", "0", "5", "complete", "key0", "greedy", "char"]
    assert tags["needs.teacher"] == "first#3"
    assert tags["notes"] == "a note"
    assert "error" not in tags
    assert not tracker.behind

    top = client.get_run(parent)
    assert top.info.run_name == "tuned"
    assert yaml.safe_load(artifact(client, parent, "definition.yaml").read_text())["strategy"] == "baseline"


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (TrialState.WAITING, "SCHEDULED"),
        (TrialState.RUNNING, "RUNNING"),
        (TrialState.COMPLETE, "FINISHED"),
        (TrialState.PRUNED, "KILLED"),
        (TrialState.FAILED, "FAILED"),
    ],
)
def test_every_state_has_a_status_and_our_own_word(tracker, client, state, status):
    record = ended(state=state) if state.finished else trial(state=state)
    run = client.get_run(tracker.sync([study(record)], no_folders)["digits/tuned#0"])
    assert (run.info.status, run.data.tags["state"]) == (status, state.value)


def test_the_hypotheses_are_a_table_with_the_worst_first(tracker, client, folders):
    run_id = tracker.finish(ended(), "", folders)
    rows = list(csv.DictReader(io.StringIO(artifact(client, run_id, "hypotheses.csv").read_text())))
    assert [(row["id"], row["errors"]) for row in rows] == [("bad", "3"), ("fair", "1"), ("good", "0")]
    assert rows[0]["reference"] == 'NO "NO", STOP'
    assert list(rows[0])[-1] == "acoustic"


def test_a_checkpoint_takes_no_room_a_second_time(tracker, client, folders):
    run_id = tracker.finish(ended(), "", folders)
    shown = artifact(client, run_id, "checkpoint/model.safetensors")
    assert shown.read_bytes() == b"weights"
    assert shown.samefile(folders.checkpoint / "model.safetensors")


def test_a_checkpoint_on_another_disk_is_copied(tracker, client, folders, monkeypatch):
    def refuse(*paths):
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    run_id = tracker.finish(ended(), "", folders)
    assert artifact(client, run_id, "checkpoint/model.safetensors").read_bytes() == b"weights"
    assert not tracker.behind


def test_what_a_trial_printed_is_shown_when_it_failed(tracker, client, folders):
    failed = tracker.finish(ended(0, TrialState.FAILED, error="CUDA out of memory"), "", folders)
    fine = tracker.finish(ended(1), "", folders)
    assert artifact(client, failed, "trial.log").read_text() == "out of memory\n"
    assert client.get_run(failed).data.tags["error"] == "CUDA out of memory"
    assert "trial.log" not in [file.path for file in client.list_artifacts(fine)]


# what may come twice, or not at all


def test_finishing_twice_changes_nothing(tracker, client, folders, home):
    run_id = tracker.start(trial(), "")
    for report in EPOCHS:
        tracker.epoch(run_id, report)
    tracker.finish(ended(run_id=run_id), "", folders)
    before = everything(client, run_id)
    assert tracker.finish(ended(run_id=run_id), "", folders) == run_id
    assert Tracker(home).finish(ended(run_id=run_id), "", folders) == run_id
    assert everything(client, run_id) == before
    assert len(runs(client)) == 1


def test_finishing_alone_shows_everything(tracker, client, folders, home):
    whole = tracker.finish(ended(), "", folders)
    assert history(client, whole, "dev_wer_epoch") == list(WERS.items())
    assert history(client, whole, "best_wer") == [(1, 60.0), (2, 40.0), (3, 40.0)]
    assert len(client.get_run(whole).data.params) == 7
    first, _, third = client.get_metric_history(whole, "train_loss")
    assert third.timestamp - first.timestamp == 8000
    files = {file.path for file in client.list_artifacts(whole)}
    assert files == {"settings.yaml", "checkpoint", "hypotheses.csv"}


def test_finishing_fills_the_epochs_that_are_missing(tracker, client):
    run_id = tracker.start(trial(), "")
    tracker.epoch(run_id, EPOCHS[0])
    tracker.finish(ended(run_id=run_id), "", TrialFolders())
    assert history(client, run_id, "gradient_norm") == [(1, 2.0), (2, 2.0), (3, 2.0)]


def test_a_long_training_is_filled_in_whole(tracker, client):
    epochs = tuple(replace(EPOCHS[0], epoch=number, dev_wer=100.0 / number) for number in range(1, 201))
    run_id = tracker.finish(ended(outcome=replace(ended().outcome, epochs=epochs)), "", TrialFolders())
    assert len(history(client, run_id, "train_loss")) == 200


def test_without_an_outcome_the_curve_of_the_record_is_drawn(tracker, client):
    run_id = tracker.finish(ended(state=TrialState.FAILED, error="killed"), "", TrialFolders())
    assert history(client, run_id, "dev_wer_epoch") == list(WERS.items())
    assert client.get_run(run_id).data.metrics["duration_seconds"] == 14.0


def test_an_interrupted_trial_goes_on_in_its_run(tracker, client, home):
    parent = tracker.study_run(study(), {})
    run_id = tracker.start(trial(), parent)
    tracker.epoch(run_id, EPOCHS[0])
    tracker.epoch(run_id, EPOCHS[1])
    tracker.release(trial(state=TrialState.WAITING, run_id=run_id, curve={1: 60.0, 2: 40.0}))
    waiting = client.get_run(run_id)
    assert (waiting.info.status, waiting.info.end_time) == ("SCHEDULED", None)
    assert waiting.data.tags["state"] == "waiting"
    assert waiting.data.tags["mlflow.parentRunId"] == parent

    again = Tracker(home)
    assert again.start(trial(run_id=run_id, curve={1: 60.0, 2: 40.0}, deaths=1), parent) == run_id
    assert client.get_run(run_id).info.status == "RUNNING"
    again.epoch(run_id, EPOCHS[1])
    again.epoch(run_id, EPOCHS[2])
    again.finish(ended(run_id=run_id, deaths=1), parent, TrialFolders())
    assert history(client, run_id, "train_loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert client.get_run(run_id).info.status == "FINISHED"


def test_an_error_that_was_overcome_is_not_shown_any_more(tracker, client):
    run_id = tracker.finish(ended(state=TrialState.FAILED, error="disk full"), "", TrialFolders())
    tracker.start(trial(run_id=run_id), "")
    assert "error" not in client.get_run(run_id).data.tags


def test_settings_that_change_on_resuming_become_tags(tracker, client):
    run_id = tracker.start(trial(), "")
    tracker.start(trial(run_id=run_id, settings={"train": {"lr": 0.5, "new": 1}}), "")
    run = client.get_run(run_id)
    assert (run.data.params["train.lr"], run.data.tags["changed.train.lr"]) == ("0.006", "0.5")
    assert run.data.params["train.new"] == "1"
    assert not tracker.behind


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_what_is_no_number_becomes_a_tag(tracker, client, odd):
    run_id = tracker.start(trial(), "")
    broken = replace(EPOCHS[0], loss=odd)
    tracker.epoch(run_id, broken)
    outcome = replace(ended().outcome, epochs=(broken, EPOCHS[1]))
    tracker.finish(ended(run_id=run_id, outcome=outcome), "", TrialFolders())
    assert history(client, run_id, "train_loss") == [(2, 0.5)]
    assert history(client, run_id, "dev_wer_epoch") == [(1, 60.0), (2, 40.0)]
    assert client.get_run(run_id).data.tags["not_finite.train_loss"] == f"{odd} at epoch 1"


def test_names_and_values_that_mlflow_refuses_are_made_to_fit(tracker, client):
    settings = {"decoding": {"hot words": "x" * 7000, "wer@10": 1, "empty": {}, "none": ""}}
    record = ended(state=TrialState.FAILED, settings=settings, error="e" * 20000, params={"a:b": 2, "fine": "word"})
    run = client.get_run(tracker.finish(record, "", TrialFolders()))
    assert len(run.data.params["decoding.hot words"]) == 6000
    assert run.data.params["decoding.wer_10"] == "1"
    assert run.data.params["decoding.empty"] == "{}"
    assert run.data.params["decoding.none"] == ""
    assert (run.data.params["a_b"], run.data.params["fine"]) == ("2", "word")
    assert len(run.data.tags["error"]) == 5000
    assert not tracker.behind


# studies


def test_a_study_is_closed_with_its_results(tracker, client):
    parent = tracker.study_run(study(), {})
    worse = replace(ended(1), outcome=replace(ended().outcome, score=Score(10, 0, 0, 20)))
    made = [replace(one, run_id=tracker.finish(one, parent, TrialFolders())) for one in (ended(0), worse)]
    best = replace(made[0], promoted=True)
    tracker.study_done(study(best, made[1], run_id=parent, promoted=0), True)
    run = client.get_run(parent)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["best_wer"] == 30.0
    assert (run.data.metrics["trials_complete"], run.data.metrics["trials_failed"]) == (2, 0)
    assert run.data.tags["best_trial"] == "0"
    assert client.get_run(best.run_id).data.tags["promoted"] == "true"
    before = everything(client, parent)
    tracker.study_done(study(best, made[1], run_id=parent, promoted=0), True)
    assert everything(client, parent) == before

    tracker.study_done(study(best, replace(made[1], promoted=True), run_id=parent, promoted=1), True)
    assert client.get_run(made[1].run_id).data.tags["promoted"] == "true"
    assert client.get_run(made[0].run_id).data.tags["promoted"] == "false"


@pytest.mark.parametrize(("state", "status"), [(TrialState.RUNNING, "RUNNING"), (TrialState.WAITING, "SCHEDULED")])
def test_a_study_that_can_go_on_is_scheduled_unless_others_work_on_it(tracker, client, state, status):
    parent = tracker.study_run(study(), {})
    tracker.study_done(study(ended(0), trial(1, state), run_id=parent), False)
    assert client.get_run(parent).info.status == status


def test_a_study_keeps_its_run_and_shows_its_latest_definition(tracker, client, home):
    parent = tracker.study_run(study(), {"trials": 4})
    tracker.study_done(study(run_id=parent), False)
    again = Tracker(home)
    assert again.study_run(study(run_id=parent), {"trials": 8}) == parent
    assert client.get_run(parent).info.status == "RUNNING"
    assert yaml.safe_load(artifact(client, parent, "definition.yaml").read_text()) == {"trials": 8}
    assert again.study_run(study(), {"trials": 8}) == parent, "found by its tags"
    assert again.study_run(study(run_id="0" * 32), {"trials": 8}) == parent, "the id is of another store"


def test_a_deleted_run_comes_back_under_its_id(tracker, client):
    parent = tracker.study_run(study(), {})
    run_id = tracker.start(trial(), parent)
    client.delete_run(run_id)
    client.delete_run(parent)
    assert tracker.study_run(study(run_id=parent), {}) == parent
    assert tracker.finish(ended(run_id=run_id), parent, TrialFolders()) == run_id
    assert client.get_run(run_id).info.lifecycle_stage == "active"
    assert not tracker.behind


def test_a_deleted_experiment_comes_back(tracker, client, home):
    parent = tracker.study_run(study(), {})
    client.delete_experiment(client.get_experiment_by_name("digits").experiment_id)
    assert Tracker(home).study_run(study(run_id=parent), {}) == parent
    assert client.get_experiment_by_name("digits").lifecycle_stage == "active"


def test_an_experiment_deleted_under_our_feet_is_mended_by_the_next_call(tracker, client):
    parent = tracker.study_run(study(), {})
    client.delete_experiment(client.get_experiment_by_name("digits").experiment_id)
    assert tracker.start(trial(), parent) == ""
    assert tracker.behind
    assert tracker.start(trial(), parent) != ""


def test_artifacts_lie_in_the_home(tracker, client, home):
    parent = tracker.study_run(study(), {"a": 1})
    assert artifact(client, parent, "definition.yaml").is_relative_to(home.artifacts / "digits")


# sync


def test_sync_makes_mlflow_equal_to_the_records(tracker, client, folders):
    records = [
        trial(0, TrialState.WAITING, settings={}, key="", started=None),
        trial(1),
        ended(2, promoted=True),
        ended(3, TrialState.PRUNED),
        ended(4, TrialState.FAILED, error="oh"),
    ]
    made = tracker.sync([study(*records, promoted=2)], lambda record: folders)
    assert set(made) == {"digits/tuned", *(record.name for record in records)}
    shown = runs(client)
    assert [shown[f"tuned#{number}"].data.tags["state"] for number in range(5)] == [one.state for one in records]
    assert [shown[f"tuned#{number}"].data.tags.get("promoted") for number in range(5)] == [
        None,
        None,
        "true",
        None,
        None,
    ]
    assert shown["tuned"].info.status == "RUNNING"
    assert not shown["tuned#0"].data.params
    assert artifact(client, made["digits/tuned#2"], "hypotheses.csv").exists()
    assert artifact(client, made["digits/tuned#4"], "trial.log").exists()
    known = study(
        *(replace(record, run_id=made[record.name]) for record in records), run_id=made["digits/tuned"], promoted=2
    )
    before = {run_id: everything(client, run_id) for run_id in made.values()}
    assert tracker.sync([known], lambda record: folders) == {}
    assert {run_id: everything(client, run_id) for run_id in made.values()} == before
    assert len(runs(client)) == 6


def test_sync_of_what_is_in_order_writes_nothing_and_asks_once(tracker, monkeypatch):
    made = tracker.sync([study(*(ended(number) for number in range(3)))], no_folders)
    known = study(
        *(ended(number, run_id=made[f"digits/tuned#{number}"]) for number in range(3)), run_id=made["digits/tuned"]
    )

    def refuse(*arguments, **more):
        raise AssertionError("nothing was to be written or read")

    for name in ("run", "create", "bring", "search", "tag", "log_text"):
        monkeypatch.setattr(RunStore, name, refuse)
    assert tracker.sync([known], no_folders) == {}


def test_sync_mends_what_a_killed_process_left_running(tracker, client, home):
    parent = tracker.study_run(study(), {})
    runs_made = [tracker.start(trial(number), parent) for number in range(2)]
    after = study(
        trial(0, TrialState.WAITING, run_id=runs_made[0], deaths=1),
        ended(1, TrialState.FAILED, run_id=runs_made[1], error="killed three times", deaths=3),
        run_id=parent,
    )
    assert Tracker(home).sync([after], no_folders) == {}
    assert [client.get_run(run_id).info.status for run_id in (*runs_made, parent)] == [
        "SCHEDULED",
        "FAILED",
        "SCHEDULED",
    ]


def test_sync_finds_a_run_whose_id_was_never_noted(tracker, client, home):
    parent = tracker.study_run(study(), {})
    orphan = tracker.start(trial(), parent)
    made = Tracker(home).sync([study(trial(state=TrialState.WAITING), run_id=parent)], no_folders)
    assert made == {"digits/tuned#0": orphan}
    assert client.get_run(orphan).info.status == "SCHEDULED"
    assert Tracker(home).start(trial(deaths=1), parent) == orphan


def test_sync_hides_a_second_run_of_the_same_attempt(tracker, client, home):
    parent = tracker.study_run(study(), {})
    first, second = tracker.start(trial(), parent), Tracker(home).start(trial(), parent)
    assert first != second
    tracker.sync([study(ended(run_id=second), run_id=parent)], no_folders)
    assert client.get_run(first).info.lifecycle_stage == "deleted"
    assert client.get_run(second).info.status == "FINISHED"


def test_sync_leaves_runs_alone_that_are_not_ours(tracker, client):
    tracker.sync([study(ended())], no_folders)
    experiment = client.get_experiment_by_name("digits").experiment_id
    foreign = client.create_run(experiment, run_name="by hand").info.run_id
    former = client.create_run(experiment, tags={"record": "digits/tuned#0", "key": "another"}).info.run_id
    tracker.sync([study(ended())], no_folders)
    for run_id in (foreign, former):
        run = client.get_run(run_id)
        assert (run.info.status, run.info.lifecycle_stage) == ("RUNNING", "active")


def test_sync_moves_the_mark_of_the_best(tracker, client):
    made = tracker.sync([study(ended(0, promoted=True), ended(1))], no_folders)
    tracker.sync([study(ended(0), ended(1, promoted=True))], no_folders)
    marks = [client.get_run(made[f"digits/tuned#{number}"]).data.tags.get("promoted") for number in range(2)]
    assert marks == ["false", "true"]


def test_sync_rebuilds_a_store_that_was_deleted(tracker, client, home, folders, tmp_path):
    old = tracker.finish(ended(), tracker.study_run(study(), {}), folders)
    for path in tmp_path.glob("mlflow.db*"):
        path.rename(tmp_path / f"gone.{path.name}")
    fresh = replace(home, tracking_uri=f"sqlite:///{tmp_path}/other.db")
    made = Tracker(fresh).sync([study(ended(run_id=old), run_id="1" * 32)], lambda record: folders)
    assert set(made) == {"digits/tuned", "digits/tuned#0"}
    other = MlflowClient(fresh.tracking_uri)
    assert history(other, made["digits/tuned#0"], "train_loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]


def test_sync_of_a_study_nobody_began_makes_nothing(tracker):
    assert tracker.sync([study()], no_folders) == {}


# the registry


def champion_version(client):
    """The version that the alias ``champion`` names; None when there is none."""
    try:
        return int(client.get_model_version_by_alias("digits", "champion").version)
    except MlflowException:
        return None


def test_the_champion_is_a_version_of_the_registered_model(tracker, client, tmp_path):
    assert champion_version(client) is None
    run_id = tracker.finish(ended(), "", TrialFolders())
    champion = tmp_path / "champions/0001"
    champion.mkdir(parents=True)
    (champion / "system.json").write_text("one")
    first = tracker.register("digits", run_id, champion, "30 % on dev", {"study": "tuned"})
    assert champion_version(client) is None
    tracker.follow_champion("digits", champion, run_id, "key0")
    assert champion_version(client) == first == 1
    assert tracker.register("digits", run_id, champion) == 1, "the same files are the same version"
    version = client.get_model_version_by_alias("digits", "champion")
    assert (version.run_id, version.description, version.tags["study"]) == (run_id, "30 % on dev", "tuned")
    place = client.get_model_version_download_uri("digits", "1").removeprefix(f"runs:/{run_id}/")
    (champion / "system.json").write_text("two")
    second = tracker.register("digits", run_id, champion)
    assert (second, champion_version(client)) == (2, 1), "a version is no champion by being registered"
    assert not tracker.behind
    assert artifact(client, run_id, place).is_dir()


def test_the_alias_follows_the_champion_forth_and_back(tracker, client, tmp_path):
    run_id = tracker.finish(ended(), "", TrialFolders())
    for number in (1, 2):
        folder = tmp_path / f"champions/{number}"
        folder.mkdir(parents=True)
        (folder / "system.json").write_text(str(number))
    tracker.follow_champion("digits", tmp_path / "champions/1", run_id, "key0")
    tracker.follow_champion("digits", tmp_path / "champions/2", "", "key0")
    assert champion_version(client) == 2
    tracker.follow_champion("digits", tmp_path / "champions/1", run_id, "key0")
    assert champion_version(client) == 1
    assert len(client.search_model_versions("name = 'digits'")) == 2


def test_a_champion_of_no_known_run_is_left_for_later(tracker, tmp_path):
    (tmp_path / "folder").mkdir()
    tracker.follow_champion("digits", tmp_path / "folder", "", "unknown")
    assert tracker.behind
    assert tracker.register("digits", "0" * 32, tmp_path / "folder") == 0


# a store that fails


@pytest.fixture
def down(monkeypatch):
    """MLflow fails at every call until it is up again."""
    state = {"down": False, "calls": 0}

    def failing(real):
        def call(self, *arguments, **more):
            state["calls"] += 1
            if state["down"]:
                raise MlflowException("database is locked")
            return real(self, *arguments, **more)

        return call

    for name in ("get_run", "create_run", "log_batch", "search_runs", "get_experiment_by_name", "set_terminated"):
        monkeypatch.setattr(MlflowClient, name, failing(getattr(MlflowClient, name)))
    return state


def test_a_store_that_fails_fails_no_trial_and_is_made_up_for(tracker, client, down, folders, caplog):
    down["down"] = True
    with caplog.at_level(logging.WARNING):
        parent = tracker.study_run(study(), {})
        run_id = tracker.start(trial(), parent)
        tracker.epoch(run_id, EPOCHS[0])
        assert (parent, run_id) == ("", "")
        assert tracker.start(trial(run_id="known"), "") == "known"
        assert tracker.finish(ended(), parent, folders) == ""
        tracker.study_done(study(ended()), True)
        tracker.release(trial())
        assert tracker.register("digits", "run", folders.checkpoint) == 0
        assert tracker.sync([study(ended())], lambda record: folders) == {}
    assert tracker.behind
    assert [record.getMessage().count("database is locked") for record in caplog.records] == [1]
    down["down"] = False
    made = tracker.sync([study(ended())], lambda record: folders)
    assert not tracker.behind
    assert history(client, made["digits/tuned#0"], "lr") == [(1, 0.001), (2, 0.001), (3, 0.001)]


def test_a_run_that_was_made_is_known_though_its_details_failed(tracker, client, down, monkeypatch):
    parent = tracker.study_run(study(), {})
    real = MlflowClient.log_batch
    monkeypatch.setattr(MlflowClient, "log_batch", lambda *a, **k: (_ for _ in ()).throw(OSError("disk full")))
    run_id = tracker.start(trial(), parent)
    assert tracker.behind
    assert client.get_run(run_id).info.status == "RUNNING"
    monkeypatch.setattr(MlflowClient, "log_batch", real)
    assert tracker.finish(ended(), parent, TrialFolders()) == run_id
    assert len(client.get_run(run_id).data.params) == 7


def test_a_server_that_does_not_answer_is_left_in_peace(tracker, down, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("orchestrator.tracking.harmless.time.monotonic", lambda: now[0])

    def hang(self, *arguments, **more):
        down["calls"] += 1
        now[0] += 20.0
        raise MlflowException("timed out")

    run_id = tracker.start(trial(), "")
    real = MlflowClient.log_batch
    monkeypatch.setattr(MlflowClient, "log_batch", hang)
    tracker.epoch(run_id, EPOCHS[0])
    calls = down["calls"]
    tracker.epoch(run_id, EPOCHS[1])
    assert tracker.finish(ended(run_id=run_id), "", TrialFolders()) == run_id
    assert down["calls"] == calls
    now[0] += 61.0
    monkeypatch.setattr(MlflowClient, "log_batch", real)
    tracker.finish(ended(run_id=run_id), "", TrialFolders())
    assert down["calls"] > calls


def test_files_that_are_gone_or_broken_fail_nothing(tracker, client, folders, tmp_path):
    gone = TrialFolders(tmp_path / "no", tmp_path / "no", tmp_path / "no")
    run_id = tracker.finish(ended(state=TrialState.FAILED), "", gone)
    assert client.get_run(run_id).info.status == "FAILED"
    assert not tracker.behind
    (folders.outcome / HYPOTHESES).write_text("{no json\n", encoding="utf-8")
    assert tracker.finish(ended(1), "", folders)
    assert tracker.behind


# opening the store


@pytest.mark.parametrize("content", [b"this is no database at all, it is a text\n" * 50])
def test_a_file_that_is_no_database_is_refused_at_once(tmp_path, content):
    (tmp_path / "mlflow.db").write_bytes(content)
    with pytest.raises(StoreError, match=r"cannot open MLflow's store sqlite:.*: file is not a database$"):
        Tracker(Home(tmp_path, "", f"sqlite:///{tmp_path}/mlflow.db"))


def test_a_database_of_a_later_mlflow_is_refused(home):
    with sqlite3.connect(home.root / "mlflow.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'fffffffffff'")
    connection.close()
    with pytest.raises(StoreError, match="cannot open MLflow's store"):
        Tracker(home)


def test_a_database_of_an_earlier_mlflow_is_brought_up_to_date(tmp_path):
    from alembic import command
    from mlflow.store.db import utils
    from mlflow.store.tracking.dbmodels.initial_models import Base

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    engine = utils.create_sqlalchemy_engine(uri)
    Base.metadata.create_all(engine)
    config = utils._get_alembic_config(uri)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "cc1f77228345")  # MLflow 2.0
    engine.dispose()
    tracker = Tracker(Home(tmp_path, "", uri))
    assert tracker.finish(ended(), "", TrialFolders())
    assert not tracker.behind


def test_a_server_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(StoreError, match=r"http://127.0.0.1:9"):
        Tracker(Home(tmp_path, "", "http://127.0.0.1:9"))


def test_processes_that_open_a_store_together_make_one(tmp_path):
    code = (
        "import sys; from pathlib import Path; from orchestrator.home import Home; from orchestrator.tracking import *;"
        "from orchestrator.record import *; root = Path(sys.argv[1]);"
        "t = Tracker(Home(root, '', f'sqlite:///{root}/mlflow.db'));"
        "print(t.start(TrialRecord('digits', 's', 'baseline', int(sys.argv[2]), TrialState.RUNNING), ''), t.behind)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    started = [subprocess.Popen([*command, str(n)], stdout=subprocess.PIPE, text=True) for n in range(2)]
    said = [process.communicate()[0].split() for process in started]
    assert [words[1] for words in said] == ["False"] * 2
    assert len({words[0] for words in said}) == 2
    assert list(tmp_path.glob(".mlflow.db.unfinished*")) == []


def test_telemetry_is_off_and_nothing_is_printed(tmp_path):
    code = (
        "import sys; from pathlib import Path; from orchestrator.home import Home; from orchestrator.tracking import *;"
        "import os; assert os.environ['MLFLOW_DISABLE_TELEMETRY'] == 'true';"
        "from mlflow.telemetry.client import get_telemetry_client; assert get_telemetry_client() is None;"
        "root = Path(sys.argv[1]); Tracker(Home(root, '', f'sqlite:///{root}/mlflow.db'))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["two words", "100%20", "größer", "a#b"])
def test_the_home_may_have_any_name(tmp_path, template, folders, name):
    root = tmp_path / name
    root.mkdir()
    shutil.copy(template, root / "mlflow.db")
    home = Home(root, "", f"sqlite:///{root}/mlflow.db")
    tracker = Tracker(home)
    run_id = tracker.finish(ended(), "", folders)
    assert not tracker.behind
    client = MlflowClient(home.tracking_uri)
    assert "hypotheses.csv" in [file.path for file in client.list_artifacts(run_id)]
    assert Path(client.download_artifacts(run_id, "checkpoint/model.safetensors")).read_bytes() == b"weights"
    assert len(list(root.rglob("checkpoint/model.safetensors"))) == 1


def test_a_home_can_be_moved(home, tracker, folders, tmp_path, tmp_path_factory):
    parent = tracker.study_run(study(), {"a": 1})
    run_id = tracker.finish(ended(), parent, folders)
    tracker.follow_champion("digits", folders.checkpoint, run_id, "key0")
    place = tmp_path_factory.mktemp("else") / "where"
    shutil.copytree(tmp_path, place)
    shutil.rmtree(tmp_path / "artifacts")
    moved = Home(place, "", f"sqlite:///{place}/mlflow.db")
    again = Tracker(moved)
    client = MlflowClient(moved.tracking_uri)
    assert artifact(client, run_id, "hypotheses.csv").is_relative_to(place)
    assert artifact(client, run_id, "hypotheses.csv").exists()
    assert again.sync([study(ended(run_id=run_id), run_id=parent)], lambda record: folders) == {}
    assert artifact(client, again.start(trial(1), parent), "settings.yaml").is_relative_to(place)
    assert champion_version(client) == 1
    assert not (tmp_path / "artifacts").exists()


def test_a_process_killed_at_any_point_leaves_a_store_that_sync_mends(home, client):
    code = (
        "import sys; from orchestrator.tracking import *; from orchestrator.home import Home; from pathlib import Path;"
        "from orchestrator.record import *; from trainers.spec import EpochReport; root = Path(sys.argv[1]);"
        "t = Tracker(Home(root, '', f'sqlite:///{root}/mlflow.db')); parent = t.study_run("
        "StudyRecord('digits', 'tuned', 'baseline'), {});"
        "run = t.start(TrialRecord('digits', 'tuned', 'baseline', 0, TrialState.RUNNING, key='key0'), parent);"
        "print(run, flush=True)\n"
        "while True: t.start(TrialRecord('digits', 'other', 'baseline', 1, TrialState.RUNNING, key='x'), parent)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(home.root)], stdout=subprocess.PIPE, text=True)
    run_id = process.stdout.readline().strip()
    process.kill()
    process.wait()
    process.stdout.close()
    assert client.get_run(run_id).info.status == "RUNNING"
    made = Tracker(home).sync([study(trial(state=TrialState.WAITING, deaths=1))], no_folders)
    assert made["digits/tuned#0"] == run_id
    assert client.get_run(run_id).info.status == "SCHEDULED"
    assert client.get_run(made["digits/tuned"]).info.status == "SCHEDULED"


# the user interface


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_user_interface_says_why_it_cannot_start(home):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(UserError, match=r"port \d+ cannot be used: Address already in use; choose another"):
            serve_ui(home, other.getsockname()[1])
    with pytest.raises(UserError, match="on a server that shows them itself: http://lab:5000"):
        serve_ui(replace(home, tracking_uri="http://lab:5000"), 5000)


@pytest.fixture
def ui(home):
    """The user interface of the store, and its process."""
    code = (
        "import sys; from pathlib import Path; from orchestrator.home import Home; from orchestrator.tracking import *;"
        "root = Path(sys.argv[1]); sys.exit(serve_ui(Home(root, '', f'sqlite:///{root}/mlflow.db'), int(sys.argv[2])))"
    )
    port = free_port()
    with (home.root / "ui.log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-c", code, str(home.root), str(port)], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, (home.root / "ui.log").read_text()
                time.sleep(0.25)
        yield url, process
    finally:
        process.terminate()
        process.wait()


@pytest.mark.slow
def test_a_server_shows_the_runs_takes_new_ones_and_ends_with_all_its_processes(ui, home, tracker, client, folders):
    url, process = ui
    parent = tracker.study_run(study(), {})
    run_id = tracker.finish(ended(), parent, folders)
    with urllib.request.urlopen(f"{url}/get-artifact?path=hypotheses.csv&run_uuid={run_id}", timeout=30) as answer:
        assert answer.read().decode().splitlines()[1].endswith(",bad,")

    remote = Tracker(replace(home, tracking_uri=url))
    assert remote.study_run(study(), {}) == parent
    other = remote.start(trial(1), parent)
    remote.epoch(other, EPOCHS[0])
    remote.finish(ended(1, run_id=other), parent, folders)
    assert remote.sync([study(ended(0, run_id=run_id), ended(1, run_id=other), run_id=parent)], lambda _: folders) == {}
    remote.follow_champion("digits", folders.checkpoint, other, "key1")
    assert champion_version(client) == 1
    assert not remote.behind
    assert history(client, other, "train_loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert client.get_run(other).info.status == "FINISHED"

    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{url}/health", timeout=5)


def test_write_ahead_mode_is_on(tracker, home):
    tracker.start(trial(), "")
    connection = sqlite3.connect(home.root / "mlflow.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_files_beside_a_studys_record_are_made_when_it_ends_and_again_in_another_store_but_not_every_time(home):
    made = []

    def fill(folder):
        made.append(folder)
        (folder / "surface.csv").write_text("trial\n0\n", encoding="utf-8")

    tracker = Tracker(home)
    client = MlflowClient(home.tracking_uri)
    record = study(ended(0, promoted=True), promoted=0)
    parent = tracker.study_run(replace(record, promoted=None), {})
    record = replace(record, run_id=parent)
    tracker.study_done(record, True, fill)
    assert [item.path for item in client.list_artifacts(parent)] == ["surface.csv"]
    tracker.sync([record], no_folders, lambda one: fill)
    assert len(made) == 1
    other = Home(home.root / "other", "", f"sqlite:///{home.root}/other.db")
    run_id = Tracker(other).sync([record], no_folders, lambda one: fill)["digits/tuned"]
    assert [item.path for item in MlflowClient(other.tracking_uri).list_artifacts(run_id)] == ["surface.csv"]
    assert not any(folder.exists() for folder in made)


def test_files_that_cannot_be_made_leave_the_study_for_the_next_sync(home):
    def fill(folder):
        raise OSError("no space left on device")

    tracker = Tracker(home)
    record = study(ended(0, promoted=True), promoted=0)
    record = replace(record, run_id=tracker.study_run(replace(record, promoted=None), {}))
    tracker.study_done(record, True, fill)
    assert tracker.behind
    tracker.sync([record], no_folders, lambda one: lambda folder: (folder / "a").write_text("b"))
    assert [item.path for item in MlflowClient(home.tracking_uri).list_artifacts(record.run_id)] == ["a"]
