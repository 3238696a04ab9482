"""The search for words in posteriors, and the language model that helps it."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from search_spaces.axes.section import Section


class DecodingSettings(Section):
    """Score of a hypothesis: log P_CTC + alpha * ln P_LM + beta * words, in nats.

    `temperature`, `prior_scale` and `blank_bias` change the posteriors before the search, greedy or with a beam.

    Attributes:
        method: ``greedy`` takes the best label of every frame; ``beam`` searches with the language model.
        alpha: Weight of the language model, in nats.
        beta: Bonus for every word, in nats.
        beam_width: Hypotheses kept after every frame.
        token_min_logp: Labels of a frame below this log-probability are not tried.
        beam_prune_logp: Hypotheses so much worse than the best are dropped.
        unknown_offset: Added to the log10 probability of a word that the language model does not know, and, in nats,
            to the score of a word begun as no known word begins.
        temperature: Of the posteriors: above 1 flattens them, below 1 sharpens them.
        prior_scale: How much of the labels' log prior, the mean posterior on the training set, is taken off.
        blank_bias: Added to the blank's log-probability, in nats.
        posteriors: Study whose promoted checkpoint is decoded; needed only where several are named.
    """

    method: Literal["greedy", "beam"] = "greedy"
    alpha: float = Field(0.5, ge=0, le=20)
    beta: float = Field(1.5, ge=-50, le=50)
    beam_width: int = Field(50, ge=1, le=10_000)
    token_min_logp: float = Field(-5.0, le=0)
    beam_prune_logp: float = Field(-10.0, le=0)
    unknown_offset: float = Field(-10.0, ge=-1000, le=0)
    temperature: float = Field(1.0, ge=0.01, le=100)
    prior_scale: float = Field(0.0, ge=0, le=5)
    blank_bias: float = Field(0.0, ge=-50, le=50)
    posteriors: str = ""


class LanguageModelSettings(Section):
    """Word n-grams estimated from a text, interpolated modified Kneser-Ney.

    Attributes:
        text: One sentence a line, never from dev or test. Without it: the transcripts of the training set.
        order: Longest n-gram, in words.
        discount_fallback: Take fixed discounts where the text is too small or too regular to estimate them.
    """

    text: Path | None = Field(None, strict=False)
    order: int = Field(4, ge=2, le=6)
    discount_fallback: bool = False
