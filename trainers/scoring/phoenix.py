r"""What the evaluation of RWTH-PHOENIX-Weather 2014 does to hypotheses before sclite compares them.

The corpus' ``evaluatePhoenix2014.sh`` (Koller, Forster and Ney 2015) changes the recogniser's CTM line by line and
leaves references as they are:

1. ``loc-``, ``cl-``, ``qu-``, ``poss-`` and ``lh-`` are taken out, wherever they stand; ``S0NNE`` becomes ``SONNE``,
   ``HABEN2`` becomes ``HABEN``.
2. ``__EMOTION__``, ``__PU__`` and ``__LEFTHAND__`` are taken out. ``__ON__`` and ``__OFF__`` are words like others.
3. ``WIE AUSSEHEN`` becomes ``WIE-AUSSEHEN``, and a ``ZEIGEN`` at the end of a word ``ZEIGEN-BILDSCHIRM``.
4. Spelt letters, among them ``SCH`` and ``NN``, are joined by ``+``: ``A B C`` becomes ``A+B+C``.
5. ``RAUM`` behind two capital letters and ``-PLUSPLUS`` are taken out: ``NORDRAUM`` becomes ``NORD``.
6. Of a gloss of capital letters alone that comes several times in a row, one stays; a pass takes one of two, and there
   are four passes.
7. A line with ``__EPENTHESIS__`` is left out. An utterance without words is given the word ``[EMPTY]`` there, which
   costs as much as the missing word it is aligned with; here it stays empty.

A CTM has one word a line, so that rules 4 and 6, and ``WIE AUSSEHEN``, never apply there: `clean_words`. The
ports of the script that score whole sentences, and those who write a sentence a line, apply them all: `clean_sentence`.
Their figures do not compare, hence two names.
"""

import re

_WITHIN_WORDS: tuple[tuple[str, str], ...] = (
    ("loc-|cl-|qu-|poss-|lh-", ""),
    ("S0NNE", "SONNE"),
    ("HABEN2", "HABEN"),
    ("__EMOTION__|__PU__|__LEFTHAND__", ""),
)
_ACROSS_WORDS: tuple[tuple[str, str], ...] = (
    ("WIE AUSSEHEN", "WIE-AUSSEHEN"),
    ("ZEIGEN ", "ZEIGEN-BILDSCHIRM "),
    ("ZEIGEN$", "ZEIGEN-BILDSCHIRM"),
    (r"^([A-Z]) ([A-Z][+ ])", r"\1+\2"),
    (r"[ +]([A-Z]) ([A-Z]) ", r" \1+\2 "),
    *[(r"([ +][A-Z]) ([A-Z][ +])", r"\1+\2")] * 3,
    (r"([ +]SCH) ([A-Z][ +])", r"\1+\2"),
    (r"([ +]NN) ([A-Z][ +])", r"\1+\2"),
    (r"([ +][A-Z]) (NN[ +])", r"\1+\2"),
    (r"([ +][A-Z]) ([A-Z])$", r"\1+\2"),
    ("([A-Z][A-Z])RAUM", r"\1"),
    ("-PLUSPLUS", ""),
    *[(r"(?<![\w-])(\b[A-Z]+(?![\w-])) \1(?![\w-])", r"\1")] * 4,
)
_RULES = [(re.compile(pattern, re.ASCII), by) for pattern, by in _WITHIN_WORDS + _ACROSS_WORDS]
EPENTHESIS = "__EPENTHESIS__"


def clean_sentence(hypothesis: str) -> str:
    """A hypothesis by the rules of the evaluation, applied to the whole sentence."""
    return " ".join(_clean(" ".join(word for word in hypothesis.split() if EPENTHESIS not in word)).split())


def clean_words(hypothesis: str) -> str:
    """A hypothesis by the rules of the evaluation, applied word by word, as the script does to a CTM."""
    return " ".join(filter(None, (_clean(word) for word in hypothesis.split() if EPENTHESIS not in word)))


def _clean(text: str) -> str:
    for pattern, by in _RULES:
        text = pattern.sub(by, text)
    return text
