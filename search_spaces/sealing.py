"""Where test sets lie, so that nobody reads one by mistake.

A campaign holds the place of its test set as a `SealedFile`, which no function that reads files takes. Whoever reads a
file that a user names, a set, a text, a list of words, calls `refuse_sealed` first. The transcripts have one door:
`trainers.data.sealed`.
"""

import filecmp
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from search_spaces.checking import file_roots
from search_spaces.errors import SealedError
from search_spaces.finding import campaign_files

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the pure one takes ten times as long


@dataclass(frozen=True, slots=True)
class SealedFile:
    """The place of a test set, which is no path.

    Attributes:
        sealed_place: The file or folder; for `trainers.data.sealed` alone.
    """

    sealed_place: Path

    def __str__(self) -> str:
        return str(self.sealed_place)


def sealed_files() -> dict[SealedFile, str]:
    """Test sets of the campaigns found here, as far as they are there, each with the name of a campaign."""
    found: dict[SealedFile, str] = {}
    for name, path in campaign_files().items():
        try:
            about = path.stat()
            written = _written(path, about.st_mtime_ns, about.st_size)
        except OSError:
            continue
        places = [root / written for root in file_roots(path) if (root / written).exists()] if written else []
        if places:
            found.setdefault(SealedFile(places[0].resolve()), name)
    return found


@lru_cache(maxsize=256)
def _written(path: Path, modified: int, size: int) -> str:
    """The test set that a campaign file names; empty for none. Sets are read often, and campaigns seldom change."""
    try:
        return str(yaml.load(path.read_text(encoding="utf-8"), _Loader)["data"]["test"] or "")
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
        return ""  # no campaign, or one without a test set


def refuse_sealed(path: Path) -> None:
    """Refuse a file that is the test set of a campaign found here, lies in one, or is a copy of one.

    Raises:
        SealedError: It is.
    """
    place = path.resolve()
    for sealed, campaign in sealed_files().items():
        test = sealed.sealed_place
        if place == test or test in place.parents or _same_bytes(place, test):
            raise SealedError(
                f"{path} is the test set of campaign {campaign}: its transcripts are read once, when the campaign is "
                f"finalized (orchestrator finalize {campaign}), or its WER says nothing. Use dev or another set"
            )


def _same_bytes(path: Path, test: Path) -> bool:
    return path.is_file() and test.is_file() and filecmp.cmp(path, test, shallow=False)
