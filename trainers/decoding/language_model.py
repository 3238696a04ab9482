"""A language model in the store: an ARPA file and, beside it, its list of words."""

from dataclasses import dataclass
from pathlib import Path

from search_spaces.axes.decoding import LanguageModelSettings
from search_spaces.errors import LanguageModelError
from trainers.data.manifest import read_manifest
from trainers.decoding.kneser_ney import estimate
from trainers.store import Store, digest, digest_files

ARPA = "lm.arpa"
WORDS = "words.txt"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class LanguageModelFiles:
    """A language model on disk.

    Attributes:
        folder: Holds the ARPA file and the word list.
        key: What it was made from, as a digest.
    """

    folder: Path
    key: str

    @property
    def arpa(self) -> Path:
        """The model itself."""
        return self.folder / ARPA

    @property
    def words(self) -> tuple[str, ...]:
        """Every word it knows; a decoder must be given them, since a model file may not hold the list."""
        return tuple((self.folder / WORDS).read_text(encoding="utf-8").split("\n")[:-1])


def language_model_key(settings: LanguageModelSettings, content: str = "") -> str:
    """Key of the language model of a text: its content and the order.

    Args:
        settings: Which text, and which model.
        content: Fingerprint of the training set, whose transcripts are the text if none is given.

    Raises:
        LanguageModelError: The text cannot be read.
    """
    try:
        text = content if settings.text is None else digest_files([settings.text])
    except OSError as error:
        raise LanguageModelError(f"{settings.text} cannot be read: {error.strerror}") from error
    return digest([_FORMAT, text, settings.order, settings.discount_fallback])


def build_language_model(
    store: Store, settings: LanguageModelSettings, train: Path | None = None, content: str = ""
) -> LanguageModelFiles:
    """The language model of a text, estimated once.

    Args:
        store: Where it is kept.
        settings: Which text, and which model.
        train: The training set, whose transcripts are the text if none is given.
        content: Its fingerprint.

    Raises:
        LanguageModelError: The text cannot be read, or no model can be made of it.
        DataError: The training set cannot be read.
    """

    def make(folder: Path) -> None:
        model = estimate(_sentences(settings.text, train), settings.order, discount_fallback=settings.discount_fallback)
        model.write(folder / ARPA)
        (folder / WORDS).write_text("".join(f"{word}\n" for word in model.words), encoding="utf-8")

    key = language_model_key(settings, content)
    return LanguageModelFiles(store.entry("language_models", key, make), key)


def _sentences(text: Path | None, train: Path | None) -> list[str]:
    """The sentences of a text, or those of the training set."""
    if text is None:
        if train is None:
            raise LanguageModelError("a language model needs a text, or a training set whose transcripts are one")
        return [utterance.text for utterance in read_manifest(train)]
    try:
        lines = text.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise LanguageModelError(f"{text} is not UTF-8: {error}") from error
    # a text ends with a newline: what split() leaves behind it is no sentence
    return lines[:-1] if lines[-1] == "" else lines
