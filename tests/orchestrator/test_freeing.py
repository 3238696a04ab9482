"""Weights that are freed, with the real Optuna and MLflow."""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace

import pytest
from mlflow import MlflowClient

from orchestrator import restoring
from orchestrator.freeing import Freeing
from orchestrator.home import Home
from orchestrator.promotion import Champions
from orchestrator.sampling import Sampling
from orchestrator.tracking import Tracker
from search_spaces.reading import read_campaign
from tests.orchestrator.running import run, working_in
from trainers.store import Store
from trainers.strategies import catalogue

FIVE = "  five:\n    strategy: seeds\n    trials: 4\n    fixed: {train.epochs: 2, train.keep_last: 1}\n"


@pytest.fixture(scope="module")
def ended(tmp_path_factory, make_tiny_campaign):
    """A folder with two trials of the baseline and four replicates, all of them with their weights."""
    folder = tmp_path_factory.mktemp("freeing")
    with working_in(folder):
        tiny = make_tiny_campaign(folder)
        tiny.rewrite("  decoding:\n    strategy: decoding\n", FIVE + "  decoding:\n    strategy: decoding\n")
        run(tiny.read(), tiny.home, ["baseline", "five"])
    return folder


def records():
    return {record.name: record for record in Sampling(Home.here()).records("tiny")}


def checkpoints(folder):
    return set(Store(folder / "mlruns/store").keys("checkpoints"))


def names_left(files):
    """How many names open files still have; of a file with none, the space is free once it is closed."""
    return sum(os.fstat(file.fileno()).st_nlink for file in files)


def shown(folder, trial):
    """The run of a trial in MLflow, and whether it still has weights among its artifacts."""
    client = MlflowClient(f"sqlite:///{folder / 'mlruns/mlflow.db'}")
    names = {item.path for item in client.list_artifacts(trial.run_id)}
    return client.get_run(trial.run_id).data.tags, "checkpoint" in names


def test_a_look_says_what_would_be_freed_and_frees_nothing(folder, call):
    before = checkpoints(folder)
    status, said = call("free", "tiny/five", "--keep-best", "1", "--dry-run", "--json")
    told = json.loads(said.out)
    assert (status, told["freed"], len(told["trials"])) == (0, False, 3)
    store, five = Store(folder / "mlruns/store"), records()["five"]
    worse = [trial for trial in five.trials if trial.number != five.best.number]
    sizes = [
        store.size("checkpoints", trial.key) + store.size("posteriors", trial.outcome.posteriors) for trial in worse
    ]
    assert told["bytes"] == sum(sizes) > 0
    assert checkpoints(folder) == before
    assert not any(trial.freed for trial in five.trials)


def test_weights_are_freed_in_the_store_and_in_mlflow_and_records_stay(folder, call):
    before, store = records(), Store(folder / "mlruns/store")
    with ExitStack() as opened:
        held = {
            key: [
                opened.enter_context(path.open("rb"))
                for path in store.path("checkpoints", key).rglob("*")
                if path.is_file()
            ]
            for key in checkpoints(folder)
        }
        status, said = call("free", "tiny/five", "--keep-best", "1")
        named = {key for key, files in held.items() if names_left(files)}
    assert status == 0
    assert "freed: the weights of 3 trials; records stay" in said.out
    after, left = records(), checkpoints(folder)
    for old, new in zip(before["five"].trials, after["five"].trials, strict=True):
        best = new.number == before["five"].best.number
        assert (new.key in left, new.freed) == (best, not best)
        assert (new.dev_wer, new.curve, new.settings) == (old.dev_wer, old.curve, old.settings)
        assert store.has("outcomes", new.key)
        assert store.has("posteriors", new.outcome.posteriors) == best
        tags, weights = shown(folder, new)
        assert (tags.get("weights_freed"), weights) == (None if best else "yes", best)
    assert {trial.key for trial in after["baseline"].trials} <= left
    assert not any(trial.freed for trial in after["baseline"].trials)
    # no name for a file of the weights is left anywhere, or their space would not be free
    assert all(held.values())
    assert named == left
    status, said = call("free", "tiny/five", "--keep-best", "1")
    assert (status, said.out.split("\n")[0]) == (0, "0 B freed: the weights of 0 trials; records stay")
    status, said = call("status", "tiny", "--json")
    assert {study["study"]: study["freed"] for study in json.loads(said.out)}["five"] == 3


