"""What was said, by utterance: from trn, from stm, or from a set as campaigns name them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.overlap import refuse_test_set, suspicions
from search_spaces.errors import DataError, Mistake, UserError
from search_spaces.sealing import refuse_sealed
from trainers.data.lines import repeated
from trainers.data.manifest import read_manifest
from trainers.scoring.transcripts import Segment, read_stm, read_trn_lines


@dataclass(frozen=True, slots=True)
class ReferenceFile:
    """The references of a set.

    Attributes:
        path: Where they were read.
        texts: What was said, by utterance, in the order of the file; of stm, what is scored alone.
        lines: The line of each, one-based.
        speakers: Who speaks, by utterance, as far as the file says.
        segments: Of stm, all of its segments; empty for other files.
    """

    path: Path
    texts: Mapping[str, str]
    lines: Mapping[str, int]
    speakers: Mapping[str, str]
    segments: tuple[Segment, ...] = ()

    def every_speaker(self) -> Mapping[str, str]:
        """The speakers of all utterances.

        Raises:
            UserError: An utterance has none.
        """
        silent = [name for name in self.texts if not self.speakers.get(name)]
        if silent:
            raise UserError(
                f"--speakers needs the speaker of every utterance; {self.path} does not name that of {len(silent)} of "
                f"{len(self.texts)}, {silent[0]} for one (in trn it stands before the first hyphen of the id)"
            )
        return self.speakers


def read_references(path: Path, warn: Callable[[str], None] = lambda warning: None) -> ReferenceFile:
    """Read references; ``.trn`` and ``.stm`` by name, anything else as a set.

    Args:
        path: The file, or the folder of a set.
        warn: Told of what should be known before a figure is believed.

    Raises:
        DataError: With every line that is wrong, or there is no utterance.
        SealedError: It is the test set of a campaign found here, or has recordings of one.
    """
    refuse_sealed(path)
    form = path.suffix.lower()
    if form not in (".trn", ".stm"):
        utterances = read_manifest(path)
        refuse_test_set(path, utterances)
        return ReferenceFile(
            path,
            {one.id: one.text for one in utterances},
            {one.id: one.line for one in utterances},
            {one.id: one.speaker for one in utterances if one.speaker},
        )
    found = _of_trn(path) if form == ".trn" else _of_stm(path)
    if not found.texts:
        raise DataError(path, [Mistake(0, "", "holds no utterance that is scored")])
    for suspicion in suspicions(list(found.texts.values())):
        warn(suspicion)
    return found


def _of_trn(path: Path) -> ReferenceFile:
    entries = read_trn_lines(path)
    return ReferenceFile(
        path,
        {name: text for name, (text, _) in entries.items()},
        {name: line for name, (_, line) in entries.items()},
        {name: _speaker(name) for name in entries},
    )


def _speaker(name: str) -> str:
    """Who speaks by the id, as sclite has it: what stands before the first hyphen, or else underscore; else empty."""
    return next((name.split(mark)[0] for mark in "-_" if mark in name), "")


def _of_stm(path: Path) -> ReferenceFile:
    segments = read_stm(path)
    scored = [(_name(segment), segment) for segment in segments if not segment.ignored]
    mistakes = list(repeated((name, segment.line) for name, segment in scored))
    if mistakes:
        raise DataError(path, mistakes)
    return ReferenceFile(
        path,
        {name: segment.text for name, segment in scored},
        {name: segment.line for name, segment in scored},
        {name: segment.speaker for name, segment in scored},
        tuple(segments),
    )


def _name(segment: Segment) -> str:
    return f"{segment.recording} {segment.channel} {segment.speaker} {segment.begin}-{segment.end}"
