"""Manifests of one JSON object a line, as NeMo writes them.

``audio_filepath`` or ``feature_filepath`` (relative to the manifest's folder), ``text``, optional ``speaker`` and
``duration`` in seconds. Other keys are left alone.
"""

import json
from pathlib import Path
from typing import Any

from search_spaces.errors import Mistake
from trainers.artifacts import Utterance
from trainers.data.lines import checked, first_line, read_lines, repeated, unusable

FORMAT = "a manifest of one JSON object a line (.jsonl, .json, or a first line that starts with {)"

_SOURCES = {"audio_filepath": "audio", "feature_filepath": "features"}


def recognises(path: Path) -> bool:
    """Whether a file is named as JSON, or starts like it and is not named as a CSV."""
    if path.is_dir() or path.suffix == ".csv":
        return False
    return path.suffix in (".jsonl", ".json") or first_line(path).startswith("{")


def read(path: Path) -> tuple[Utterance, ...]:
    """Read a manifest.

    Raises:
        DataError: With every line that is no utterance and why.
    """
    mistakes: list[Mistake] = []
    utterances: list[Utterance] = []
    for number, line in enumerate(read_lines(path), 1):
        if line.strip():
            found = _utterance(path, number, line)
            mistakes += [found] if isinstance(found, Mistake) else []
            utterances += [found] if isinstance(found, Utterance) else []
    mistakes += repeated((utterance.id, utterance.line) for utterance in utterances)
    if len({utterance.kind for utterance in utterances}) > 1:
        mistakes.append(Mistake(0, "", "mixes audio_filepath and feature_filepath; a set is one or the other"))
    return checked(path, utterances, mistakes)


def _utterance(path: Path, number: int, line: str) -> Utterance | Mistake:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        return Mistake(number, "", f"is not JSON: {error.msg} at column {error.colno}")
    if not isinstance(entry, dict):
        return Mistake(number, "", f"is not a JSON object but {type(entry).__name__}")
    keys = [key for key in _SOURCES if key in entry]
    if len(keys) != 1:
        return Mistake(number, "", f"needs one of {' and '.join(_SOURCES)}; has {', '.join(entry) or 'no key'}")
    for key, kinds in ((keys[0], str), ("text", str), ("speaker", str | None), ("duration", int | float | None)):
        if key in ("audio_filepath", "feature_filepath", "text") and key not in entry:
            return Mistake(number, key, f"is missing; the line has {', '.join(entry)}")
        if not isinstance(entry.get(key), kinds) or isinstance(entry.get(key), bool):
            return Mistake(number, key, f"has the wrong type: {entry[key]!r}")
    return _checked(path, number, keys[0], entry)


def _checked(path: Path, number: int, key: str, entry: dict[str, Any]) -> Utterance | Mistake:
    text = " ".join(entry["text"].split())
    if not text:
        return Mistake(number, "text", "is empty; an utterance needs a transcript to be trained on or scored against")
    source = path.parent / entry[key]
    if reason := unusable(source):
        return Mistake(number, key, reason)
    duration = entry.get("duration")
    if duration is not None and duration <= 0:
        return Mistake(number, "duration", f"must be above 0 seconds; got {duration}")
    name = str(Path(entry[key]).with_suffix(""))
    return Utterance(name, text, source, _SOURCES[key], entry.get("speaker"), duration, number)
