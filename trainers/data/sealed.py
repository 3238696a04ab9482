"""A test set: recordings that may be heard at any time, and transcripts that come out only once a look is noted.

No other module reads the text of a test set. What others need to know of it, whether a set shares recordings with it or
a text its sentences, is answered here in numbers.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import cached_property

from search_spaces.axes.features import FeatureSettings
from search_spaces.errors import SealedError
from search_spaces.sealing import SealedFile
from trainers.artifacts import Utterance
from trainers.data.features import Progress, pack
from trainers.data.manifest import fingerprint, recording_key
from trainers.data.readers import find_reader
from trainers.data.sets import UtteranceSet
from trainers.ledger import Ledger
from trainers.store import Store, digest


class SealedSet:
    """A test set.

    Args:
        file: Where it lies.

    Raises:
        DataError: With every line that is no utterance and why.
    """

    def __init__(self, file: SealedFile) -> None:
        self._file = file
        self.recordings = tuple(replace(utterance, text="") for utterance in self._read())

    def __len__(self) -> int:
        return len(self.recordings)

    def __str__(self) -> str:
        return str(self._file)

    @cached_property
    def key(self) -> str:
        """Key of its content: the recordings and what is said in each, in whatever order and format."""
        return digest(sorted([recording_key(utterance), utterance.text] for utterance in self._read()))

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self._read())

    def load(
        self, store: Store, settings: FeatureSettings, progress: Progress = lambda done, total: None
    ) -> UtteranceSet:
        """The recordings and their features, without transcripts.

        Args:
            store: Where features are kept.
            settings: Which features.
            progress: Called with the utterances done and all of them while features are computed.

        Raises:
            DataError: With every file that cannot be used and why.
        """
        manifest = self._file.sealed_place
        packed = pack(store, manifest, self.recordings, settings, progress, self._fingerprint)
        return UtteranceSet(manifest, self.recordings, packed)

    def shared(self, utterances: Sequence[Utterance]) -> int:
        """How many utterances are recordings of this set, whatever they are called; only those of equal text are read."""
        ours = self._read()
        texts = {utterance.text for utterance in ours}
        candidates = [utterance for utterance in utterances if utterance.text in texts]
        wanted = {utterance.text for utterance in candidates}
        known = {recording_key(utterance) for utterance in ours if utterance.text in wanted}
        return sum(recording_key(utterance) in known for utterance in candidates)

    def sentences_among(self, lines: Iterable[str]) -> tuple[int, int]:
        """How many different sentences of this set are among lines of text, and how many it has."""
        sentences = {utterance.text for utterance in self._read()}
        return len(sentences & {" ".join(line.split()) for line in lines}), len(sentences)

    def open(self, ledger: Ledger, systems: Collection[str]) -> dict[str, str]:
        """The transcripts by the utterance's id.

        Args:
            ledger: Must know of a look at this set of each of the systems.
            systems: Keys of those that will be scored.

        Raises:
            SealedError: It does not.
        """
        noted = {look.submission.system for look in ledger.looks(self.key)}
        if not systems or not noted.issuperset(systems):
            raise SealedError(f"{self} is sealed: no look at it is noted; open it with: orchestrator finalize CAMPAIGN")
        return {utterance.id: utterance.text for utterance in self._read()}

    def _read(self) -> tuple[Utterance, ...]:
        place = self._file.sealed_place
        return find_reader(place).read(place)
