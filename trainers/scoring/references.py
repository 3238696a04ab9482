"""What was said, and what counts the errors of those who heard it: all that a choice or a judgement may look at."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trainers.artifacts import Hypothesis, Score
from trainers.scoring.scorer import PLAIN, Scorer


@dataclass(frozen=True, slots=True)
class References:
    """The transcripts of some utterances.

    Attributes:
        texts: What was said, by the utterance's id, in the order of the set.
        scorer: Counts errors.
    """

    texts: Mapping[str, str]
    scorer: Scorer = PLAIN

    def __len__(self) -> int:
        return len(self.texts)

    def __contains__(self, name: str) -> bool:
        return name in self.texts

    def errors(self, name: str, text: str) -> int:
        """Word errors of a hypothesis for one of the utterances.

        Args:
            name: The utterance's id.
            text: What was recognised.

        Raises:
            ScoringError: The reference's notation of several wordings is wrong.
        """
        return self.scorer.errors(self.texts[name], text)

    def score(self, hypotheses: Iterable[Hypothesis]) -> Score:
        """Pooled word errors of the utterances; hypotheses of others do not count.

        Args:
            hypotheses: Of all of the utterances, and perhaps of others.

        Raises:
            ScoringError: The notation of a reference is wrong.
            KeyError: There is no hypothesis of one of them.
        """
        found = {hypothesis.id: hypothesis.text for hypothesis in hypotheses}
        return self.scorer.score_set(self.texts.values(), (found[name] for name in self.texts))
