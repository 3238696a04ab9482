"""What the network reads."""

from typing import Literal

from pydantic import Field

from search_spaces.axes.section import Section

Units = Literal["char", "marked_char", "word", "mixed"]


class FeatureSettings(Section):
    """Front end. What is set below ``bands`` is applied in that order when a batch is read: one packed file serves all.

    Attributes:
        kind: ``logmel`` of audio files, or ``stored`` feature files used as they are.
        bands: Mel bands of ``logmel``.
        normalise: Mean and variance over each utterance, or over all utterances of its speaker in the same set. The
            latter is transductive: it looks at the speaker's other utterances, also when testing.
        deltas: How often the slope over two frames on each side is added to the bands: 0, 1 or 2 times.
        subsample: Only every n-th frame is kept.
        stack: So many neighbouring frames of those become one.
    """

    kind: Literal["logmel", "stored"] = "logmel"
    bands: int = Field(40, ge=8, le=128)
    normalise: Literal["none", "utterance", "speaker"] = "speaker"
    deltas: int = Field(0, ge=0, le=2)
    subsample: int = Field(1, ge=1, le=16)
    stack: int = Field(1, ge=1, le=16)

    @property
    def blocks(self) -> int:
        """How often the bands stand side by side in a frame that the network reads."""
        return self.stack * (1 + self.deltas)

    @property
    def step(self) -> int:
        """Frames of the file that a frame the network reads stands for."""
        return self.subsample * self.stack
