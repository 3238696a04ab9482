"""The labels of a network that another program trained, and how they are written here."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from search_spaces.axes.features import Units
from search_spaces.errors import DataError, Mistake
from search_spaces.sealing import refuse_sealed
from trainers.data.labels import WORD_START, Alphabet

SPACES = ("|", "<space>")
"""Names that wav2vec 2.0 and ESPnet give to the space between words."""


def read_labels(path: Path, units: Units, blank: str = "") -> tuple[Alphabet, int]:
    """The alphabet in a file of labels, in the order of the network's output columns.

    Args:
        path: The file, as `read_names` takes it.
        units: How text becomes labels.
        blank: The blank's name in the file; empty for the empty line.

    Returns:
        The alphabet, the blank first as everywhere in this program, and the column that the blank has in the file.

    Raises:
        DataError: The file cannot be read, has no blank or several, or a label twice.
        SealedError: It is the test set of a campaign.
    """
    return name_columns(path, read_names(path), units, blank)


def read_names(path: Path) -> list[str]:
    """Names of output columns in their order, from a file.

    Args:
        path: One name a line; or, as k2 and ESPnet write it, one name and its number a line; or a JSON object of names
            and their numbers, as of Hugging Face's tokenizers.

    Raises:
        DataError: The file cannot be read, or its numbers leave a column out.
        SealedError: It is the test set of a campaign.
    """
    refuse_sealed(path)
    try:
        text = path.read_text(encoding="utf-8")
        numbered = json.loads(text) if path.suffix == ".json" else None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(path, [Mistake(0, "", f"cannot be read as a file of labels: {error}")]) from error
    lines = text.split("\n")
    if len(lines) > 1 and not lines[-1]:
        lines.pop()  # what follows the last line's end is no line
    lines = [line.removesuffix("\r") for line in lines]
    if path.suffix != ".json":
        pairs = [re.fullmatch(r"(\S+)[ \t]+([0-9]+)", line) for line in lines]
        if not all(pairs):
            return lines
        numbered = {pair[1]: int(pair[2]) for pair in pairs if pair}
        if len(numbered) != len(lines):
            raise DataError(path, [Mistake(0, "", "numbers a label twice")])
    if not isinstance(numbered, dict) or sorted(map(str, numbered.values())) != sorted(map(str, range(len(numbered)))):
        raise DataError(path, [Mistake(0, "", "needs the numbers 0, 1, 2 ... of the columns, one for every label")])
    return sorted(numbered, key=lambda name: int(numbered[name]))


def name_columns(place: Path, lines: Sequence[str], units: Units, blank: str = "") -> tuple[Alphabet, int]:
    """The alphabet of names in the order of the network's output columns.

    Args:
        place: Where the names stand, for messages.
        lines: The names. One space is the space between words, and so is ``|`` or ``<space>`` where units are ``char``
            and no other name is. With units ``word`` the mark of a word's start may be left out.
        units: How text becomes labels.
        blank: The blank's name among them; empty for the empty one.

    Returns:
        As `read_labels`.

    Raises:
        DataError: There is no blank or several, or a label twice.
    """
    blanks = [column for column, line in enumerate(lines) if line == blank]
    shown = f"{blank!r}" if blank else "empty; write one, or name the blank with --blank NAME"
    if len(blanks) != 1:
        how = "no line is" if not blanks else f"{len(blanks)} lines are"
        raise DataError(place, [Mistake(0, "", f"{how} {shown}; exactly one line should be the blank")])
    (column,) = blanks
    mark = WORD_START if units == "word" else ""
    names = [line if line.startswith(mark) else mark + line for line in lines]
    if units == "char" and " " not in names:
        names = [" " if name in SPACES else name for name in names]
    seen: dict[str, int] = {}
    mistakes = []
    for number, name in enumerate(names, 1):
        if number == column + 1:
            continue
        if not name:
            mistakes.append(Mistake(number, "", "is empty, and the blank has another name"))
        elif name in seen:
            mistakes.append(Mistake(number, "", f"{name!r} stands twice, first on line {seen[name]}"))
        seen.setdefault(name, number)
    if mistakes:
        raise DataError(place, mistakes)
    return Alphabet(units, ("", *names[:column], *names[column + 1 :])), column


def find_units(lines: Sequence[str], blank: str = "") -> Units:
    """What names of columns tell of the units: marks of words' starts, a space between words, or whole words.

    Args:
        lines: The names.
        blank: The blank's name among them.
    """
    names = [line for line in lines if line != blank]
    marked = sum(name.startswith(WORD_START) for name in names)
    if marked:
        return "word" if marked == len(names) else "mixed"
    spaced = any(name in (" ", *SPACES) for name in names)
    return "char" if spaced or all(len(name) == 1 for name in names) else "word"
