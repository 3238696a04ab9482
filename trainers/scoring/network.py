"""References that allow several wordings, in sclite's notation, as networks of words.

``{ okay / all right / @ }`` stands for one of its wordings, `@` for none, and a wording may hold braces again. ``(uh)``
may be missing without being an error where optional words are asked for (sclite's option -D), and is a word like others
elsewhere.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from search_spaces.errors import ScoringError

NULL = "@"


@dataclass(frozen=True, slots=True)
class Arc:
    """One word of a network.

    Attributes:
        word: The word; None for the network's head and end, which stand for nothing.
        before: Positions of the arcs that may come right before it, in order of preference; empty for the head.
        optional: It may be missing.
    """

    word: str | None
    before: tuple[int, ...] = ()
    optional: bool = False


HEAD = Arc(None)


def linear(words: Sequence[str]) -> list[Arc]:
    """The network of a single wording."""
    return [HEAD, *(Arc(word, (index,)) for index, word in enumerate(words)), Arc(None, (len(words),))]


def network(text: str, optional: bool = False) -> list[Arc]:
    """The network of a reference.

    Args:
        text: The reference; white space stands around braces, slashes and words.
        optional: Words in parentheses may be missing.

    Raises:
        ScoringError: Braces do not match, or a wording between slashes is empty.
    """
    arcs = [HEAD]
    tokens = iter(text.split())
    ends, closing = _sequence(tokens, (0,), arcs, optional)
    if closing:
        raise ScoringError(f"reference {text!r}: {closing} stands outside of braces")
    return [*arcs, Arc(None, ends)]


def _sequence(
    tokens: Iterator[str], before: tuple[int, ...], arcs: list[Arc], optional: bool
) -> tuple[tuple[int, ...], str]:
    """Append words up to a slash or a closing brace; the arcs they end in, and what ended them."""
    for token in tokens:
        if token in ("/", "}"):
            return before, token
        if token == "{":
            before = _alternatives(tokens, before, arcs, optional)
        else:
            before = (_append(arcs, token, before, optional),)
    return before, ""


def _alternatives(tokens: Iterator[str], before: tuple[int, ...], arcs: list[Arc], optional: bool) -> tuple[int, ...]:
    ends: list[int] = []
    closing = "/"
    while closing == "/":
        length = len(arcs)
        found, closing = _sequence(tokens, before, arcs, optional)
        if len(arcs) == length:
            raise ScoringError(f"a wording between braces is empty: write {NULL} for no word at all")
        ends += found
    if not closing:
        raise ScoringError("a brace is opened and not closed")
    return tuple(ends)


def _append(arcs: list[Arc], token: str, before: Iterable[int], optional: bool) -> int:
    if optional and len(token) > 2 and token[0] == "(" and token[-1] == ")":
        arcs.append(Arc(token[1:-1], tuple(before), optional=True))
    else:
        arcs.append(Arc(token, tuple(before)))
    return len(arcs) - 1
