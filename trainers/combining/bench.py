"""A pool and its decoders in memory, for all trials over it."""

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType

from search_spaces.axes.decoding import DecodingSettings
from search_spaces.axes.settings import Settings
from search_spaces.errors import FusionError
from trainers.artifacts import Hypothesis, Posteriors
from trainers.checkpoint import Checkpoint, load_checkpoint
from trainers.combining.averaged_checkpoint import average_epochs
from trainers.combining.choosing import ranked
from trainers.combining.combination import Combination, combine
from trainers.combining.members import Member
from trainers.combining.proposals import Proposals
from trainers.combining.report import Part
from trainers.combining.rule import FusionRule, WeightRule
from trainers.combining.settings import EnsembleSettings, point_of
from trainers.data.labels import Alphabet
from trainers.decoding.adjust import adjust_set
from trainers.decoding.greedy import greedy_set
from trainers.decoding.language_model import LanguageModelFiles
from trainers.decoding.searching import Search
from trainers.scoring.references import References
from trainers.source import CheckpointSource, Source, open_source
from trainers.trial import Split, Trial

SEARCH_SETTINGS = (
    "method",
    "alpha",
    "beta",
    "beam_width",
    "token_min_logp",
    "beam_prune_logp",
    "unknown_offset",
    "temperature",
    "blank_bias",
)
"""Settings of decoding that an ensemble listens to."""


class Bench:
    """The members of a pool over one split. Use it as a context manager, since it holds language models in memory.

    Args:
        trial: A trial; of its settings only what all trials over the bench have in common is read.
        split: Which split.
        titles: Members to open; None opens the whole pool.
        language_model: Key of a language model in the store; None takes the trial's own.

    Attributes:
        sources: Where the members' posteriors come from, by name.

    Raises:
        FusionError: The pool is empty.
        UserError: A member cannot be read, or says nothing of this split.
    """

    def __init__(
        self, trial: Trial, split: Split, titles: Sequence[str] | None = None, language_model: str | None = None
    ) -> None:
        self._trial = trial
        self._split = split
        chosen = [one for one in trial.spec.needs["pool"] if titles is None or one.title in titles]
        if not chosen:
            raise FusionError(["the pool is empty"])
        self.sources = {one.title: open_source(trial, one) for one in chosen}
        decoding = trial.settings.decoding
        self._files: LanguageModelFiles | None = None
        if decoding.method == "beam":
            stored = language_model and LanguageModelFiles(
                trial.store.path("language_models", language_model), language_model
            )
            self._files = stored or trial.language_model
        self._members: dict[str, Member] = {}
        for name, source in self.sources.items():
            key, frames = source.posteriors(split)
            member = Member(name, adjust_set(frames, decoding), source.alphabet, frame_seconds=source.frame_seconds)
            self._members[key] = member
        self._ids = next(iter(self._members.values())).posteriors.ids
        self._proposals = Proposals(trial.store, decoding, self._files)
        self._open = ExitStack()
        self._searches: dict[Alphabet, Search] = {}
        self._ranks: list[int] = []

    def __enter__(self) -> "Bench":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    @property
    def language_model_key(self) -> str:
        """Key of the language model; empty without one."""
        return self._files.key if self._files else ""

    def part(self, name: str, weight: float) -> Part:
        """A member that counts, for the record."""
        source = self.sources[name]
        return Part(name, weight, source.key, source.is_network)

    def title(self, settings: Settings) -> str:
        """The decoder in words."""
        model = settings.language_model
        if settings.decoding.method == "greedy" or model is None:
            return "greedy"
        return f"beam {settings.decoding.beam_width}, {model.title}"

    def combination(self, rule: FusionRule, settings: Settings) -> Combination:
        """The pool under a rule of hypotheses or posteriors, and the decoder of a trial."""
        count = settings.section("ensemble", EnsembleSettings).n_best
        return combine(
            list(self._members.values()),
            rule,
            self._ids,
            point_of(settings.decoding),
            lambda: self._proposals.table(self._members, count),
            lambda alphabet, posteriors: self._decode(alphabet, posteriors, settings.decoding),
        )

    def ranks(self, combination: Combination, references: References) -> list[int]:
        """Members by their greedy word errors, the best first, which no point of a search changes."""
        if not self._ranks:
            found = [greedy_set(member.posteriors, member.alphabet) for member in combination.members]
            self._ranks = ranked([references.score(each).errors for each in found])
        return self._ranks

    def average(self, name: str, rule: WeightRule, references: References) -> tuple[str, Checkpoint]:
        """The mean of a member's kept epochs as a checkpoint in the store: its key, and the checkpoint.

        Raises:
            FusionError: It kept none, or has no network.
        """
        source = self.sources[name]
        if not isinstance(source, CheckpointSource):
            raise FusionError([f"{name} has no network whose weights could be averaged"])
        features = self._trial.load(self._split, source.checkpoint.features).features
        return average_epochs(self._trial.store, name, source.checkpoint, rule, features, references)

    def decode_member(self, name: str, decoding: DecodingSettings) -> list[Hypothesis]:
        """What the decoder finds in a member's posteriors."""
        member = next(one for one in self._members.values() if one.name == name)
        return self._decode(member.alphabet, member.posteriors, decoding)

    def decode_checkpoint(self, key: str, decoding: DecodingSettings) -> tuple[Source, list[Hypothesis]]:
        """What the decoder finds in the posteriors of a checkpoint in the store."""
        checkpoint = load_checkpoint(self._trial.store.path("checkpoints", key))
        source = CheckpointSource(self._trial, key, checkpoint)
        frames = adjust_set(source.posteriors(self._split)[1], decoding)
        return source, self._decode(source.alphabet, frames, decoding)

    def _decode(self, alphabet: Alphabet, posteriors: Posteriors, decoding: DecodingSettings) -> list[Hypothesis]:
        if decoding.method == "greedy":
            return greedy_set(posteriors, alphabet)
        if alphabet not in self._searches:
            self._searches[alphabet] = self._open.enter_context(Search(alphabet, self._files))
        (found,) = self._searches[alphabet].decode(posteriors, [decoding])
        return found
