"""What a system recognised, by utterance: trn, ctm, text and JSON lines as ``orchestrator transcribe`` has them."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from orchestrator.scoring.references import ReferenceFile
from search_spaces.errors import DataError, Mistake, ScoringError, some
from search_spaces.sealing import refuse_sealed
from trainers.data.lines import first_line, read_lines, repeated
from trainers.scoring.transcripts import read_ctm, read_trn, segment_texts


def name_systems(paths: Sequence[Path]) -> dict[str, Path]:
    """Files of hypotheses by a name each: what the files are called where that tells them apart, else their paths.

    Raises:
        ScoringError: One is named twice.
    """
    twice = [str(path) for number, path in enumerate(paths) if path in paths[:number]]
    if twice:
        raise ScoringError(f"{twice[0]} is given twice; a system is compared with another one")
    told = len({path.stem for path in paths}) == len(paths)
    return {path.stem if told else str(path): path for path in paths}


def read_hypotheses(
    path: Path, references: ReferenceFile, warn: Callable[[str], None] = lambda warning: None
) -> dict[str, str]:
    """Read hypotheses: ``.trn`` and ``.ctm`` by name, JSON lines by name or by what they begin with, else text.

    Args:
        path: The file.
        references: What they are hypotheses of.
        warn: Told of what should be known before a figure is believed.

    Returns:
        By utterance, in the order of the references.

    Raises:
        DataError: With every line that is wrong, or the file is empty.
        ScoringError: They are not of the utterances, or one file has times and the other has none.
        SealedError: It is the test set of a campaign found here.
    """
    refuse_sealed(path)
    form = path.suffix.lower()
    if (form == ".ctm") != bool(references.segments):
        raise ScoringError(_of_times(path, references))
    if form == ".ctm":
        return _by_time(path, references, warn)
    if form == ".trn":
        found = read_trn(path)
    elif form in (".json", ".jsonl") or first_line(path).startswith("{"):
        found = _read_json(path)
    else:
        found = _read_text(path)
    if not found:
        raise DataError(path, [Mistake(0, "", "holds no hypothesis")])
    return _in_order(path, found, references)


def _of_times(path: Path, references: ReferenceFile) -> str:
    if references.segments:
        return (
            f"{path}: segments of {references.path} have times and no ids, so that a hypothesis has to be a .ctm file"
        )
    return (
        f"{path}: a ctm file says when a word was spoken, and {references.path} does not say when its utterances were; "
        "give an .stm file for the reference, or the hypotheses as .trn or text"
    )


def _by_time(path: Path, references: ReferenceFile, warn: Callable[[str], None]) -> dict[str, str]:
    words = read_ctm(path)
    if not words:
        raise DataError(path, [Mistake(0, "", "holds no word")])
    channels = dict.fromkeys((one.recording, one.channel) for one in references.segments)
    heard = dict.fromkeys((one.recording, one.channel) for one in words)
    unknown = [" ".join(channel) for channel in heard if channel not in channels]
    if unknown:
        raise ScoringError(
            f"{path}: {len(unknown)} of {len(heard)} recordings with their channels are not in {references.path}: "
            f"{some(unknown)}; it has {some([' '.join(channel) for channel in channels])}"
        )
    silent = [" ".join(channel) for channel in channels if channel not in heard]
    if silent:
        warn(
            f"{path} has no word of {len(silent)} of the {len(channels)} recordings with their channels, all of whose "
            f"words count as deleted: {some(silent)}"
        )
    texts = segment_texts(references.segments, words)
    scored = (text for segment, text in zip(references.segments, texts, strict=True) if not segment.ignored)
    return dict(zip(references.texts, scored, strict=True))


def _read_text(path: Path) -> dict[str, str]:
    """An id, a tab, the words; where there is no tab the id ends at the first white space, as in Kaldi's ``text``."""
    texts: dict[str, str] = {}
    lines: list[tuple[str, int]] = []
    for number, line in enumerate(read_lines(path, encoding="utf-8-sig"), 1):
        if line.strip():
            name, *words = line.split("\t", 1) if "\t" in line else line.split(None, 1)
            lines.append((name.strip(), number))
            texts[name.strip()] = " ".join(" ".join(words).split())
    return _once(path, texts, lines, [])


def _read_json(path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    lines: list[tuple[str, int]] = []
    mistakes: list[Mistake] = []
    for number, line in enumerate(read_lines(path, encoding="utf-8-sig"), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            mistakes.append(Mistake(number, "", f"is not JSON: {error.msg} at column {error.colno}"))
            continue
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("id", "text")):
            mistakes.append(Mistake(number, "", "is no object with id and text, both of them strings"))
            continue
        lines.append((entry["id"], number))
        texts[entry["id"]] = " ".join(entry["text"].split())
    return _once(path, texts, lines, mistakes)


def _once(path: Path, texts: dict[str, str], lines: list[tuple[str, int]], mistakes: list[Mistake]) -> dict[str, str]:
    mistakes += repeated(lines)
    if mistakes:
        raise DataError(path, mistakes)
    return texts


def _in_order(path: Path, found: Mapping[str, str], references: ReferenceFile) -> dict[str, str]:
    missing = [name for name in references.texts if name not in found]
    unknown = [name for name in found if name not in references.texts]
    faults = []
    if missing:
        faults.append(f"{len(missing)} of {len(references.texts)} references have no hypothesis: {some(missing)}")
    if unknown:
        faults.append(f"{len(unknown)} of {len(found)} hypotheses have no reference: {some(unknown)}")
    if faults:
        raise ScoringError("\n  ".join([f"{path} and {references.path} are not of the same utterances:", *faults]))
    return {name: found[name] for name in references.texts}
