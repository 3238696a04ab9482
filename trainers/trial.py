"""A trial at hand: its settings, its data, and whom it reports to."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from search_spaces.axes.features import FeatureSettings
from search_spaces.axes.settings import Settings, overlay
from search_spaces.errors import SealedError
from trainers.data.manifest import read_manifest
from trainers.data.parting import Part, transcripts
from trainers.data.sealed import SealedSet
from trainers.data.sets import UtteranceSet, load_set
from trainers.decoding.language_model import LanguageModelFiles, build_language_model
from trainers.scoring.references import References
from trainers.scoring.scorer import find_scorer
from trainers.spec import DecodingReport, EpochReport, Ingredient, TrialSpec
from trainers.store import Store

Report = Callable[[EpochReport], bool]
Tell = Callable[[DecodingReport], None]
Texts = Callable[[Path], Mapping[str, str]]
Split = Literal["train", "dev", "test"]
"""A set whose recordings a trial may hear; of the test set it hears nothing before the campaign is finalized."""
Labelled = Literal["train", "dev"]
"""A set whose transcripts a trial may read."""


def read_texts(manifest: Path) -> dict[str, str]:
    """What is said in a set, by the utterances' ids."""
    return {utterance.id: utterance.text for utterance in read_manifest(manifest)}


class Trial:
    """What a strategy works with.

    Args:
        spec: What is asked.
        settings: The spec's settings, checked.
        store: Where artifacts come from and go to.
        report: Told every epoch; False asks the trial to stop because it is losing.
        test: The test set; None as long as the campaign is not finalized.
        tell: Told the parts of a set that takes long to decode.
        texts: Reads the transcripts of a set; trials that run together have one that reads each set once.
    """

    def __init__(
        self,
        spec: TrialSpec,
        settings: Settings,
        store: Store,
        report: Report,
        test: SealedSet | None = None,
        tell: Tell = lambda report: None,
        texts: Texts = read_texts,
    ) -> None:
        self.spec = spec
        self.settings = settings
        self.store = store
        self.report = report
        self.test = test
        self.tell = tell
        self._texts = texts

    @cached_property
    def train(self) -> UtteranceSet:
        """The training set, read when it is first asked for."""
        return self.load("train", self.settings.features)

    @cached_property
    def dev(self) -> UtteranceSet:
        """The set that selects, read when it is first asked for."""
        return self.load("dev", self.settings.features)

    @cached_property
    def language_model(self) -> LanguageModelFiles | None:
        """The campaign's language model, estimated when it is first asked for; None where the campaign has none."""
        settings = self.settings.language_model
        if settings is None:
            return None
        return build_language_model(self.store, settings, self.spec.train, self.spec.data.get("train", ""))

    @cached_property
    def tuned_by(self) -> References:
        """Transcripts of dev by which the trial chooses, and is chosen; features are not read."""
        return self._references("tuning")

    @cached_property
    def judged_by(self) -> References:
        """Transcripts of the part of dev that judges the trial, like `tuned_by`; none where dev is not parted."""
        return self._references("selection")

    def derive(self, values: Mapping[str, Any], needs: Mapping[str, tuple[Ingredient, ...]], report: Report) -> "Trial":
        """A trial like this one, of which a strategy makes several.

        Its checkpoint has a key of its own, the same as if a study had asked for it.

        Args:
            values: Settings that are its own, by dotted names.
            needs: Ingredients that are its own.
            report: Told its epochs.
        """
        spec = replace(self.spec, settings=overlay(self.spec.settings, values), needs={**self.spec.needs, **needs})
        settings = type(self.settings).model_validate(overlay(self.settings.model_dump(), values))
        return Trial(spec, settings, self.store, report, texts=self._texts)

    def ids(self, split: Split) -> tuple[str, ...]:
        """The utterances of a split; their features are not read.

        Raises:
            SealedError: The test set is asked for before the campaign is finalized.
        """
        found = self._opened().recordings if split == "test" else read_manifest(self._manifest(split))
        return tuple(utterance.id for utterance in found)

    def load(self, split: Split, features: FeatureSettings) -> UtteranceSet:
        """A split with features of another kind than the trial's own: those that some checkpoint reads.

        Utterances of the test set have no text.

        Raises:
            SealedError: The test set is asked for before the campaign is finalized.
        """
        if split == "test":
            return self._opened().load(self.store, features)
        return load_set(self.store, self._manifest(split), features, content=self.spec.data.get(split, ""))

    @property
    def said(self) -> Mapping[str, str]:
        """Transcripts of all of dev by utterance, for the record; what chooses or judges has `References`."""
        return self._texts(self.spec.dev)

    def _references(self, part: Part) -> References:
        return References(transcripts(self.said, self.spec.tuning, part), find_scorer(self.spec.scorer))

    def _opened(self) -> SealedSet:
        if self.test is None:
            raise SealedError("the test set is heard when the campaign is finalized, and not before")
        return self.test

    def _manifest(self, split: Labelled) -> Path:
        return self.spec.train if split == "train" else self.spec.dev
