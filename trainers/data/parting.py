"""The two parts of a dev set: the one that tunes, and the one that judges what was tuned.

A campaign may part its dev set. Whatever is chosen for its errors, an epoch, a point of a search, the end of a race, is
then chosen by the tuning part alone, and the selection part is as fresh for it as a test set would be. Every utterance
is in one of the two by a hash of its id, whatever else the set holds: one that is added or left out moves no other.

By utterance and not by speaker: dev sets have few speakers, AN4's 10, so that a share of them would be a
matter of luck, and what is judged is the choice among systems for these speakers, as it is without parts.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Literal

Part = Literal["tuning", "selection"]


def place_of(name: str) -> bytes:
    """The place of an utterance in an order that looks random and is told by its id alone; those that tune are first.

    Args:
        name: The utterance's id.
    """
    return sha256(name.encode()).digest()


def part_of(name: str, share: float) -> Part:
    """The part that an utterance is in.

    Args:
        name: Its id.
        share: Of the utterances, expected to tune.
    """
    return "tuning" if int.from_bytes(place_of(name)[:8]) < share * 2**64 else "selection"


def transcripts(said: Mapping[str, str], share: float | None, part: Part) -> dict[str, str]:
    """What is said in one of the parts, by the utterances' ids, in the order of the set.

    Whatever chooses is given those of the tuning part, so that it has no way of looking at the others.

    Args:
        said: What is said in all utterances of dev, by id.
        share: Of them, expected to tune; None where dev is not parted: all of them tune, and none is left to judge.
        part: The part.
    """
    if share is None:
        return dict(said) if part == "tuning" else {}
    return {name: text for name, text in said.items() if part_of(name, share) == part}
