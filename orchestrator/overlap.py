"""Test sets that turn up where they would be looked at: among the sets of a campaign, in a text, in an evaluation."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from search_spaces.axes.decoding import LanguageModelSettings
from search_spaces.campaign import Campaign
from search_spaces.errors import SealedError
from search_spaces.sealing import sealed_files
from trainers.artifacts import Utterance
from trainers.data.manifest import read_manifest
from trainers.data.sealed import SealedSet
from trainers.decoding.texts import read_lines


def refuse_test_set(manifest: Path, utterances: Sequence[Utterance]) -> None:
    """Refuse recordings of a test set, under whatever name: a second look makes the first worth less.

    Raises:
        SealedError: A recording is in the test set of a campaign found here.
    """
    for file, campaign in sealed_files().items():
        _refuse(SealedSet(file), campaign, manifest, utterances)


def suspicions(texts: Sequence[str]) -> list[str]:
    """Warnings of references without recordings that may be those of a test set, by which it could be known.

    Args:
        texts: What was said in each utterance.
    """
    found = []
    for file, campaign in sealed_files().items():
        there, sentences = SealedSet(file).sentences_among(texts)
        if there == sentences:
            found.append(
                f"every sentence of the test set of campaign {campaign} is among the references: if they are that set, "
                "this is a look at it that no ledger knows of"
            )
    return found


def check_test_set(campaign: Campaign) -> list[str]:
    """Refuse a campaign that trains or selects on recordings of its test set.

    Returns:
        Warnings of a text for the language model that may have been taken from it.

    Raises:
        SealedError: Recordings of train or dev are in the test set.
        DataError: One of the sets cannot be read.
    """
    if campaign.data.test is None:
        return []
    test = SealedSet(campaign.data.test)
    for manifest in (campaign.data.train, campaign.data.dev):
        _refuse(test, campaign.name, manifest, read_manifest(manifest))
    model = campaign.settings.get("language_model")
    texts = LanguageModelSettings.model_validate(model).text if model is not None else ()
    return [warning for text in texts for warning in _suspicions(test, text)]


def _refuse(test: SealedSet, campaign: str, manifest: Path, utterances: Sequence[Utterance]) -> None:
    seen = test.shared(utterances)
    if seen:
        raise SealedError(
            f"{seen} of the {len(utterances)} recordings of {manifest} are in the test set of campaign {campaign}; "
            "a test set is looked at once, when the campaign is finalized, or its WER says nothing. Use dev or other "
            "recordings"
        )


def _suspicions(test: SealedSet, text: Path) -> Iterator[str]:
    there, sentences = test.sentences_among(read_lines(text))
    if there == sentences:
        yield (
            f"every sentence of the test set is in {text}: if that was made of it, the language model knows the "
            "answers, and the test WER will say nothing"
        )
