"""Kaldi data directories: ``text``, ``feats.scp``, optional ``utt2spk``.

The utterances and their order are those of ``text``. ``feats.scp`` says where the matrix of each lies:
``ID ARK:OFFSET``, or ``ID FILE`` for a file of one matrix. A relative path is relative to the working folder, as in
Kaldi; where that leads nowhere, to the directory. Every file must name the same ids. Pipes and ranges of rows are
refused. https://kaldi-asr.org/doc/data_prep.html
"""

import re
from pathlib import Path

from search_spaces.errors import DataError, Mistake
from trainers.artifacts import Utterance
from trainers.data.lines import checked, read_lines, repeated, unusable
from trainers.data.matrices import can_read_arks

FORMAT = "a Kaldi data directory (a folder with feats.scp and text)"

Entries = dict[str, tuple[str, int]]  # what stands behind an id, and on which line


def recognises(path: Path) -> bool:
    """Whether a path is a folder with one of the files."""
    return any((path / name).is_file() for name in ("feats.scp", "text"))


def read(path: Path) -> tuple[Utterance, ...]:
    """Read a data directory.

    Raises:
        DataError: With every line that is wrong, its file as the key; or the package kaldiio is missing.
    """
    absent = [Mistake(0, name, "is missing") for name in ("feats.scp", "text") if not (path / name).is_file()]
    if not can_read_arks():
        absent.append(Mistake(0, "", "reading Kaldi's archives needs the package kaldiio: pip install kaldiio"))
    if absent:
        raise DataError(path, absent)
    mistakes: list[Mistake] = []
    text = _entries(path, "text", mistakes)
    scp = _entries(path, "feats.scp", mistakes)
    speakers = _entries(path, "utt2spk", mistakes) if (path / "utt2spk").is_file() else None
    for name, entries in (("feats.scp", scp), ("utt2spk", text if speakers is None else speakers)):
        mistakes += _absent(text, "text", entries, name) + _absent(entries, name, text, "text")
    places = _places(path, scp, mistakes)
    utterances = []
    for name, (words, line) in text.items():
        if not words:
            message = "is empty; an utterance needs a transcript to be trained on or scored against"
            mistakes.append(Mistake(line, "text", f"{name} {message}"))
        elif name in places:
            source, offset = places[name]
            speaker = speakers.get(name, ("", 0))[0] if speakers else None
            utterances.append(Utterance(name, words, source, "features", speaker, None, line, offset))
    return checked(path, utterances, mistakes)


def _entries(folder: Path, name: str, mistakes: list[Mistake]) -> Entries:
    """Id and rest of every line of a file."""
    entries: Entries = {}
    seen: list[tuple[str, int]] = []
    for number, line in enumerate(read_lines(folder / name), 1):
        parts = line.split()
        if not parts:
            continue
        seen.append((parts[0], number))
        entries.setdefault(parts[0], (" ".join(parts[1:]), number))
        if name == "utt2spk" and len(parts) != 2:
            mistakes.append(Mistake(number, name, f"needs an id and a speaker; has {line.strip()!r}"))
        if name == "feats.scp":  # a path may hold more than single spaces
            entries[parts[0]] = (line.strip()[len(parts[0]) :].strip(), entries[parts[0]][1])
    mistakes += repeated(seen, name)
    return entries


def _absent(entries: Entries, name: str, others: Entries, other: str) -> list[Mistake]:
    """A mistake for every id of one file that another file has not."""
    return [Mistake(line, name, f"{u} is not in {other}") for u, (_, line) in entries.items() if u not in others]


def _places(folder: Path, scp: Entries, mistakes: list[Mistake]) -> dict[str, tuple[Path, int]]:
    """Archive and offset of every id; an archive is looked for once."""
    places: dict[str, tuple[Path, int]] = {}
    known: dict[str, Path | str] = {}
    for name, (value, line) in scp.items():
        wrong = ""
        if not value:
            wrong = f"{name} has no path"
        elif value.startswith("|") or value.endswith("|"):
            wrong = f"{name} is a command; write its output to an archive with copy-feats"
        elif re.search(r"\[[\d:, -]*\]$", value):
            wrong = f"{name} is a range of rows; write the rows to an archive with copy-feats"
        if not wrong:
            ark, colon, offset = value.rpartition(":")
            ark, start = (ark, int(offset)) if colon and re.fullmatch(r"[0-9]+", offset) else (value, 0)
            if ark not in known:
                known[ark] = _archive(folder, ark)
            found = known[ark]
            if isinstance(found, Path):
                places[name] = (found, start)
                continue
            wrong = found
        mistakes.append(Mistake(line, "feats.scp", wrong))
    return places


def _archive(folder: Path, ark: str) -> Path | str:
    """Where an archive lies, or what is wrong."""
    tried = list(dict.fromkeys([Path.cwd() / ark, folder.absolute() / ark]))
    reasons = [unusable(place) for place in tried]
    if "" in reasons:
        return tried[reasons.index("")]
    return "; ".join(reasons)
