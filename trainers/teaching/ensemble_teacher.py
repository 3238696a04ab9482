"""An ensemble as the teacher.

Its members read the training set, each once and kept as any teacher's posteriors are; they are combined by the
ensemble's own rule and weights, by acoustic scores alone: a language model that has read the transcripts would only
repeat them.

===================  ===============================================================================================
`MeanFrames`         a rule of posteriors: the mean of the frames teaches at every level. Members that were trained
                     apart do not spike on the same frames, and then the mean is mostly blank; those that were all
                     guided by one teacher do (Kurata & Audhkhasi 2019)
`HypothesisTeacher`  a rule of hypotheses: its best hypotheses teach, at the level ``sequence`` alone. Members may
                     differ from one another and from the student in units and in frame rate
===================  ===============================================================================================
"""

from collections.abc import Iterator, Sequence
from math import isfinite

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search_spaces.errors import CheckpointError
from trainers.artifacts import Hypothesis, Posteriors
from trainers.combining.evidence import Evidence
from trainers.combining.kept_ensemble import KeptEnsemble
from trainers.combining.members import Member, Pool
from trainers.combining.report import Part
from trainers.combining.rule import HypothesisRule, PosteriorRule, RescoringSettings
from trainers.data.labels import Alphabet
from trainers.fusion import plain_rule
from trainers.source import open_source
from trainers.spec import IMPORTED_POSTERIORS, Ingredient
from trainers.store import digest
from trainers.teaching.n_best import Lists, keep_lists, n_best_lists
from trainers.teaching.teacher import Teacher
from trainers.teaching.top_posteriors import Emitter, TopPosteriors, top_posteriors
from trainers.trial import Split, Trial

_TOGETHER = 32  # utterances of which all members' frames are in memory at once
_FORMAT = 1


class Committee:
    """The members of an ensemble, and what each says of every frame of the training set.

    Args:
        trial: The student's trial.
        kept: The ensemble.

    Attributes:
        sources: Where each member's posteriors come from, by name.
        heard: What they say, by name.
        key: Of all of it together, weights included.
    """

    def __init__(self, trial: Trial, kept: KeptEnsemble) -> None:
        self.sources = {part.name: open_source(trial, _member(trial, part)) for part in kept.parts}
        self.heard = {name: top_posteriors(trial.store, source, "train") for name, source in self.sources.items()}
        self._weights = {part.name: part.weight for part in kept.parts}
        self.key = digest([_FORMAT, self._weights, {name: top.key for name, top in self.heard.items()}])

    @property
    def ids(self) -> tuple[str, ...]:
        """The utterances, in the order of the manifest."""
        return next(iter(self.heard.values())).ids

    def pools(self, lists: dict[str, Lists] | None = None) -> Iterator[tuple[NDArray[np.int64], Pool]]:
        """The members over some utterances after others, so that never all frames are in memory.

        Args:
            lists: The hypotheses of each member by name, for rules that combine them.

        Yields:
            Which utterances, and the pool.
        """
        for first in range(0, len(self.ids), _TOGETHER):
            part = range(first, min(first + _TOGETHER, len(self.ids)))
            members = [
                Member(
                    name,
                    _frames(top, part, self.sources[name].alphabet),
                    self.sources[name].alphabet,
                    self._weights[name],
                    self.sources[name].frame_seconds,
                    {top.ids[index]: lists[name][index] for index in part} if lists else {},
                )
                for name, top in self.heard.items()
            ]
            yield np.array(part), Pool.of(members)


class MeanFrames(Emitter):
    """What a rule of posteriors makes of the members' frames of the training set; there is no other split.

    Args:
        committee: The members.
        rule: The rule.
    """

    def __init__(self, committee: Committee, rule: PosteriorRule) -> None:
        self._committee = committee
        self._rule = rule

    @property
    def alphabet(self) -> Alphabet:
        """That of the first member by name, as the rule has it."""
        return self._committee.sources[min(self._committee.sources)].alphabet

    def posteriors_key(self, split: Split) -> str:
        """Key of the mean."""
        return digest([plain_rule(self._rule), self._committee.key])

    def ids(self, split: Split) -> tuple[str, ...]:
        """The utterances, in the order of the manifest."""
        return self._committee.ids

    def lengths(self, split: Split) -> NDArray[np.int64]:
        """Frames of every utterance, (utterances,): those of any member."""
        lengths: NDArray[np.int64] = np.diff(next(iter(self._committee.heard.values())).offsets)
        return lengths

    def batches(self, split: Split) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
        """One utterance after the other."""
        for indices, pool in self._committee.pools():
            found = self._rule.fuse(pool)
            for index, frames in zip(indices, found, strict=True):
                yield np.array([index]), torch.from_numpy(frames[None]), torch.tensor([len(frames)])


class HypothesisTeacher(Teacher):
    """What a rule of hypotheses makes of the members' lists.

    Args:
        trial: The student's trial.
        name: What messages call it.
        kept: The ensemble.
        rule: Its rule.
    """

    def __init__(self, trial: Trial, name: str, kept: KeptEnsemble, rule: HypothesisRule) -> None:
        self.name = name
        self._trial = trial
        self._kept = kept
        settings = rule.settings
        if isinstance(settings, RescoringSettings):
            settings = settings.model_copy(update={"alpha": 0.0, "beta": 0.0})
        self._rule = type(rule)(settings)

    @property
    def alphabet(self) -> Alphabet:
        """There is none."""
        raise self._no_frames()

    def posteriors(self) -> TopPosteriors:
        """There are none."""
        raise self._no_frames()

    def n_best(self, count: int) -> Lists:
        """The rule's best hypotheses."""
        committee, kept = Committee(self._trial, self._kept), self._kept.n_best
        key = digest([_FORMAT, plain_rule(self._rule), kept, count, committee.key])
        return keep_lists(self._trial.store, key, lambda: self._search(committee, count))

    def _search(self, committee: Committee, count: int) -> Iterator[list[Hypothesis]]:
        lists = {
            name: n_best_lists(self._trial.store, top, committee.sources[name].alphabet, self._kept.n_best)
            for name, top in committee.heard.items()
        }
        for _, pool in committee.pools(lists):
            for found in self._rule.n_best(pool, Evidence(), count):
                yield [Hypothesis(one.id, one.text, _weight(one)) for one in found]

    def _no_frames(self) -> CheckpointError:
        return CheckpointError(
            f"{self.name} is an ensemble by {self._rule.name}, which combines hypotheses and says nothing of frames: "
            "it teaches at distillation.level sequence alone; one by arithmetic or geometric teaches at every level"
        )


def _member(trial: Trial, part: Part) -> Ingredient:
    place = trial.store.path("checkpoints" if part.is_network else IMPORTED_POSTERIORS, part.key)
    return Ingredient(part.name, place, part.key)


def _frames(top: TopPosteriors, indices: Sequence[int], alphabet: Alphabet) -> Posteriors:
    """Some utterances with all labels."""
    frames = [top[index] for index in indices]
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in frames])]).astype(np.int64)
    return Posteriors(tuple(top.ids[i] for i in indices), np.concatenate(frames), offsets, alphabet.labels)


def _weight(found: Hypothesis) -> float:
    """The score of a hypothesis; 0 where the rule gives none, and where no member can write any of its utterance."""
    return found.acoustic if found.acoustic is not None and isfinite(found.acoustic) else 0.0
