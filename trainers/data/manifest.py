"""Reading a set of utterances, in whichever format it is given, and the key of its content."""

from pathlib import Path

from search_spaces.errors import DataError, Mistake
from trainers.artifacts import Utterance
from trainers.data.matrices import digest_matrices
from trainers.data.readers import readers
from trainers.store import digest, digest_files


def read_manifest(path: Path) -> tuple[Utterance, ...]:
    """Read a set: a manifest of JSON lines, a corpus file, a data directory; `trainers.data.readers` has them all.

    Raises:
        DataError: With every line that is no utterance and why, or with the formats there are.
    """
    if not path.exists():
        raise DataError(path, [Mistake(0, "", "cannot be read: No such file or directory")])
    for reader in readers():
        if reader.recognises(path):
            return reader.read(path)
    formats = "; ".join(reader.FORMAT for reader in readers())
    raise DataError(path, [Mistake(0, "", f"is of no format that can be read: {formats}")])


def fingerprint(utterances: tuple[Utterance, ...]) -> str:
    """A key for a set's content: recordings, transcripts and speakers, wherever the files lie."""
    lines = [(utterance.id, utterance.text, utterance.speaker) for utterance in utterances]
    if any(utterance.offset is not None for utterance in utterances):
        return digest([lines, digest_matrices(utterances)])
    return digest([lines, digest_files(utterance.source for utterance in utterances)])