def test_a_sync_does_not_bring_freed_weights_back_and_makes_up_for_mlflow_that_was_down(folder, call, monkeypatch):
    monkeypatch.setattr(Tracker, "finish", lambda *arguments: "")
    call("free", "tiny/five", "--keep-best", "1")
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(folder / "mlruns"))
    freed = next(trial for trial in records()["five"].trials if trial.freed)
    assert shown(folder, freed)[1]
    status, _ = call("run", "tiny/five")
    assert status == 0
    tags, weights = shown(folder, freed)
    assert (tags["weights_freed"], weights) == ("yes", False)


def test_a_freed_trial_is_refused_where_its_weights_are_wanted_until_it_is_trained_again(folder, call):
    before = records()["five"]
    worse = next(trial for trial in before.trials if trial.number != before.best.number)
    place = folder / "mlruns/store/checkpoints" / worse.key
    wanted = {path.relative_to(place): path.read_bytes() for path in place.rglob("*.safetensors")}
    assert len(wanted) == 3
    call("free", "tiny/five", "--keep-best", "1")
    number = str(worse.number)
    status, said = call("promote", "tiny", "--study", "five", "--trial", number)
    assert status == 2
    assert f"orchestrator free tiny/five --restore {number}" in said.err
    status, said = call("free", "tiny/five", "--restore", number)
    assert status == 0, said.err
    assert {path.relative_to(place): path.read_bytes() for path in place.rglob("*.safetensors")} == wanted
    again = records()["five"].trials[worse.number]
    assert (again.freed, again.outcome) == (False, worse.outcome)
    tags, weights = shown(folder, again)
    assert ("weights_freed" in tags, weights) == (False, True)
    status, _ = call("promote", "tiny", "--study", "five", "--trial", number)
    assert status == 0
    # a champion's weights stay, whatever its rank
    call("free", "tiny/five", "--keep-best", "1")
    assert worse.key in checkpoints(folder)
    status, said = call("free", "tiny/five", "--restore", number)
    assert status == 2
    assert "has no weights that were freed" in said.err


def test_a_trial_that_would_not_be_the_same_any_more_is_not_trained_again(folder, call, monkeypatch):
    call("free", "tiny/five", "--keep-best", "1")
    freed = next(trial for trial in records()["five"].trials if trial.freed)
    real = restoring.stored_spec
    monkeypatch.setattr(restoring, "stored_spec", lambda *about: replace(real(*about), code="of another program"))
    status, said = call("free", "tiny/five", "--restore", str(freed.number))
    assert status == 2
    assert "cannot be trained again to the same weights" in said.err


KILLED = """\
import os, shutil, signal, sys
from orchestrator import cli, restoring
from orchestrator.tracking import Tracker
from trainers.store import Store
from trainers.strategies import catalogue

def die(*arguments, **more):
    os.kill(os.getpid(), signal.SIGKILL)

real, calls = shutil.rmtree, 0

def dies_within(place, **more):
    global calls
    if str(place).endswith(".removed") and os.path.isfile(os.path.join(place, "checkpoint.json")):
        calls += 1
        if calls == 2:
            os.unlink(os.path.join(place, "checkpoint.json"))
            die()
    return real(place, **more)

if sys.argv[1] == "delete":
    shutil.rmtree = dies_within
else:
    Tracker.finish = die
sys.argv = ["orchestrator", "free", "tiny/five", "--keep-best", "1"]
cli.main()
"""


