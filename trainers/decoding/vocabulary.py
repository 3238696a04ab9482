"""Whether a language model's words can be written in an alphabet; a decoder says nothing when they cannot."""

from collections.abc import Callable, Sequence

from search_spaces.errors import LanguageModelError
from trainers.data.labels import Alphabet

_SAMPLE = 2000  # words are enough to see a whole vocabulary in another case


def refuse_foreign_words(alphabet: Alphabet, words: Sequence[str], source: str) -> None:
    """Refuse a language model that cannot help: every word that the network writes would be unknown to it.

    Args:
        alphabet: What the network writes.
        words: What the language model knows.
        source: The language model, for messages.

    Raises:
        LanguageModelError: It has no words, none that the labels can spell, or more of them in another case.
    """
    if not words:
        raise LanguageModelError(f"{source} comes with no list of words; put every word it knows into the list")
    sample = words[:: -(-len(words) // _SAMPLE)]

    def spelled(change: Callable[[str], str]) -> int:
        return sum(alphabet.encode(change(word)) is not None for word in sample)

    as_is = spelled(str)
    for name, change in (("upper", str.upper), ("lower", str.lower), ("title", str.title)):
        if spelled(change) > max(as_is, len(sample) // 10 if as_is else 0):
            raise LanguageModelError(
                f"{source} and the labels differ in case: {as_is} of {len(sample)} words can be written in the labels, "
                f"in {name} case {spelled(change)}. Write the text of the language model in the case of the transcripts"
            )
    if not as_is:
        labels = " ".join([label for label in alphabet.labels if label.strip()][:8])
        raise LanguageModelError(
            f"no word of {source} can be written in the labels: words such as {' '.join(words[:5])}, labels such as "
            f"{labels}. Take a language model of the transcripts' language and spelling"
        )
