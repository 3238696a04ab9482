"""The labels of a network that another program trained, from a text file."""

from pathlib import Path

from search_spaces.axes.features import Units
from search_spaces.errors import DataError, Mistake
from search_spaces.sealing import refuse_sealed
from trainers.data.labels import WORD_START, Alphabet


def read_labels(path: Path, units: Units, blank: str = "") -> tuple[Alphabet, int]:
    """The alphabet in a file of one label a line, in the order of the network's output columns.

    Args:
        path: The file; a line that holds one space is the space between words. With units ``word`` the mark of a word's
            start may be left out.
        units: How text becomes labels.
        blank: The blank's name in the file; empty for the empty line.

    Returns:
        The alphabet, the blank first as everywhere in this program, and the column that the blank has in the file.

    Raises:
        DataError: The file cannot be read, has no blank or several, or a label twice.
        SealedError: It is the test set of a campaign.
    """
    refuse_sealed(path)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, [Mistake(0, "", f"cannot be read as a file of labels: {error}")]) from error
    if len(lines) > 1 and not lines[-1]:
        lines.pop()  # what follows the last line's end is no line
    lines = [line.removesuffix("\r") for line in lines]
    blanks = [column for column, line in enumerate(lines) if line == blank]
    shown = f"{blank!r}" if blank else "empty; write one, or name the blank with --blank NAME"
    if len(blanks) != 1:
        how = "no line is" if not blanks else f"{len(blanks)} lines are"
        raise DataError(path, [Mistake(0, "", f"{how} {shown}; exactly one line should be the blank")])
    (column,) = blanks
    mark = WORD_START if units == "word" else ""
    names = [line if line.startswith(mark) else mark + line for line in lines]
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
        raise DataError(path, mistakes)
    return Alphabet(units, ("", *names[:column], *names[column + 1 :])), column
