"""Kaldi's lists of an id and what belongs to it, one a line; and where the matrices that such a list names lie."""

import re
from pathlib import Path

from search_spaces.errors import DataError, Mistake
from trainers.data.lines import read_lines, repeated, unusable

Entries = dict[str, tuple[str, int]]  # what stands behind an id, and on which line


def read_scp(path: Path) -> dict[str, tuple[Path, int]]:
    """Archive and offset of every id in a list of ``ID ARK:OFFSET``.

    Raises:
        DataError: With every line that is wrong.
    """
    mistakes: list[Mistake] = []
    places = find_archives(path, read_entries(path.parent, path.name, mistakes), mistakes)
    if mistakes or not places:
        raise DataError(path, mistakes or [Mistake(0, "", "holds no matrix")])
    return places


def read_entries(folder: Path, name: str, mistakes: list[Mistake]) -> Entries:
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
        if name.endswith(".scp"):  # a path may hold more than single spaces
            entries[parts[0]] = (line.strip()[len(parts[0]) :].strip(), entries[parts[0]][1])
    mistakes += repeated(seen, name)
    return entries


def find_archives(path: Path, scp: Entries, mistakes: list[Mistake]) -> dict[str, tuple[Path, int]]:
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
                known[ark] = _archive(path.parent, ark)
            found = known[ark]
            if isinstance(found, Path):
                places[name] = (found, start)
                continue
            wrong = found
        mistakes.append(Mistake(line, path.name, wrong))
    return places


def _archive(folder: Path, ark: str) -> Path | str:
    """Where an archive lies, or what is wrong."""
    tried = list(dict.fromkeys([Path.cwd() / ark, folder.absolute() / ark]))
    reasons = [unusable(place) for place in tried]
    if "" in reasons:
        return tried[reasons.index("")]
    return "; ".join(reasons)
