"""Whether a scorer can read the references of a set, found out before anything is recognised or counted."""

from collections.abc import Iterable
from pathlib import Path

from search_spaces.errors import DataError, Mistake, ScoringError
from trainers.scoring.scorer import Scorer


def check_notation(path: Path, references: Iterable[tuple[int, str]], scorer: Scorer) -> list[str]:
    """Refuse wordings that cannot be read, and tell of wordings that are taken for words.

    Args:
        path: Where the references were read.
        references: The line of each, one-based, and what was said.
        scorer: Reads them.

    Returns:
        Warnings of the latter.

    Raises:
        DataError: With every line whose notation is wrong.
    """
    mistakes, braced = [], []
    for line, text in references:
        try:
            scorer.align(text, "")
        except ScoringError as error:
            mistakes.append(Mistake(line, "", f"cannot be scored by {scorer.name}: {error}"))
        if "{" in text.split():
            braced.append(line)
    if mistakes:
        raise DataError(path, mistakes)
    if braced and not scorer.knows_wordings:
        return [
            f"line {braced[0]} of {path} holds wordings in braces, which {scorer.name} takes for words; "
            "scorer sclite-1 scores the one that fits"
        ]
    return []