@pytest.mark.parametrize("where", ["delete", "show"])
def test_freeing_that_is_killed_leaves_nothing_half_deleted_and_is_ended_by_the_next_call(folder, call, root, where):
    words = [sys.executable, "-c", KILLED, where]
    died = subprocess.run(words, env={**os.environ, "PYTHONPATH": str(root)}, check=False, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    store = Store(folder / "mlruns/store")
    for key in store.keys("checkpoints"):
        names = {path.name for path in store.path("checkpoints", key).iterdir()}
        assert {"checkpoint.json", "history.json", "model.safetensors", "last.safetensors"} <= names
    call("free", "tiny/five", "--keep-best", "1")
    five = records()["five"]
    assert [trial.freed for trial in five.trials] == [trial.number != five.best.number for trial in five.trials]
    assert not list((folder / "mlruns/store/checkpoints").glob(".*.removed"))
    for trial in five.trials:
        assert shown(folder, trial)[1] != trial.freed


def test_a_campaign_that_says_so_frees_while_it_runs(tiny_campaign):
    tiny_campaign.rewrite("baseline: baseline\n", "baseline: baseline\nkeep: {best: 1}\n")
    tiny_campaign.rewrite("  decoding:\n    strategy: decoding\n", FIVE + "  decoding:\n    strategy: decoding\n")
    tiny_campaign.rewrite("    strategy: self_distillation\n", "    strategy: self_distillation\n    keep: all\n")
    campaign = tiny_campaign.read()
    assert campaign.keeping(campaign.studies) == {"baseline": 1, "five": 1, "decoding": 1}
    done, notes = run(campaign, tiny_campaign.home)
    found = {record.name: record for record in done}
    for name in ("baseline", "five"):
        study = found[name]
        assert [trial.freed for trial in study.trials] == [trial.number != study.best.number for trial in study.trials]
    assert len([text for (text,) in notes.of("note") if "weights freed, " in text]) == 1 + 3
    # what was decoded, taught or crowned has its weights
    assert not any(trial.freed for name in ("self_distillation", "decoding") for trial in found[name].trials)
    assert Champions(tiny_campaign.home, Tracker(tiny_campaign.home)).current("tiny")


def test_what_another_campaign_trained_to_the_same_key_stays(folder):
    text = (folder / "tiny.yaml").read_text(encoding="utf-8")
    (folder / "twin.yaml").write_text(text.replace("campaign: tiny", "campaign: twin"), encoding="utf-8")
    home = Home.here()
    run(read_campaign(folder / "twin.yaml", catalogue()), home, ["five"], workers=1, budget=2)
    tiny = read_campaign(folder / "tiny.yaml", catalogue())
    five = records()["five"]
    shared = {trial.key for trial in five.trials[:2]}
    Freeing(tiny, home, Sampling(home), Tracker(home)).free({"five": 1})
    assert shared <= checkpoints(folder)
    assert not any(trial.freed for trial in records()["five"].trials[:2])


def test_a_trial_whose_weights_are_gone_is_trained_and_not_taken_from_the_store(folder, call):
    """Another study asks for the same: it gets the result with its weights."""
    call("free", "tiny/five", "--keep-best", "1")
    text = (folder / "tiny.yaml").read_text(encoding="utf-8")
    (folder / "tiny.yaml").write_text(text.replace("  five:", "  six:"), encoding="utf-8")
    before = records()["five"]
    status, said = call("run", "tiny/six")
    assert status == 0, said.err
    six = records()["six"]
    assert [trial.dev_wer for trial in six.trials] == [trial.dev_wer for trial in before.trials]
    assert {trial.key for trial in six.trials} <= checkpoints(folder)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tiny"], "keeps the weights of all trials; say how many of the best to keep: --keep-best 3"),
        (["tiny/six", "--keep-best", "1"], "unknown study 'six'"),
        (["tiny", "--restore", "1"], "orchestrator free CAMPAIGN/STUDY --restore TRIAL"),
        (["tiny/five", "--restore", "9"], "five#9 has no weights that were freed; of this study: none"),
    ],
)
def test_a_call_that_says_too_little_is_told_what_to_say(folder, call, words, message):
    status, said = call("free", *words)
    assert status == 2
    assert message in said.err
