"""Learning from a teacher's posteriors."""

from typing import Literal

from pydantic import Field

from search_spaces.axes.section import Section


class DistillationSettings(Section):
    """Loss: alpha * KD + beta * CTC.

    Attributes:
        alpha: Weight of the teacher.
        beta: Weight of the transcript; 1 - alpha when it is not given.
        temperature: Softens teacher and student alike.
        frames: ``all`` valid frames, or ``blank_elim``: those where the teacher's likeliest label is not the blank.
    """

    alpha: float = Field(0.5, ge=0, le=1)
    beta: float | None = Field(None, ge=0, le=10)
    temperature: float = Field(1.0, gt=0, le=100)
    frames: Literal["all", "blank_elim"] = "blank_elim"
