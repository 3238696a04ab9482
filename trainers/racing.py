"""Decoding a set part by part, so that it can be seen to move, and a trial that has lost to its rival can be stopped.

Every trial goes through the utterances in one order, which looks random and is told by their ids alone. A trial's rival
is a complete one, whose errors by utterance are in the store; after each part the deficit of the trial is tested
(`trainers.scoring.race`). Where dev is parted, the utterances that tune come first, and the race is over them alone.
Racing has nothing to do with what a trial that is not stopped comes to: its hypotheses are those of the set decoded at
once.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from search_spaces.axes.decoding import DecodingSettings
from trainers.artifacts import Hypothesis, Posteriors
from trainers.data.parting import place_of
from trainers.outcomes import find_errors
from trainers.scoring.race import Deficit
from trainers.scoring.references import References
from trainers.spec import DecodingReport, Elimination, Race
from trainers.store import Store
from trainers.trial import Trial

PARTS = 16
_SHOWN = 2.0  # seconds that a set takes, from which on its parts are reported


class PartSearch(Protocol):
    """What decodes a part of a set at several points."""

    def decode(self, posteriors: Posteriors, points: Sequence[DecodingSettings]) -> list[list[Hypothesis]]:
        """For each point, the best hypothesis of every utterance."""


def shuffled(ids: Sequence[str]) -> list[int]:
    """The places of utterances in the order in which they are decoded, whatever order they stand in."""
    return sorted(range(len(ids)), key=lambda index: place_of(ids[index]))


class Racer:
    """A trial on its way through a set.

    Args:
        trial: The trial.
        ids: The utterances of the set.
        references: Of those that decide the race.

    Attributes:
        hypotheses: What it has found, by the utterance's place in the set.
        seconds: Wall time that it took.
        cpu_seconds: Time of the processor that it took.
    """

    def __init__(self, trial: Trial, ids: Sequence[str], references: References) -> None:
        self.trial = trial
        self.hypotheses: dict[int, Hypothesis] = {}
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self._references = references
        self._race = trial.spec.race
        self._rival = rival_errors(trial.store, self._race, ids, references) if self._race else None
        self._deficit, self._errors = Deficit(), 0

    def advance(self, part: Sequence[int], hypotheses: Sequence[Hypothesis]) -> None:
        """Take in what was found in a part of the set."""
        self.hypotheses |= dict(zip(part, hypotheses, strict=True))
        if self._rival is not None:
            texts = {one.id: one.text for one in hypotheses if one.id in self._references}
            errors = {name: self._references.errors(name, text) for name, text in texts.items()}
            self._errors += sum(errors.values())
            self._deficit += Deficit.of(own - self._rival[name] for name, own in errors.items())

    def eliminated(self, whole_seconds: float) -> Elimination | None:
        """How the trial has lost its race; None as long as it has not.

        Args:
            whole_seconds: What the whole set takes.
        """
        race = self._race
        if race is None or self._rival is None or whole_seconds < race.seconds:
            return None
        whole = len(self._references)
        if not self._deficit.lost(whole, race.level):
            return None
        done, errors = self._deficit.utterances, self._errors
        return Elimination(done, whole, errors, race.rival, errors - self._deficit.sum)

    def in_order(self) -> list[Hypothesis]:
        """What was found, in the order of the set."""
        return [self.hypotheses[index] for index in sorted(self.hypotheses)]


def rival_errors(store: Store, race: Race, ids: Sequence[str], references: References) -> dict[str, int] | None:
    """The rival's errors by utterance; None where they cannot be compared, as when its outcome is gone.

    Args:
        store: Where the rival's outcome is.
        race: Who the rival is.
        ids: The utterances of the set.
        references: Of those that decide the race.
    """
    found = find_errors(store.path("outcomes", race.key), "tuning")
    said = [(name, references.texts[name]) for name in ids if name in references]
    if found is None or list(zip(found.ids, found.references, strict=True)) != said:
        return None
    return dict(zip(found.ids, found.errors.tolist(), strict=True))


def decode_in_parts(
    search: PartSearch, posteriors: Posteriors, references: References, trials: Sequence[Trial]
) -> Iterator[tuple[Racer, Elimination | None]]:
    """Decode a set for trials that share a search.

    The first part is left out of what the whole set is expected to take: there the search is compared with another.

    Args:
        search: Decodes a part.
        posteriors: The set, at least one utterance.
        references: Of the utterances that decide a race.
        trials: Their points.

    Yields:
        Each trial when it has decoded the set, or lost its race.
    """
    order = shuffled(posteriors.ids)
    running = [Racer(trial, posteriors.ids, references) for trial in trials]
    pace, timed = 0.0, 0  # seconds of a point's utterance, and over how many utterances
    for number, places in enumerate(np.array_split(order, min(PARTS, len(order)))):
        part = places.tolist()
        began, cpu_began = time.perf_counter(), time.process_time()
        found = search.decode(posteriors.take(part), [racer.trial.settings.decoding for racer in running])
        seconds = (time.perf_counter() - began) / len(running)
        cpu_seconds = (time.process_time() - cpu_began) / len(running)
        for racer, hypotheses in zip(running, found, strict=True):
            racer.advance(part, hypotheses)
            racer.seconds, racer.cpu_seconds = racer.seconds + seconds, racer.cpu_seconds + cpu_seconds
        done = len(running[0].hypotheses)
        if number == 0 or done == len(order):
            continue
        pace, timed = (pace * timed + seconds) / (timed + len(part)), timed + len(part)
        left = []
        for racer in running:
            elimination = racer.eliminated(pace * len(order))
            if elimination is not None:
                yield racer, elimination
                continue
            left.append(racer)
            if pace * len(order) >= _SHOWN:
                racer.trial.tell(DecodingReport(done, len(order), pace))
        running = left
        if not running:
            return
    yield from ((racer, None) for racer in running)
