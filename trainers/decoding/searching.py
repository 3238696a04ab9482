"""Which search decodes a set: the kernel where it serves, pyctcdecode where it does not.

Figures do not depend on it: the two give equal results, and a sample of every call is decoded by both. If they ever
differ, pyctcdecode decodes the set.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search_spaces.axes.decoding import DecodingSettings
from trainers.artifacts import Hypothesis, Posteriors
from trainers.data.labels import Alphabet
from trainers.decoding.beam import BeamDecoder
from trainers.decoding.kernel import Kernel
from trainers.decoding.language_model import LanguageModelFiles
from trainers.decoding.library import NotCovered

SAMPLE = 3


@dataclass(frozen=True, slots=True)
class Searched:
    """What came of a search.

    Attributes:
        hypotheses: For each point, the best hypothesis of every utterance in the order of the set.
        note: Why it was not the kernel that searched; empty if it was.
    """

    hypotheses: list[list[Hypothesis]]
    note: str


def search_set(
    alphabet: Alphabet,
    language_model: LanguageModelFiles | None,
    posteriors: Posteriors,
    points: Sequence[DecodingSettings],
) -> Searched:
    """Decode a set at one or many points.

    Args:
        alphabet: Names of the columns of the posteriors.
        language_model: None searches without one.
        posteriors: Natural log, normalised.
        points: Weights, beams and thresholds; many in a call share work.

    Raises:
        LanguageModelError: KenLM cannot load the file.
        ValueError: An utterance has no frame, or a value is not finite.
    """
    with BeamDecoder(alphabet, language_model) as reference:
        try:
            found = Kernel(alphabet, language_model).decode_points(posteriors, points)
        except NotCovered as reason:
            note = f"searched by pyctcdecode: {reason}"
        else:
            difference = verify(found, reference, posteriors, points)
            if difference is None:
                return Searched(found, "")
            note = f"searched by pyctcdecode: the kernel differs from it ({difference})"
            warnings.warn(note, RuntimeWarning, stacklevel=2)
        return Searched([reference.decode_set(posteriors, point) for point in points], note)


def verify(
    found: Sequence[Sequence[Hypothesis]],
    reference: BeamDecoder,
    posteriors: Posteriors,
    points: Sequence[DecodingSettings],
    sample: int = SAMPLE,
) -> str | None:
    """Compare text and scores of some utterances, spread over the set and the points, with pyctcdecode's.

    Args:
        found: What the kernel found, by point and utterance.
        reference: Decodes the sample again.
        posteriors: The set.
        points: The points.
        sample: How many utterances.

    Returns:
        What differs; None when nothing does.
    """
    if not points or not len(posteriors):
        return None
    size = min(sample, len(posteriors))
    utterances = np.linspace(0, len(posteriors) - 1, size).astype(int).tolist()
    numbers = np.linspace(0, len(points) - 1, size).astype(int).tolist()
    for utterance, number in zip(utterances, numbers, strict=True):
        name = posteriors.ids[utterance]
        wanted, given = reference.decode(posteriors[utterance], points[number], name), found[number][utterance]
        if _plain(given) != _plain(wanted):
            return f"{name}: {given.text!r}, {_scores(given)}, where it has {wanted.text!r}, {_scores(wanted)}"
    return None


def _plain(hypothesis: Hypothesis) -> tuple[str, float | None, float | None]:
    return hypothesis.text, hypothesis.acoustic, hypothesis.language


def _scores(hypothesis: Hypothesis) -> str:
    return f"{hypothesis.acoustic!r} and {hypothesis.language!r}"
