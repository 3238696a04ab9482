"""Learning from a teacher's posteriors."""

from typing import Literal

from pydantic import Field

from search_spaces.axes.section import Section

Frames = Literal["all", "blank_elim", "dilate_k", "nonblank_renorm"]


class DistillationSettings(Section):
    """Loss: alpha * T + beta * CTC.

    Attributes:
        level: What of the teacher is learned: its distribution at every ``frame``, over each of its token spans
            (``span``), where its spikes are (``guided``), or its best label sequences (``sequence``).
        alpha: Weight of the teacher.
        beta: Weight of the transcript; when it is not given 1 - alpha, and 1 at the level ``guided``.
        temperature: Softens teacher and student alike.
        frames: ``all`` valid frames; ``blank_elim``, those where the teacher's likeliest label is not the blank;
            ``dilate_k``, those and some on each side; ``nonblank_renorm``, those of ``blank_elim`` with the blank
            taken out of both distributions.
        dilate: Frames on each side for ``dilate_k``; the others do not read it.
        generations: Students one after another, each the teacher of the next; read by ``self_distillation`` alone.
        n_best: Label sequences an utterance at the level ``sequence``; the others do not read it.
    """

    level: Literal["frame", "span", "guided", "sequence"] = "frame"
    alpha: float = Field(0.5, ge=0, le=1)
    beta: float | None = Field(None, ge=0, le=10)
    temperature: float = Field(1.0, gt=0, le=100)
    frames: Frames = "blank_elim"
    dilate: int = Field(1, ge=1, le=8)
    generations: int = Field(1, ge=1, le=3)
    n_best: int = Field(8, ge=1, le=50)
