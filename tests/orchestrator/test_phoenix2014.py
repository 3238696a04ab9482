"""The full-size campaign, on a made corpus of the same shape, by the command line."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from search_spaces.finding import SHIPPED
from search_spaces.reading import read_campaign

COMMAND = Path(sys.executable).with_name("orchestrator")
FILE = SHIPPED / "phoenix2014.yaml"
SPLITS = ("train", "dev", "test")

# smaller networks and fewer epochs, on batches of the size of the made corpus; all else is the campaign's own
SMALL = {
    "train.epochs": 12,
    "train.batch_frames": 200,
    "model.layers": 1,
    "model.hidden": 32,
    "studies.baseline.enqueue": "[{train.lr: 4e-3, model.dropout: 0.1}]",
    "studies.large_teacher.fixed": "{model.layers: 2, model.hidden: 48}",
    "studies.large_teacher.enqueue": "[{train.lr: 2e-3, model.dropout: 0.2}]",
    "studies.cr_ctc.fixed": "{train.epochs: 10}",
    "studies.members.enqueue": "[{train.seed: 11, train.lr: 2e-3, model.dropout: 0.2}]",
}


@pytest.fixture
def command(tmp_path):
    """Run a command in the temporary folder."""
    hidden = ("ORCHESTRATOR_HOME", "ORCHESTRATOR_STORAGE", "MLFLOW_TRACKING_URI")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}

    def run(*words):
        return subprocess.run([COMMAND, *words], cwd=tmp_path, env=environment, capture_output=True, text=True)

    return run


@pytest.fixture
def corpus(tmp_path, phoenix_folder):
    """The made corpus where the campaign looks for the real one."""
    (tmp_path / "data").symlink_to(phoenix_folder / "data")
    return tmp_path / "data/phoenix2014"


def test_without_the_corpus_its_files_are_named_and_how_a_stand_in_is_made(command):
    for words in (["run", "phoenix2014"], ["plan", "phoenix2014"]):
        done = command(*words)
        assert done.returncode == 2
        assert all(f"no such file: data/phoenix2014/{split}.corpus.csv" in done.stderr for split in SPLITS)
        assert done.stderr.count("scripts/make_tiny_phoenix data/phoenix2014") == 1
        assert "Traceback" not in done.stderr


def test_its_studies_are_listed_without_the_corpus_and_planned_with_it(command, corpus):
    names = list(read_campaign(FILE).studies)
    plan = json.loads(command("plan", "phoenix2014", "--json").stdout)
    assert [study["study"] for study in plan["studies"]] == names
    assert all(study["fresh"] for study in plan["studies"])
    assert "3-gram language model" in plan["made"]
    corpus.parent.unlink()
    listed = json.loads(command("studies", "--json").stdout)
    assert [row["study"] for row in listed if row["campaign"] == "phoenix2014"] == names


@pytest.mark.slow
def test_every_study_of_it_ends_with_a_result_on_the_made_corpus(command, corpus):
    changes = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]
    done = command("run", "phoenix2014", "--workers", "2", "--trials", "1", *changes)
    assert done.returncode == 0, done.stderr
    studies = read_campaign(FILE).studies
    records = json.loads(command("status", "phoenix2014", "--json").stdout)
    assert [record["study"] for record in records] == list(studies)
    assert all(record["complete"] for record in records)
    assert command("leaderboard", "phoenix2014", "--csv", "board.csv").returncode == 0
    board = (corpus.parents[1] / "board.csv").read_text(encoding="utf-8")
    rows = {row["study"]: row for row in csv.DictReader(board.splitlines())}
    assert set(rows) == set(studies)
    # nothing but blank, or but __ON__ and __OFF__, would be 47 % or more
    assert float(rows["baseline"]["dev_wer"]) < 40
