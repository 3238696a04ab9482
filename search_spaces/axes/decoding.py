"""The search for words in posteriors, and the language model that helps it."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_serializer, model_validator

from search_spaces.axes.section import Section, mistakes_at

_WIDEST = 10_000  # hypotheses


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
    beam_width: int = Field(50, ge=1, le=_WIDEST)
    token_min_logp: float = Field(-5.0, le=0)
    beam_prune_logp: float = Field(-10.0, le=0)
    unknown_offset: float = Field(-10.0, ge=-1000, le=0)
    temperature: float = Field(1.0, ge=0.01, le=100)
    prior_scale: float = Field(0.0, ge=0, le=5)
    blank_bias: float = Field(0.0, ge=-50, le=50)
    posteriors: str = ""

    def widened(self) -> dict[str, float | int]:
        """Thresholds and width of a wider search at the same point: at least -7, -20 and 100."""
        return {
            "token_min_logp": min(self.token_min_logp - 2, -7.0),
            "beam_prune_logp": min(self.beam_prune_logp - 10, -20.0),
            "beam_width": min(max(2 * self.beam_width, 100), _WIDEST),
        }


def _listed(value: Any) -> Any:
    """A list as the tuple it is kept as; one file as a list of it; none as an empty one."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list) else (value,) if isinstance(value, str | Path) else value


ORDERS = range(2, 7)

_File = Annotated[Path, Field(strict=False)]
_OWN = ("arpa", "binary", "words")
FILE_SETTINGS = ("text", *_OWN)


class LanguageModelSettings(Section):
    """Word n-grams estimated from texts, interpolated modified Kneser-Ney; or a model that is there already.

    Attributes:
        text: One or several files with one sentence a line, plain or packed by gzip, never from dev or test. Without
            it: the transcripts of the training set.
        order: Longest n-gram, in words.
        discount_fallback: Take fixed discounts where the text is too small or too regular to estimate them.
        prune: For every order, n-grams that occur so many times or fewer are dropped; the last holds above it too.
        arpa: A model that is there already, as an ARPA file.
        binary: The same in KenLM's binary form, which keeps no list of words; it needs ``words``.
        words: Every word that the model knows, one a line; an ARPA file has them itself.
    """

    text: Annotated[tuple[_File, ...], BeforeValidator(_listed)] = ()
    order: int = 4
    discount_fallback: bool = False
    prune: Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(_listed)] = ()
    arpa: _File | None = None
    binary: _File | None = None
    words: _File | None = None

    @property
    def own(self) -> Path | None:
        """The file of a model that is there already; None where it is made of texts."""
        return self.arpa or self.binary

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that it depends on; none where the transcripts of the training set are the text."""
        return self.text + tuple(path for path in (self.arpa, self.binary, self.words) if path is not None)

    @property
    def title(self) -> str:
        """What it is called where it is named beside a result."""
        return f"{self.order}-gram" if self.own is None else self.own.name

    @model_validator(mode="before")
    @classmethod
    def _be_of_one_kind(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        own = [name for name in ("arpa", "binary") if value.get(name) is not None]
        if len(own) > 1:
            raise mistakes_at(
                [("binary",)], "is beside arpa, and there is one language model; drop one", value["binary"]
            )
        if own:
            odd = [(name,) for name in cls.model_fields if name in value and name not in _OWN]
            if odd:
                message = f"says how a model is made of texts and does not go with language_model.{own[0]}; drop one"
                raise mistakes_at(odd, message, {name: value[name] for (name,) in odd})
        elif value.get("words") is not None:
            raise mistakes_at(
                [("words",)], "belongs to a model of your own; name it with arpa or binary", value["words"]
            )
        if own == ["binary"] and value.get("words") is None:
            raise mistakes_at(
                [("binary",)],
                "keeps no list of words, and a decoder without one errs far more often (14.4 % of words where it was "
                "3.1 %); add words: FILE with every word it knows, one a line, or name the ARPA file it was made of",
                value["binary"],
            )
        return value

    @field_validator("order")
    @classmethod
    def _be_of_an_order_that_kenlm_loads(cls, order: int) -> int:
        if order not in ORDERS:
            raise ValueError(f"should be {ORDERS[0]} to {ORDERS[-1]}: KenLM loads language models of these orders")
        return order

    @field_validator("prune")
    @classmethod
    def _prune_no_part_of_what_stays(cls, prune: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        if any(low > high for low, high in pairwise(prune)):
            raise ValueError("thresholds should never decrease from one order to the next, as in [0, 0, 1]")
        if len(prune) > info.data.get("order", len(prune)):
            raise ValueError(
                f"should have a threshold for each of {info.data['order']} orders, or for the first of them"
            )
        return prune

    @model_serializer(mode="wrap")
    def _dump_one_kind(self, dump: Callable[["LanguageModelSettings"], dict[str, Any]]) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if (name in _OWN) == (self.own is not None)}
