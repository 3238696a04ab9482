"""A language model in the store, estimated or brought along: the model and, beside it, its list of words."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from search_spaces.axes.decoding import FILE_SETTINGS, LanguageModelSettings
from search_spaces.errors import LanguageModelError
from trainers.data.manifest import read_manifest
from trainers.decoding.kneser_ney import estimate
from trainers.decoding.texts import open_packed, read_sentences
from trainers.decoding.word_list import read_word_list, words_of_arpa
from trainers.store import Store, digest, digest_files

ARPA = "lm.arpa"
BINARY = "lm.binary"
WORDS = "words.txt"
_FORMAT = 2


@dataclass(frozen=True, slots=True)
class LanguageModelFiles:
    """A language model on disk.

    Attributes:
        folder: Holds the model and the word list.
        key: What it was made from, as a digest.
    """

    folder: Path
    key: str

    @property
    def arpa(self) -> Path:
        """The model as an ARPA file; absent where one in KenLM's binary form was brought along."""
        return self.folder / ARPA

    @property
    def model(self) -> Path:
        """The file that KenLM loads."""
        return self.folder / BINARY if (self.folder / BINARY).is_file() else self.arpa

    @property
    def words(self) -> tuple[str, ...]:
        """Every word it knows; a decoder must be given them, since a model file may not hold the list."""
        return tuple((self.folder / WORDS).read_text(encoding="utf-8").split("\n")[:-1])


def language_model_key(settings: LanguageModelSettings, content: str = "") -> str:
    """Key of a language model: the content of the files it depends on, and how it is made of them.

    Args:
        settings: Which texts, and which model.
        content: Fingerprint of the training set, whose transcripts are the text if none is given.

    Raises:
        LanguageModelError: A file cannot be read.
    """
    files = []
    for path in settings.files:
        try:
            files.append(digest_files([path]))
        except OSError as error:
            raise LanguageModelError(f"{path} cannot be read: {error.strerror}") from error
    return digest([_FORMAT, files or content, settings.model_dump(mode="json", exclude=set(FILE_SETTINGS))])


def build_language_model(
    store: Store, settings: LanguageModelSettings, train: Path | None = None, content: str = ""
) -> LanguageModelFiles:
    """The language model of a campaign, estimated or copied once.

    Args:
        store: Where it is kept.
        settings: Which texts, and which model.
        train: The training set, whose transcripts are the text if none is given.
        content: Its fingerprint.

    Raises:
        LanguageModelError: A file cannot be read, or no model can be made of it.
        DataError: The training set cannot be read.
    """

    def make(folder: Path) -> None:
        if settings.own is None:
            model = estimate(
                _sentences(settings, train),
                settings.order,
                discount_fallback=settings.discount_fallback,
                prune=settings.prune,
            )
            model.write(folder / ARPA)
            words = model.words
        else:
            words = words_of_arpa(settings.own) if settings.words is None else read_word_list(settings.words)
            with settings.own.open("rb") as file, (folder / (BINARY if settings.binary else ARPA)).open("wb") as copy:
                shutil.copyfileobj(open_packed(file), copy)
        (folder / WORDS).write_text("".join(f"{word}\n" for word in words), encoding="utf-8")

    key = language_model_key(settings, content)
    return LanguageModelFiles(store.entry("language_models", key, make), key)


def _sentences(settings: LanguageModelSettings, train: Path | None) -> Iterable[str]:
    """The sentences of the texts, or those of the training set."""
    if settings.text:
        return read_sentences(settings.text)
    if train is None:
        raise LanguageModelError("a language model needs a text, or a training set whose transcripts are one")
    return (utterance.text for utterance in read_manifest(train))
