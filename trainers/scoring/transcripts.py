"""NIST's text formats of references and hypotheses: trn, stm and ctm.

::

    trn    THE WORDS (speaker-utterance)
    stm    recording channel speaker begin end [<label,...>] the words
    ctm    recording channel begin duration word [confidence]

Lines that begin with ``;;`` and blank lines are comments. Any white space separates words, tabs and no-break spaces too
(sclite takes a no-break space for part of a word); texts come out with single spaces. Characters stay as they are
written: composing them is a normaliser's work. A text may be empty.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from search_spaces.errors import DataError, Mistake
from trainers.data.lines import read_lines, repeated

IGNORED = "IGNORE_TIME_SEGMENT_IN_SCORING"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a recording and its reference.

    Attributes:
        recording: Name of the recording.
        channel: ``1``, ``A`` ...
        speaker: Who speaks.
        begin: Seconds.
        end: Seconds.
        text: What was said.
        label: Sets it belongs to, ``<o,f0>``, angle brackets included; empty for none.
        line: Line of the file, one-based, for messages; two segments that differ by nothing else are equal.
    """

    recording: str
    channel: str
    speaker: str
    begin: float
    end: float
    text: str
    label: str = ""
    line: int = field(default=0, compare=False)

    @property
    def ignored(self) -> bool:
        """Whether it is marked as one that is not scored."""
        return self.text.upper() == IGNORED


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word that was recognised, with its time.

    Attributes:
        recording: Name of the recording.
        channel: ``1``, ``A`` ...
        begin: Seconds.
        duration: Seconds.
        word: The word.
        confidence: Between 0 and 1 as a rule; None if the file does not say.
    """

    recording: str
    channel: str
    begin: float
    duration: float
    word: str
    confidence: float | None = None


def read_trn(path: Path) -> dict[str, str]:
    """Texts by utterance id, in the order of the file; see `read_trn_lines` for errors."""
    return {name: text for name, (text, _) in read_trn_lines(path).items()}


def read_trn_lines(path: Path) -> dict[str, tuple[str, int]]:
    """Texts by utterance id, each with its line, one-based, in the order of the file.

    Raises:
        DataError: A line has no id in parentheses at its end, or an id comes twice; all such lines are named.
    """
    texts: dict[str, tuple[str, int]] = {}
    lines: list[tuple[str, int]] = []

    def read(line: str, number: int) -> None:
        text, opened, name = line.rstrip().rpartition("(")
        if not opened or not name.endswith(")") or not name[:-1].strip():
            raise ValueError("does not end with an utterance id in parentheses, such as (speaker-1)")
        lines.append((name[:-1].strip(), number))
        texts[lines[-1][0]] = " ".join(text.split()), number

    _read(path, read, lambda: repeated(lines))
    return texts


def write_trn(path: Path, texts: Mapping[str, str]) -> None:
    """Write texts by utterance id."""
    _write(path, (trn_line(name, text) for name, text in texts.items()))


def trn_line(name: str, text: str) -> str:
    """An utterance's line, without its end; see `fits_trn` for what names there may be."""
    return f"{' '.join(text.split())} ({name})".lstrip()


def fits_trn(name: str) -> bool:
    """Whether an utterance id can stand in a trn file: it holds neither white space nor parentheses."""
    return bool(name) and not any(character.isspace() or character in "()" for character in name)


def read_stm(path: Path) -> list[Segment]:
    """The segments of a file, in its order.

    Raises:
        DataError: A line has too few fields, a time is no number or a segment ends before it begins; all such lines
            are named.
    """

    def read(line: str, number: int) -> Segment:
        fields = line.split()
        if len(fields) < 5:
            raise ValueError("has fewer than the five fields recording, channel, speaker, begin and end")
        begin, end = _seconds("begin", fields[3]), _seconds("end", fields[4])
        if end < begin:
            raise ValueError(f"ends at {fields[4]}, before it begins at {fields[3]}")
        label, words = "", fields[5:]
        if words and words[0].startswith("<") and words[0].endswith(">"):
            label, words = words[0], words[1:]
        return Segment(fields[0], fields[1], fields[2], begin, end, " ".join(words), label, number)

    return _read(path, read)


