"""What the network reads."""

from typing import Literal

from pydantic import Field

from search_spaces.axes.section import Section

Units = Literal["char", "marked_char", "word", "mixed"]


class FeatureSettings(Section):
    """Front end.

    Attributes:
        kind: ``logmel`` of audio files, or ``stored`` feature files used as they are.
        bands: Mel bands of ``logmel``.
        normalise: Mean and variance over each utterance, or over all utterances of its speaker in the same set. The
            latter is transductive: it looks at the speaker's other utterances, also when testing.
        stack: So many neighbouring frames become one.
    """

    kind: Literal["logmel", "stored"] = "logmel"
    bands: int = Field(40, ge=8, le=128)
    normalise: Literal["none", "utterance", "speaker"] = "speaker"
    stack: int = Field(1, ge=1, le=16)
