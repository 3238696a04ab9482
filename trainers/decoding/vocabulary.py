"""Whether a language model's words are those of the labels and of the transcripts; a decoder says nothing if not."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence, Set

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


def unknown_words(wanted: Counter[str], known: Collection[str], source: str, model: str) -> str:
    """Say which words a language model lacks: to it they are all one unknown word, and the decoder avoids them.

    Args:
        wanted: The words it should know, and how often each is wanted.
        known: The words it knows.
        source: Where the words come from, for the message.
        model: The language model, for the message.

    Returns:
        A sentence with their share and the most frequent of them; empty if it lacks none.
    """
    known = known if isinstance(known, Set) else frozenset(known)
    missing = Counter({word: count for word, count in wanted.items() if word not in known})
    if not missing:
        return ""
    shown = ", ".join(f"{word} ({count})" if count > 1 else word for word, count in missing.most_common(10))
    more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
    said = (
        f"{missing.total()} of {wanted.total()} words of {source} ({100 * missing.total() / wanted.total():.1f} %) are "
        f"unknown to {model}: {shown}{more}"
    )
    folded = {word.casefold() for word in known}
    other_case = sum(word.casefold() in folded for word in missing)
    if other_case:
        said += (
            f". It has {other_case} of these {len(missing)} in another case: write texts and transcripts in one case"
        )
    return said
