"""A trial at hand: its settings, its data, and whom it reports to."""

from collections.abc import Callable
from functools import cached_property
from typing import Literal

from search_spaces.axes.features import FeatureSettings
from search_spaces.axes.settings import Settings
from trainers.data.sets import UtteranceSet, load_set
from trainers.spec import EpochReport, TrialSpec
from trainers.store import Store

Report = Callable[[EpochReport], bool]


class Trial:
    """What a strategy works with.

    Args:
        spec: What is asked.
        settings: The spec's settings, checked.
        store: Where artifacts come from and go to.
        report: Told every epoch; False asks the trial to stop because it is losing.
    """

    def __init__(self, spec: TrialSpec, settings: Settings, store: Store, report: Report) -> None:
        self.spec = spec
        self.settings = settings
        self.store = store
        self.report = report

    @cached_property
    def train(self) -> UtteranceSet:
        """The training set, read when it is first asked for."""
        return self.load("train", self.settings.features)

    @cached_property
    def dev(self) -> UtteranceSet:
        """The set that selects, read when it is first asked for."""
        return self.load("dev", self.settings.features)

    def load(self, split: Literal["train", "dev"], features: FeatureSettings) -> UtteranceSet:
        """A split with features of another kind than the trial's own: those that some checkpoint reads."""
        manifest = self.spec.train if split == "train" else self.spec.dev
        return load_set(self.store, manifest, features, content=self.spec.data.get(split, ""))
