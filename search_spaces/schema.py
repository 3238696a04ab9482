"""What a strategy declares about itself, so that a campaign file can be checked without running anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from search_spaces.axes.section import Section
from search_spaces.space import Value

Product = Literal["network", "frames", "texts"]
"""What comes of a trial: one network (or what was imported), posteriors of several, or hypotheses of several alone."""


@dataclass(frozen=True, slots=True)
class Need:
    """Something a strategy takes from other studies.

    Attributes:
        name: The key under ``needs:``.
        summary: What it is, for messages.
        many: Whether a list of studies may be named; each is then a choice of the axis ``axis``.
        optional: Whether a study may leave it out.
        axis: Name of the axis that chooses among several; empty when all are used together.
        every_trial: Whether all trials of the studies serve, and not their promoted ones alone.
        replicated: Whether it is the configuration of the study's promoted trial that is taken, and no checkpoint.
        texts: A setting and the value with which hypotheses alone serve; an ensemble's posteriors serve with any other,
            too. None where it has to be a network.
    """

    name: str
    summary: str
    many: bool = False
    optional: bool = False
    axis: str = ""
    every_trial: bool = False
    replicated: bool = False
    texts: tuple[str, Value] | None = None


@dataclass(frozen=True, slots=True)
class StrategySchema:
    """The part of a strategy that a campaign file speaks of.

    Attributes:
        name: Its name in ``strategy:``; the name of its file.
        summary: One line.
        sections: Sections of settings that this strategy adds to those of every trial.
        axes: Sections (or single settings) that a study of this strategy may search or fix.
        uses: Sections that decide a trial's result; those of `axes` when left empty.
        needs: What it takes from other studies.
        requires: Optional sections of the campaign that must be there.
        trains: Whether a trial trains a network, epoch by epoch.
        gives: A setting, and what comes of a trial by its value; None where it is always one network.
        repeats: Dotted name of the setting that says how often it does so at most; once where it is empty.
        fixed: Settings that every trial of this strategy has unless the study says otherwise.
        taps: Whether it reaches into the encoder, and so takes no module of the user's own.
        replicates: Whether its trials are replicates: each has a ``train.seed`` of its own; unless the study says
            otherwise there are five, and none is stopped because it is losing.
        races: Whether a trial that decodes for long can be stopped when it has lost to another (`trainers.racing`).
        first: Settings of trials that come before any search, as a reference; for every choice of a need one each.
        surface: Whether its trials are points of a surface over what is saved already: the middle of the flat region is
            promoted instead of the best, and the best points are searched again with wider pruning at last.
    """

    name: str
    summary: str
    axes: tuple[str, ...]
    uses: tuple[str, ...] = ()
    sections: Mapping[str, type[Section]] = field(default_factory=dict)
    needs: tuple[Need, ...] = ()
    requires: tuple[str, ...] = ()
    trains: bool = True
    gives: tuple[str, Mapping[str, Product]] | None = None
    repeats: str = ""
    fixed: Mapping[str, Value] = field(default_factory=dict)
    taps: bool = False
    replicates: bool = False
    races: bool = False
    first: tuple[Mapping[str, Value], ...] = ()
    surface: bool = False

    @property
    def pruners(self) -> tuple[str, ...]:
        """Kinds of pruner that can stop its trials, the one first that a study has which names none."""
        if self.races:
            return "race", "none"
        if not self.trains:
            return ("none",)
        return ("none", "median", "hyperband") if self.replicates else ("median", "hyperband", "none")


Catalogue = Mapping[str, StrategySchema]
