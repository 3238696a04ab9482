"""The errors that a user can cause, and that the command line therefore shows without a traceback.

::

    UserError                  exit status 2: the call, a file or the data is wrong
    ├── CampaignError          a campaign file: every mistake at once, each with its line
    ├── DataError              a manifest, an audio or feature file, a transcript
    ├── LanguageModelError     a text or an ARPA file that no language model can be made of
    ├── ModelError             a module of the user's own that cannot be imported, built or used
    ├── CheckpointError        a checkpoint that does not load or does not fit
    ├── PosteriorsError        posteriors from elsewhere that do not fit where they are asked to serve
    ├── Diverged               a run whose loss is no number any more (trainers/loop.py)
    ├── SealedError            a test set, asked for elsewhere than by ``orchestrator finalize``
    ├── FusionError            systems that cannot be combined as they are asked to be
    ├── ScoringError           texts that no error rate can be computed of
    ├── StudyMismatchError     a stored study was made from another definition
    └── StoreError             a folder or database that cannot be read or written

Everything else that escapes is a fault of this program and keeps its traceback.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SHOWN = 5


class UserError(Exception):
    """Something the user can mend; the message says what is wrong, where, and what would be right."""


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake in a text file.

    Attributes:
        line: One-based line number; 0 when the mistake belongs to the file as a whole.
        key: Dotted key or field the mistake stands at; empty for the file as a whole.
        message: What is wrong and what would be right.
    """

    line: int
    key: str
    message: str

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        key = f"{self.key}: " if self.key else ""
        return f"{place}{key}{self.message}"


class FileError(UserError):
    """Mistakes in one file, all of them in one message."""

    shown = 20

    def __init__(self, path: Path, mistakes: Sequence[Mistake]) -> None:
        self.path = path
        self.mistakes = tuple(sorted(mistakes))
        lines = [f"{path}: {len(self.mistakes)} mistake{'s' * (len(self.mistakes) != 1)}"]
        lines += [f"  {mistake}" for mistake in self.mistakes[: self.shown]]
        if len(self.mistakes) > self.shown:
            lines.append(f"  ... and {len(self.mistakes) - self.shown} more")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type, tuple[Path, tuple[Mistake, ...]]]:
        return type(self), (self.path, self.mistakes)


class CampaignError(FileError):
    """A campaign file that does not parse or does not hold together."""


class DataError(FileError):
    """A manifest, an audio or feature file, or a transcript that cannot be used."""


class LanguageModelError(UserError):
    """A text or an ARPA file that no language model can be made of."""


class ModelError(UserError):
    """A module of the user's own that cannot be imported, built, or used as a network."""


class CheckpointError(UserError):
    """A checkpoint that does not load, or does not fit where it is asked to serve."""


class FusionError(UserError):
    """Systems that cannot be combined, or not by the rule that is asked for; every reason in one message."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(["these systems cannot be combined:", *(f"  {fault}" for fault in faults)]))

    def __reduce__(self) -> tuple[type, tuple[tuple[str, ...]]]:
        return type(self), (self.faults,)


class PosteriorsError(UserError):
    """Posteriors from elsewhere that cannot be read, or do not fit where they are asked to serve."""


class ScoringError(UserError):
    """Texts that no error rate can be computed of, or a scorer that does not exist."""


class SealedError(UserError):
    """A test set that is asked for its transcripts elsewhere than by ``orchestrator finalize``."""


class StudyMismatchError(UserError):
    """A stored study was made from another definition than the campaign file now holds."""


class StoreError(UserError):
    """A folder or database of the store that cannot be read or written."""


def some(names: Sequence[str]) -> str:
    """The first few of many names, and how many more there are, for messages."""
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
