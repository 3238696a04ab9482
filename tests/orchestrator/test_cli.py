"""The command line as a user meets it: what it prints, what it refuses, and the status it ends with."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from mlflow import MlflowClient

from orchestrator import cli
from orchestrator.record import TrialState
from orchestrator.sampling import Sampling
from tests.orchestrator.running import COMMAND, shell

COMMANDS = cli.cli.list_commands(None)


def test_without_a_command_it_says_what_to_type_first(call):
    status, said = call()
    assert "orchestrator run an4" in said.out + said.err
    assert status in (0, 2)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_in_80_columns(call, name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    status, said = call(name, "--help")
    assert status == 0
    assert len(said.out.splitlines()) >= 5
    assert max(map(len, said.out.splitlines())) <= 80


def test_help_imports_none_of_the_heavy_libraries():
    code = (
        "import sys; sys.argv = ['orchestrator', '--help']\n"
        "from orchestrator.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'optuna', 'mlflow', 'pandas', 'numpy'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_an_unknown_campaign_is_refused_with_the_nearest_names(call, tiny_campaign):
    status, said = call("run", "an5")
    assert status == 2
    assert "no campaign 'an5'" in said.err
    assert "an4" in said.err


def test_an_unknown_study_is_refused_with_the_valid_ones(call, tiny_campaign):
    status, said = call("run", "tiny/baselin")
    assert status == 2
    assert "did you mean 'baseline'" in said.err
    assert "self_distillation" in said.err


BROKEN = {
    "not YAML": ("campaign: tiny", "campaign: [tiny", "is not YAML"),
    "unknown key": ("train: {epochs: 4", "train: {epoch: 4", "did you mean 'epochs'?"),
    "unknown strategy": (
        "strategy: self_distillation",
        "strategy: self_destillation",
        "did you mean 'self_distillation'?",
    ),
    "unknown sampler": (
        "    trials: 5",
        "    sampler: tpee\n    trials: 5",
        "'tpe', 'random', 'grid', 'gp' or 'cmaes'",
    ),
    "upside down": ("{float: [1e-2, 3e-2]}", "{float: [3e-2, 1e-2]}", "upside down"),
    "unknown need": ("needs: {teacher: baseline}", "needs: {teacher: basline}", "did you mean 'baseline'?"),
    "itself": ("needs: {teacher: baseline}", "needs: {teacher: self_distillation}", "itself"),
    "ignored": ("{train.lr: {float: [1e-2, 3e-2]}}", "{decoding.alpha: {float: [0, 1]}}", "has no effect"),
    "out of range": ("dropout: 0.1", "dropout: 1.5", "less than 1"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_campaign_is_refused_with_file_line_and_key(call, tiny_campaign, name):
    old, new, message = BROKEN[name]
    tiny_campaign.rewrite(old, new)
    status, said = call("run", "tiny")
    assert status == 2
    assert message in said.err
    assert "tiny.yaml" in said.err
    assert "line " in said.err
    assert "Traceback" not in said.err
    assert not (tiny_campaign.home.root / "optuna.db").exists()


def broken_manifests(tiny):
    lines = tiny.train.read_text(encoding="utf-8").splitlines()
    first = json.loads(lines[0])
    yield "not JSON", "{", "line 1: is not JSON"
    yield "no text", json.dumps({k: v for k, v in first.items() if k != "text"}), "text: is missing"
    yield "empty text", json.dumps(first | {"text": " "}), "is empty"
    yield "missing file", json.dumps(first | {"feature_filepath": "nowhere.npy"}), "no such file"
    yield "too long", json.dumps(first | {"text": "GO " * 99}), "needs"


@pytest.mark.parametrize("index", range(5))
def test_a_broken_manifest_is_refused_before_anything_starts(call, tiny_campaign, tiny, index):
    _, line, message = list(broken_manifests(tiny))[index]
    manifest = tiny.train.with_name(f"broken_{index}.jsonl")
    manifest.write_text("\n".join([line, *tiny.train.read_text(encoding="utf-8").splitlines()[1:]]), encoding="utf-8")
    tiny_campaign.rewrite(str(tiny.train), str(manifest))
    status, said = call("run", "tiny")
    assert status == 2
    assert message in said.err
    assert manifest.name in said.err
    assert "Traceback" not in said.err
    assert not (tiny_campaign.home.root / "optuna.db").exists()


def test_an_audio_file_that_is_none_is_named_with_its_line(call, tiny_campaign, tiny):
    folder = tiny_campaign.folder
    (folder / "noise.flac").write_bytes(os.urandom(500))
    entry = json.dumps({"audio_filepath": "noise.flac", "text": "GO"})
    (folder / "audio.jsonl").write_text(entry, encoding="utf-8")
    tiny_campaign.rewrite(str(tiny.train), str(folder / "audio.jsonl"))
    tiny_campaign.rewrite("kind: stored", "kind: logmel")
    status, said = call("run", "tiny")
    assert status == 2
    assert "line 1" in said.err
    assert "noise.flac cannot be read as audio" in said.err


def test_a_home_that_cannot_be_written_is_refused(call, tiny_campaign, monkeypatch):
    (tiny_campaign.folder / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tiny_campaign.folder / "file" / "mlruns"))
    status, said = call("run", "tiny")
    assert status == 2
    assert "ORCHESTRATOR_HOME" in said.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "tiny", "--timeout", "2x"], "90s, 30m, 2h or 1d"),
        (["run", "tiny", "--set", "train.epochs"], "KEY=VALUE"),
        (["run", "tiny", "--set", "train.epoch=3"], "did you mean 'epochs'"),
        (["run", "tiny", "--workers", "0"], "workers"),
        (["run", "tiny", "--device", "tpu"], "'auto', 'cpu', 'cuda'"),
        (["run", "tiny", "an4"], "one campaign at a time"),
        (["run"], "CAMPAIGN"),
        (["leaderboard", "tiny"], "has not been run here"),
        (["leaderboard", "tiny/baseline"], "compares the studies"),
        (["promote", "tiny", "--trial", "1"], "--trial needs --study"),
        (["promote", "tiny", "--undo"], "no earlier champion"),
        (["status", "nothing"], "no campaign 'nothing'"),
        (["plan", "tiny/nothing"], "unknown study"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_a_wrong_call_is_refused_with_what_would_be_right(call, tiny_campaign, words, message):
    status, said = call(*words)
    assert status == 2
    assert message.lower() in said.err.lower()
    assert "Traceback" not in said.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_is_not_there_is_refused_before_anything_starts(call, tiny_campaign, monkeypatch):
    monkeypatch.setenv("ORCHESTRATOR_DEVICE", "cpu")  # the call changes it
    status, said = call("run", "tiny", "--device", "cuda")
    assert status == 2
    assert "device cuda was asked for" in said.err
    assert not Sampling(tiny_campaign.home).records("tiny")


def test_listing_makes_no_store_where_there_is_none(call, tiny_campaign):
    for path in sorted(tiny_campaign.home.root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    tiny_campaign.home.root.rmdir()
    assert call("studies")[0] == 0
    assert call("status", "tiny")[0] == 0
    assert not tiny_campaign.home.root.exists()


def test_labels_of_dev_that_train_lacks_are_a_warning_with_counts(call, tiny_campaign, tiny, write_features):
    train = write_features(tiny_campaign.folder / "few.jsonl", ["GO STOP", "STOP GO GO", "GO"], seed=5)
    tiny_campaign.rewrite(str(tiny.train), str(train))
    status, said = call("run", "tiny/baseline", "--trials", "1", "--set", "train.epochs=1")
    assert status == 0
    assert "warning: 5 words of dev cannot be written" in said.out
    assert "NO (3)" in said.out


def test_a_campaign_from_plan_to_leaderboard(call, tiny_campaign):
    status, said = call("plan", "tiny", "--json")
    plan = json.loads(said.out)
    assert status == 0
    assert [(study["study"], study["fresh"]) for study in plan["studies"]] == [
        ("baseline", 2),
        ("self_distillation", 1),
        ("decoding", 5),
    ]
    assert plan["made"]
    assert not plan["cached"]
    assert not (tiny_campaign.home.root / "optuna.db").exists()

    status, said = call("run", "tiny", "--workers", "2")
    assert status == 0
    assert "orchestrator ui" in said.out

    status, said = call("plan", "tiny", "--json")
    plan = json.loads(said.out)
    assert [study["fresh"] + study["resumed"] for study in plan["studies"]] == [0, 0, 0]
    assert not plan["made"]

    status, said = call("status", "tiny", "--json")
    assert [(row["complete"], row["budget"]) for row in json.loads(said.out)] == [(2, 2), (1, 1), (5, 5)]

    status, said = call("leaderboard", "tiny", "--csv", "board.csv")
    rows = list(csv.DictReader((tiny_campaign.folder / "board.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["study"] for row in rows} == {"baseline", "self_distillation", "decoding"}
    for row in rows:
        errors = sum(int(row[name]) for name in ("substitutions", "deletions", "insertions"))
        assert float(row["dev_wer"]) == pytest.approx(100 * errors / int(row["reference_words"]), abs=0.01)
        assert row["verdict"] == ("baseline" if row["study"] == "baseline" else "not tested")
        assert "too few utterances to test on: 4, and 10 are needed" in row["remarks"] or row["study"] == "baseline"
        assert float(row["dev_low"]) <= float(row["dev_wer"]) <= float(row["dev_high"])
        assert float(row["cpu_hours_with_needs"]) >= float(row["cpu_hours"]) > 0

    status, said = call(
        "leaderboard", "tiny", "--markdown", "b.md", "--latex", "b.tex", "--filter", "strategy=decoding"
    )
    assert status == 0
    assert "b.md" in said.out
    assert "decoding" in said.out
    assert "self_distillation" not in (tiny_campaign.folder / "b.md").read_text(encoding="utf-8").splitlines()[4]
    assert r"\toprule" in (tiny_campaign.folder / "b.tex").read_text(encoding="utf-8")
    status, said = call("leaderboard", "tiny", "--json", "--sort", "-dev_wer", "--speakers")
    ranked = [row["dev_wer"] for row in json.loads(said.out)]
    assert ranked == sorted(ranked, reverse=True)
    assert {row["remarks"].split(":")[0] for row in json.loads(said.out)} >= {"too few speakers to test on"}
    status, said = call("leaderboard", "tiny", "--sort", "dev_wr")
    assert status == 2
    assert "did you mean 'dev_wer'" in said.err
    shutil.rmtree(tiny_campaign.home.store / "outcomes")
    status, said = call("leaderboard", "tiny", "--json")
    assert status == 0
    assert all(row["dev_low"] is None and "not in the store" in row["remarks"] for row in json.loads(said.out))

    for number in ("0", "1"):  # one of them at least is not champion already
        status, said = call("promote", "tiny", "--study", "baseline", "--trial", number)
        assert status == 0
        assert f"tiny/baseline#{number}" in said.out
    assert call("promote", "tiny", "--undo")[0] == 0


def test_ctrl_c_stops_within_seconds_and_the_same_command_goes_on(tiny_campaign):
    command = [COMMAND, "run", "tiny/baseline", "--workers", "2", "--set", "train.epochs=40"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        for line in process.stdout:
            if "epoch 2/" in line:
                trial = line.split()[1]
                break
        os.killpg(process.pid, signal.SIGINT)
        began = time.monotonic()
        process.stdout.read()
        assert process.wait(timeout=30) == 130
    assert time.monotonic() - began < 15  # five seconds on a machine that has nothing else to do
    (study,) = Sampling(tiny_campaign.home).records("tiny")
    assert study.count(TrialState.RUNNING) == 0
    client = MlflowClient(tiny_campaign.home.tracking_uri)
    assert not client.search_runs(["1"], "attributes.status = 'RUNNING'")

    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0
    assert f"{trial} epoch 40/40" in done.stdout
    assert f"{trial} epoch 2/40" not in done.stdout
    (study,) = Sampling(tiny_campaign.home).records("tiny")
    assert study.count(TrialState.COMPLETE) == 2


@pytest.mark.slow
def test_the_digits_campaign_runs_from_the_shell_to_a_csv(digits, tmp_path):
    board = tmp_path / "leaderboard.csv"
    assert shell("leaderboard", "digits", "--csv", str(board)).returncode == 0
    rows = {row["study"]: row for row in csv.DictReader(board.read_text(encoding="utf-8").splitlines())}
    assert set(rows) == {"baseline", "self_distillation", "decoding"}
    assert float(rows["baseline"]["dev_wer"]) < 30
    assert float(rows["decoding"]["dev_wer"]) <= float(rows["self_distillation"]["dev_wer"])
    assert rows["baseline"]["verdict"] == "baseline"
    for name in ("self_distillation", "decoding"):
        assert rows[name]["verdict"] in ("better", "worse", "tie")
        assert float(rows[name]["difference_low"]) <= float(rows[name]["difference"]) + 1e-9
        assert 0 <= float(rows[name]["p"]) <= float(rows[name]["p_adjusted"]) <= 1
        assert float(rows[name]["cpu_hours_with_needs"]) > float(rows[name]["cpu_hours"])
    began = time.monotonic()
    again = shell("run", "digits", "--workers", "2")
    assert again.returncode == 0
    assert "started" not in again.stdout
    assert time.monotonic() - began < 120
