"""A language model made of texts, and what its user should know of it."""

import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from search_spaces.errors import LanguageModelError, UserError
from search_spaces.finding import find_campaign
from search_spaces.reading import read_campaign
from trainers.data.manifest import read_manifest
from trainers.decoding.arpa import NGramModel
from trainers.decoding.kneser_ney import estimate
from trainers.decoding.perplexity import Fit, fit
from trainers.decoding.texts import STDIN, read_sentences, split_words
from trainers.decoding.vocabulary import unknown_words
from trainers.decoding.word_list import read_word_list
from trainers.store import reason


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What a model is held against.

    Attributes:
        wanted: Words it should know, and how often each is wanted, by where they come from.
        test: Sentences whose perplexity is asked for; None if it is not.
    """

    wanted: dict[str, Counter[str]] = field(default_factory=dict)
    test: tuple[str, ...] | None = None


def read_yardstick(lexicon: Path | None, campaign: str | None, test: Path | None) -> Yardstick:
    """Read what a model is to be held against.

    Args:
        lexicon: A file with a word at the start of every line.
        campaign: A campaign whose training transcripts it should know.
        test: A text, a sentence a line.

    Raises:
        UserError: One of them cannot be read, or holds no words.
    """
    wanted: dict[str, Counter[str]] = {}
    if lexicon is not None:
        wanted[str(lexicon)] = Counter(read_word_list(lexicon))
    if campaign is not None:
        train = read_manifest(read_campaign(find_campaign(campaign)[0]).data.train)
        wanted["the training transcripts"] = Counter(word for utterance in train for word in utterance.text.split())
    sentences = None if test is None else tuple(read_sentences([test]))
    if sentences is not None and not any(map(split_words, sentences)):
        raise LanguageModelError(f"{test} has no words; give a text of one sentence a line")
    return Yardstick(wanted, sentences)


def refuse_place(out: Path, texts: Sequence[Path]) -> None:
    """Refuse a place that a model cannot be written to, before anything is estimated.

    Raises:
        UserError: There is no such folder, it is a folder itself, or one of the texts.
    """
    if out == STDIN:
        return
    if not out.parent.is_dir():
        raise UserError(f"cannot write {out}: there is no folder {out.parent}")
    if out.is_dir():
        raise UserError(f"cannot write {out}: it is a folder; name a file in it, such as {out / 'lm.arpa'}")
    if out.resolve() in [text.resolve() for text in texts if text != STDIN]:
        raise UserError(f"cannot write {out}: it is one of the texts; name another file")


def make_model(texts: Sequence[Path], order: int, prune: Sequence[int], *, discount_fallback: bool) -> NGramModel:
    """Estimate a model of texts, read one after another.

    Raises:
        LanguageModelError: A text cannot be read, or no model can be made of them.
    """
    return estimate(read_sentences(texts), order, discount_fallback=discount_fallback, prune=prune)


def write_model(model: NGramModel, out: Path) -> None:
    """Write a model, ``-`` to standard output.

    Raises:
        UserError: It cannot be written; a file that was there is untouched.
    """
    if out == STDIN:
        model.print(sys.stdout.buffer)
        return
    try:
        model.write(out)
    except OSError as error:
        raise UserError(f"cannot write {out}: {reason(error)}") from error


def measure(model: NGramModel, yardstick: Yardstick) -> tuple[list[str], Fit | None]:
    """Hold a model against the words and the text it will meet.

    Returns:
        Warnings of words it lacks, and how it fits the text.
    """
    warnings = [unknown_words(words, model.words, source, "the model") for source, words in yardstick.wanted.items()]
    found = None
    if yardstick.test is not None:
        with tempfile.TemporaryDirectory() as folder:
            model.write(Path(folder) / "lm.arpa")
            found = fit(Path(folder) / "lm.arpa", yardstick.test)
    return [warning for warning in warnings if warning], found
