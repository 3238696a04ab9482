"""What a system gets wrong: which words, at which length, of which speaker, and the worst utterances word by word."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from trainers.artifacts import Score
from trainers.outcomes import UtteranceErrors
from trainers.scoring.alignment import Kind, Step, count
from trainers.scoring.bootstrap import Interval, bootstrap_rate
from trainers.scoring.scorer import Scorer

_Words = TypeVar("_Words", str, tuple[str, str])

_SHOWN = 15  # of each list
_WORST = 10
_SPEAKERS = 30
_BINS = 6
_FEWEST_WORDS = 50  # of a group of lengths; they tell a WER of 50 % to 14 points


@dataclass(frozen=True, slots=True)
class Group:
    """Utterances that have something in common.

    Attributes:
        name: What that is.
        utterances: How many.
        words: Reference words.
        errors: Word errors.
        rate: WER and its interval; None for a single utterance, or where there is no word.
    """

    name: str
    utterances: int
    words: int
    errors: int
    rate: Interval | None


@dataclass(frozen=True, slots=True)
class Aligned:
    """An utterance word by word.

    Attributes:
        id: Its id.
        speaker: Who speaks; empty where that is not known.
        errors: Word errors, as the scorer counts them.
        words: Reference words.
        steps: The alignment.
    """

    id: str
    speaker: str
    errors: int
    words: int
    steps: Sequence[Step]


@dataclass(frozen=True, slots=True)
class ErrorAnalysis:
    """What a system gets wrong on a set.

    Attributes:
        substitutions: Reference word, hypothesis word and how often, the most frequent first; likewise the others.
        deletions: Reference words that are missing.
        insertions: Words that nobody said.
        aligned: Errors of all alignments; by Levenshtein's distance there may be fewer.
        counted: Errors as the scorer counts them.
        lengths: By words of the reference.
        speakers: By speaker, the highest WER first; empty where no speaker is known.
        speakers_left_out: Speakers that are not shown, all of a lower WER.
        worst: The utterances with the most errors.
    """

    substitutions: Sequence[tuple[str, str, int]]
    deletions: Sequence[tuple[str, int]]
    insertions: Sequence[tuple[str, int]]
    aligned: Score
    counted: int
    lengths: Sequence[Group]
    speakers: Sequence[Group]
    speakers_left_out: int
    worst: Sequence[Aligned]


def analyse(errors: UtteranceErrors, scorer: Scorer, speakers: Mapping[str, str]) -> ErrorAnalysis:
    """Analyse what a system recognised.

    Args:
        errors: With texts.
        scorer: Aligns the words.
        speakers: Who speaks, by utterance, as far as that is known.
    """
    steps = [step for texts in errors.texts for step in scorer.align(*texts)]
    pairs = Counter((one.reference, one.hypothesis) for one in steps if one.kind is Kind.SUBSTITUTION)
    gone = Counter(one.reference for one in steps if one.kind is Kind.DELETION)
    added = Counter(one.hypothesis for one in steps if one.kind is Kind.INSERTION)
    by_speaker = _by_speaker(errors, speakers)
    return ErrorAnalysis(
        substitutions=[(*pair, times) for pair, times in _frequent(pairs)],
        deletions=_frequent(gone),
        insertions=_frequent(added),
        aligned=count(steps),
        counted=int(errors.errors.sum()),
        lengths=list(_by_length(errors)),
        speakers=[_group(name, errors, each) for name, each in list(by_speaker.items())[:_SPEAKERS]],
        speakers_left_out=max(0, len(by_speaker) - _SPEAKERS),
        worst=worst(errors, scorer, speakers),
    )


def worst(errors: UtteranceErrors, scorer: Scorer, speakers: Mapping[str, str], shown: int = _WORST) -> list[Aligned]:
    """The utterances with the most errors, of equals the shorter first; none that is right.

    Args:
        errors: With texts.
        scorer: Aligns the words.
        speakers: Who speaks, by utterance, as far as that is known.
        shown: How many at most.
    """
    order = sorted(range(len(errors.ids)), key=lambda index: (-errors.errors[index], errors.words[index], index))
    return [
        Aligned(
            errors.ids[index],
            speakers.get(errors.ids[index], ""),
            int(errors.errors[index]),
            int(errors.words[index]),
            scorer.align(*errors.texts[index]),
        )
        for index in order[:shown]
        if errors.errors[index]
    ]


def _frequent(counts: Counter[_Words]) -> list[tuple[_Words, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_SHOWN]


def _by_length(errors: UtteranceErrors) -> Iterator[Group]:
    """Groups of neighbouring lengths, each with words enough for its WER to say something."""
    enough = max(_FEWEST_WORDS, int(errors.words.sum()) / _BINS)
    groups: list[list[int]] = []
    for length in np.unique(errors.words):
        if not groups or errors.words[groups[-1]].sum() >= enough:
            groups.append([])
        groups[-1] += np.flatnonzero(errors.words == length).tolist()
    if len(groups) > 1 and errors.words[groups[-1]].sum() < enough / 2:
        groups[-2:] = [groups[-2] + groups[-1]]
    for group in groups:
        low, high = errors.words[group].min(), errors.words[group].max()
        yield _group(f"{low} to {high}" if low < high else f"{low}", errors, group)


def _by_speaker(errors: UtteranceErrors, speakers: Mapping[str, str]) -> dict[str, list[int]]:
    """Utterances of each speaker who is known, the highest WER first."""
    found: dict[str, list[int]] = {}
    for index, name in enumerate(errors.ids):
        if speakers.get(name):
            found.setdefault(speakers[name], []).append(index)
    rates = {name: errors.errors[each].sum() / max(errors.words[each].sum(), 1) for name, each in found.items()}
    return {name: found[name] for name in sorted(found, key=lambda name: (-rates[name], name))}


def _group(name: str, errors: UtteranceErrors, indices: Sequence[int]) -> Group:
    chosen = np.asarray(indices)
    wrong, words = errors.errors[chosen], errors.words[chosen]
    rate = bootstrap_rate(wrong, words) if len(chosen) > 1 and words.sum() else None
    return Group(name, len(chosen), int(words.sum()), int(wrong.sum()), rate)
