"""Which search decodes a set: the kernel where it serves, pyctcdecode where it does not.

Figures do not depend on it: the two give equal results, and a sample of every search is decoded by both. If they ever
differ, pyctcdecode decodes the set.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

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


class Search:
    """The search for one alphabet and one language model, for one set after another or one part of a set after another.

    Use it as a context manager, as `BeamDecoder`.

    Args:
        alphabet: Names of the columns of the posteriors.
        language_model: None searches without one.

    Attributes:
        note: Why it is not the kernel that searches; empty while it is.

    Raises:
        LanguageModelError: KenLM cannot load the file.
    """

    def __init__(self, alphabet: Alphabet, language_model: LanguageModelFiles | None) -> None:
        self.note = ""
        self._reference = BeamDecoder(alphabet, language_model)
        self._kernel: Kernel | None = None
        self._verified = False
        try:
            self._kernel = Kernel(alphabet, language_model)
        except NotCovered as reason:
            self._leave_kernel(str(reason))

    def __enter__(self) -> "Search":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reference.__exit__(kind, error, trace)

    def decode(self, posteriors: Posteriors, points: Sequence[DecodingSettings]) -> list[list[Hypothesis]]:
        """Decode a set, or a part of one, at one or many points; a sample of the first is decoded by pyctcdecode too.

        Args:
            posteriors: Natural log, normalised.
            points: Weights, beams and thresholds; many in a call share work.

        Returns:
            For each point, the best hypothesis of every utterance in the order of the set.

        Raises:
            ValueError: An utterance has no frame, or a value is not finite.
        """
        if self._kernel is not None:
            try:
                found = self._kernel.decode_points(posteriors, points)
            except NotCovered as reason:
                self._leave_kernel(str(reason))
            else:
                difference = None if self._verified else verify(found, self._reference, posteriors, points)
                self._verified = True
                if difference is None:
                    return found
                self._leave_kernel(f"the kernel differs from it ({difference})")
                warnings.warn(self.note, RuntimeWarning, stacklevel=2)
        return self._reference.decode_points(posteriors, points)

    def _leave_kernel(self, why: str) -> None:
        self._kernel, self.note = None, f"searched by pyctcdecode: {why}"


def search_set(
    alphabet: Alphabet,
    language_model: LanguageModelFiles | None,
    posteriors: Posteriors,
    points: Sequence[DecodingSettings],
) -> Searched:
    """Decode a set at one or many points, as `Search` does."""
    with Search(alphabet, language_model) as search:
        return Searched(search.decode(posteriors, points), search.note)


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
