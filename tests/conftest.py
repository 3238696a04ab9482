import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["ORCHESTRATOR_DEVICE"] = "cpu"  # where bits are compared; tests marked gpu choose for themselves

import hypothesis
import numpy as np
import pytest
import torch

from search_spaces.axes.decoding import LanguageModelSettings
from trainers.artifacts import Posteriors
from trainers.data.labels import WORD_START, Alphabet
from trainers.decoding.language_model import build_language_model
from trainers.store import Store

# more threads than one slow each other down on a busy machine, and sums differ in their last digit
torch.set_num_threads(1)

# how long an example takes says nothing on a busy machine
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")

WORDS = ("GO", "STOP", "YES", "NO")
DIMENSIONS = 6


def manifest(path, entries):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return path


def feature_set(path, sentences, seed=0, speakers=("anna", "ben")):
    """A manifest of stored features: 8 noisy frames a word, each word a direction of its own, 4 of noise between."""
    rng = np.random.default_rng(seed)
    entries = []
    for number, text in enumerate(sentences):
        shape = np.zeros((4, DIMENSIONS))
        parts = [shape]
        for word in text.split():
            parts += [np.tile(3 * np.eye(DIMENSIONS)[WORDS.index(word)], (8, 1)), shape]
        frames = np.concatenate(parts) + 0.3 * rng.standard_normal((sum(map(len, parts)), DIMENSIONS))
        name = f"features/{path.stem}_{number}.npy"
        (path.parent / "features").mkdir(parents=True, exist_ok=True)
        np.save(path.parent / name, frames.astype(np.float32))
        entries.append({"feature_filepath": name, "text": text, "speaker": speakers[number % len(speakers)]})
    return manifest(path, entries)


@dataclass(frozen=True)
class TinyData:
    """Two manifests of stored features that a small network learns in seconds."""

    folder: Path
    train: Path
    dev: Path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    rng = np.random.default_rng(7)
    train = [" ".join(rng.choice(WORDS, rng.integers(1, 4))) for _ in range(12)]
    dev = ["STOP NO", "YES", "NO NO STOP", "GO YES"]  # not in the order of their lengths
    return TinyData(
        folder, feature_set(folder / "train.jsonl", train, seed=1), feature_set(folder / "dev.jsonl", dev, seed=2)
    )


@pytest.fixture(scope="session")
def root():
    """The repository."""
    return Path(__file__).parent.parent


@pytest.fixture(scope="session")
def phoenix_folder(tmp_path_factory, root):
    """A folder that holds ``data/phoenix2014``, a made corpus of the shape of the real one."""
    folder = tmp_path_factory.mktemp("phoenix")
    script = root / "scripts/make_tiny_phoenix"
    subprocess.run([sys.executable, script, folder / "data/phoenix2014"], check=True)
    return folder


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def write_manifest():
    return manifest


@pytest.fixture(scope="session")
def write_features():
    return feature_set


@pytest.fixture(scope="session")
def an4_text(root):
    return root / "data/an4/lm/train_text.txt"


@pytest.fixture(scope="session")
def an4_model(tmp_path_factory, an4_text):
    """Word 3-grams of AN4's training transcripts."""
    store = Store(tmp_path_factory.mktemp("models"))
    return build_language_model(store, LanguageModelSettings(text=an4_text, order=3))


@pytest.fixture(scope="session")
def an4_fourgram(tmp_path_factory, an4_text):
    """Word 4-grams of the same transcripts."""
    store = Store(tmp_path_factory.mktemp("four"))
    return build_language_model(store, LanguageModelSettings(text=an4_text, order=4))


@pytest.fixture(scope="session")
def an4_posteriors(root):
    """What a recogniser of AN4 says of the dev set: posteriors, what their columns are, and the references."""

    def read(name, units):
        with np.load(root / f"tests/data/an4_posteriors/{name}_dev.npz") as stored:
            mark = WORD_START if units == "word" else ""
            labels = ("", *(mark + str(label) for label in stored["labels"][1:]))
            offsets = np.concatenate([[0], np.cumsum(stored["lengths"])]).astype(np.int64)
            ids = tuple(map(str, range(len(offsets) - 1)))
            posteriors = Posteriors(ids, stored["log_probs"].astype(np.float32), offsets, labels)
            return posteriors, Alphabet(units, labels), [str(text) for text in stored["references"]]

    return read
