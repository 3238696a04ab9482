from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.home import Home
from search_spaces.reading import read_campaign
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