def write_stm(path: Path, segments: Iterable[Segment]) -> None:
    """Write segments; times to the millisecond."""
    _write(path, (" ".join(filter(None, _stm_fields(segment))) for segment in segments))


def _stm_fields(segment: Segment) -> Sequence[str]:
    times = f"{segment.begin:.3f}", f"{segment.end:.3f}"
    return segment.recording, segment.channel, segment.speaker, *times, segment.label, " ".join(segment.text.split())


def read_ctm(path: Path) -> list[TimedWord]:
    """The words of a file, in its order.

    Raises:
        DataError: A line has too few or too many fields, or holds alternatives, or a number is none; all such lines
            are named.
    """

    def read(line: str, number: int) -> TimedWord:
        fields = line.split()
        if len(fields) not in (5, 6):
            raise ValueError("has not the fields recording, channel, begin, duration, word and perhaps confidence")
        if fields[4].upper().startswith("<ALT"):
            raise ValueError("begins, parts or ends alternatives, of which a hypothesis can have none here")
        times = _seconds("begin", fields[2]), _seconds("duration", fields[3])
        confidence = _seconds("confidence", fields[5]) if len(fields) == 6 else None
        return TimedWord(fields[0], fields[1], *times, fields[4], confidence)

    return _read(path, read)


def write_ctm(path: Path, words: Iterable[TimedWord]) -> None:
    """Write words; times to the millisecond."""
    _write(path, (" ".join(_ctm_fields(word)) for word in words))


def _ctm_fields(word: TimedWord) -> Sequence[str]:
    fields = word.recording, word.channel, f"{word.begin:.3f}", f"{word.duration:.3f}", word.word
    return fields if word.confidence is None else (*fields, f"{word.confidence:.6f}")


def segment_texts(segments: Sequence[Segment], words: Iterable[TimedWord]) -> list[str]:
    """What was recognised in each segment, as sclite gives words to segments.

    Words and segments of a channel are gone through in order of time, and a word goes to the first segment that ends
    behind the word's middle. So a word between two segments belongs to the later one, and what comes behind the last to
    the last: nothing that was recognised escapes being counted. Words of a channel without a segment are left out.
    sclite keeps the ends of segments in single precision, which decides where a middle lies on one.

    Args:
        segments: References, those that are not scored among them, since these have words too.
        words: Hypotheses of the same recordings.
    """
    found: list[list[str]] = [[] for _ in segments]
    ends = [float(np.float32(segment.end)) for segment in segments]
    ahead: dict[tuple[str, str], list[int]] = {}
    for index in sorted(range(len(segments)), key=lambda index: -segments[index].begin):
        ahead.setdefault((segments[index].recording, segments[index].channel), []).append(index)
    for word in sorted(words, key=lambda word: word.begin):
        channel = ahead.get((word.recording, word.channel), [])
        while len(channel) > 1 and word.begin + word.duration / 2 >= ends[channel[-1]]:
            channel.pop()
        if channel:
            found[channel[-1]].append(word.word)
    return [" ".join(texts) for texts in found]


def _read(path: Path, read: Callable[[str, int], T], check: Callable[[], Iterable[Mistake]] = lambda: ()) -> list[T]:
    values, mistakes = [], []
    for number, line in enumerate(read_lines(path, encoding="utf-8-sig"), 1):
        if not line.strip() or line.startswith(";;"):
            continue
        try:
            values.append(read(line, number))
        except ValueError as error:
            mistakes.append(Mistake(number, "", str(error)))
    mistakes += check()
    if mistakes:
        raise DataError(path, mistakes)
    return values


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _seconds(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name} {text!r} is no number from 0 on")
    return value
