"""Names of scorers: how words are aligned, and what is done to the texts first. `trainers.scoring` does it.

A name is ``ALIGNMENT[/characters][/NORMALISER+...]``, such as ``levenshtein-1``, ``sclite-1/fold-1`` (sclite as it is
usually called) or ``levenshtein-1/characters/nfc-1``. It holds versions, and stands in the record of every trial.
"""

from search_spaces.errors import ScoringError

DEFAULT = "levenshtein-1"
"""Words compared as they are: the scorer of a campaign that names none."""
ALIGNMENTS = (DEFAULT, "sclite-1", "sclite_optional-1")
NORMALISERS = ("fold-1", "nfc-1", "phoenix2014-1", "phoenix2014_words-1", "punctuation-1")
CHARACTERS = "characters"


def parse_scorer(name: str) -> tuple[str, bool, tuple[str, ...]]:
    """The parts of a scorer's name: alignment, whether characters are compared, and normalisers in their order.

    Raises:
        ScoringError: There is no such scorer.
    """
    alignment, *rest = name.split("/")
    if alignment not in ALIGNMENTS:
        raise ScoringError(f"no scorer is called {alignment!r}; there are {', '.join(ALIGNMENTS)}")
    characters = rest[:1] == [CHARACTERS]
    written = "/".join(rest[characters:])
    normalisers = tuple(written.split("+")) if written else ()
    for normaliser in normalisers:
        if normaliser not in NORMALISERS:
            raise ScoringError(f"no normaliser is called {normaliser!r}; there are {', '.join(NORMALISERS)}")
    return alignment, characters, normalisers
