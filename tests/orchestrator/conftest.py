import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from orchestrator import cli
from orchestrator.home import Home
from search_spaces.reading import read_campaign
from tests.orchestrator.running import run, shell, working_in
from trainers.strategies import catalogue

CAMPAIGN = """\
campaign: tiny
data: {{train: {train}, dev: {dev}}}
units: word
features: {{kind: stored, normalise: none}}
model: {{encoder: bilstm, layers: 1, hidden: 16, dropout: 0.1}}
language_model: {{text: {text}, order: 2, discount_fallback: true}}
train: {{epochs: 4, lr: 2e-2, batch_frames: 200, time_masks: 0, feature_masks: 0}}
baseline: baseline

studies:
  baseline:
    strategy: baseline
    trials: 2
    space: {{train.lr: {{float: [1e-2, 3e-2]}}}}
    enqueue: [{{train.lr: 2e-2}}]
  self_distillation:
    strategy: self_distillation
    needs: {{teacher: baseline}}
    inherit: baseline
    space: {{distillation.alpha: {{choice: [0.5]}}}}
    trials: 1
  decoding:
    strategy: decoding
    needs: {{posteriors: [baseline, self_distillation]}}
    trials: 5
    space: {{decoding.alpha: {{float: [0.0, 1.0]}}, decoding.beta: {{float: [0.0, 2.0]}}}}
"""


HELD_OUT = ("GO STOP", "NO YES NO", "STOP", "YES GO")
"""What is said in the test set."""


@dataclass(frozen=True)
class TinyCampaign:
    """A campaign over the tiny data, in a folder of its own that is the working folder."""

    folder: Path
    file: Path
    home: Home

    def read(self):
        return read_campaign(self.file, catalogue())

    def rewrite(self, old, new):
        text = self.file.read_text(encoding="utf-8")
        assert old in text
        self.file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "mlruns"))
    for name in ("ORCHESTRATOR_STORAGE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return Home.here()


@pytest.fixture(scope="session")
def make_tiny_campaign(tiny):
    def make(folder):
        text = folder / "text.txt"
        text.write_text("GO STOP\nYES NO\nGO\nNO NO STOP\nYES\n", encoding="utf-8")
        file = folder / "tiny.yaml"
        file.write_text(CAMPAIGN.format(train=tiny.train, dev=tiny.dev, text=text), encoding="utf-8")
        return TinyCampaign(folder, file, Home.here())

    return make


@pytest.fixture
def tiny_campaign(tmp_path, home, make_tiny_campaign, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return make_tiny_campaign(tmp_path)


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a command in this process; its status and what it printed."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["orchestrator", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0, capsys.readouterr()

    return run


@pytest.fixture(scope="session")
def ended(tmp_path_factory, make_tiny_campaign, write_features):
    """A folder in which a campaign with a test set has run to its end; a module may have one of its own."""
    folder = tmp_path_factory.mktemp("ended")
    test = write_features(folder / "held_out/test.jsonl", HELD_OUT, seed=11)
    with working_in(folder):
        tiny = make_tiny_campaign(folder)
        tiny.rewrite("}\nunits", f", test: {test}}}\nunits")
        tiny.rewrite("epochs: 4", "epochs: 12")
        run(tiny.read(), tiny.home)
    return folder


@pytest.fixture
def folder(ended, tmp_path, monkeypatch):
    """A copy of that folder, which is the working folder and holds the home; links within it stay links."""
    here = tmp_path / "here"
    subprocess.run(["cp", "-a", ended, here], check=True)
    text = (here / "tiny.yaml").read_text(encoding="utf-8")
    (here / "tiny.yaml").write_text(text.replace(str(ended), str(here)), encoding="utf-8")
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(here / "mlruns"))
    monkeypatch.chdir(here)
    return here


@pytest.fixture(scope="session")
def ran_digits(tmp_path_factory, worker_id):
    """A home in which the campaign digits has run from the shell: once for all processes of the tests, and copied."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "digits"
    with FileLock(f"{folder}.lock"):
        if not (folder / "ran").exists():
            folder.mkdir(exist_ok=True)
            with working_in(folder):
                done = shell("run", "digits", "--workers", "2")
            assert done.returncode == 0, done.stdout + done.stderr
            (folder / "ran").touch()
    return folder / "mlruns"


@pytest.fixture
def digits(ran_digits, tmp_path, monkeypatch):
    """A copy of that home, in the working folder."""
    subprocess.run(["cp", "-a", ran_digits, tmp_path], check=True)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "mlruns"))
    monkeypatch.chdir(tmp_path)
