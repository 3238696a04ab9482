"""Reading a set of utterances, in whichever format it is given, and the key of its content."""

from pathlib import Path

from search_spaces.sealing import refuse_sealed
from trainers.artifacts import Utterance
from trainers.data.matrices import digest_matrices
from trainers.data.readers import find_reader, readers
from trainers.store import digest, digest_files


def read_manifest(path: Path) -> tuple[Utterance, ...]:
    """Read a set: a manifest of JSON lines, a corpus file, a data directory; `trainers.data.readers` has them all.

    Raises:
        DataError: With every line that is no utterance and why, or with the formats there are.
        SealedError: It is the test set of a campaign.
    """
    refuse_sealed(path)
    return find_reader(path).read(path)


def is_set(path: Path) -> bool:
    """Whether a file or folder that exists is meant to be a set, its mistakes aside."""
    return any(reader.recognises(path) for reader in readers())


def fingerprint(utterances: tuple[Utterance, ...]) -> str:
    """A key for a set's content: recordings, transcripts and speakers, wherever the files lie."""
    lines = [(utterance.id, utterance.text, utterance.speaker) for utterance in utterances]
    if any(utterance.offset is not None for utterance in utterances):
        return digest([lines, digest_matrices(utterances)])
    return digest([lines, digest_files(utterance.source for utterance in utterances)])


def recording_key(utterance: Utterance) -> str:
    """A key of a recording alone, whatever its id and wherever it lies."""
    bare = Utterance("", "", utterance.source, utterance.kind, offset=utterance.offset)
    return fingerprint((bare,))
