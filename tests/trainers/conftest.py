from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import BaseModel

from search_spaces.axes.features import FeatureSettings
from search_spaces.axes.settings import overlay
from trainers.artifacts import Score
from trainers.data.labels import Alphabet
from trainers.data.sets import Corpus, encode_targets, load_set
from trainers.pipeline import resolve_settings, run_trial
from trainers.scoring.references import References
from trainers.spec import Ingredient, TrialOutcome, TrialSpec
from trainers.store import Store
from trainers.strategies import catalogue
from trainers.trial import Trial

STORED = FeatureSettings(kind="stored", normalise="utterance")


@pytest.fixture(scope="session")
def make_spec(tiny, an4_text):
    """A spec of a trial over the tiny data, with the sections of settings that its strategy uses, as a campaign has."""
    tree = {
        "units": "word",
        "features": STORED.model_dump(),
        "model": {"encoder": "conv", "layers": 1, "hidden": 16, "dropout": 0.1},
        "train": {"epochs": 4, "lr": 0.03, "batch_frames": 120, "feature_mask_width": 1},
        "language_model": {"text": str(an4_text), "order": 2},
    }

    def maker(strategy="baseline", values=None, needs=None, **about):
        schema = catalogue()[strategy]
        settings = resolve_settings(overlay(overlay(tree, schema.fixed), values or {}))
        used = schema.uses or dict.fromkeys(axis.split(".")[0] for axis in schema.axes)
        sections = {name: getattr(settings, name) for name in used}
        about = {"campaign": "tiny", "study": strategy, "number": 0, "data": {"train": "t", "dev": "d"}, **about}
        return TrialSpec(
            strategy=strategy,
            settings={
                name: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
                for name, value in sections.items()
            },
            train=tiny.train,
            dev=tiny.dev,
            needs=needs or {},
            **about,
        )

    return maker


@dataclass(frozen=True)
class Trained:
    """A baseline that has learnt the tiny data."""

    spec: TrialSpec
    store: Store
    outcome: TrialOutcome
    folder: Path

    @property
    def score(self) -> Score:
        return self.outcome.score

    @property
    def ingredient(self) -> Ingredient:
        """What another trial takes from it."""
        return Ingredient("baseline", self.folder, self.outcome.checkpoint, 0)


@pytest.fixture(scope="session")
def trained(make_spec, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("trained"))
    spec = make_spec(values={"train.epochs": 12})
    outcome = run_trial(spec, store, lambda report: True)
    return Trained(spec, store, outcome, store.path("checkpoints", outcome.checkpoint))


@pytest.fixture(scope="session")
def at_hand():
    """A trial of a spec, that nobody has asked to run."""
    return lambda spec, store: Trial(spec, resolve_settings(dict(spec.settings)), store, lambda report: True)


@pytest.fixture(scope="session")
def needs_of(trained):
    """What every need of a strategy is served with."""

    def serve(strategy):
        return {need.name: (trained.ingredient,) for need in catalogue()[strategy].needs}

    return serve


@pytest.fixture
def corpus(store, tiny):
    """The tiny data, ready for the loop; the network must not subsample."""
    train, dev = (load_set(store, manifest, STORED) for manifest in (tiny.train, tiny.dev))
    alphabet = Alphabet.of("word", train.references)
    said = References({one.id: one.text for one in dev.utterances})
    return Corpus(train, encode_targets(train, alphabet, lambda lengths: lengths), dev, alphabet, said)
