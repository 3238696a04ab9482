"""The WER of a system on a set that is nobody's test set."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from search_spaces.errors import DataError, Mistake, UserError
from search_spaces.finding import campaign_files
from search_spaces.reading import read_campaign
from trainers.artifacts import Score, Utterance
from trainers.data.manifest import fingerprint, read_manifest
from trainers.recogniser import Recogniser
from trainers.scoring.wer import score_set
from trainers.transcription import Failure, transcribe


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a system did on a set.

    Attributes:
        utterances: Of the set.
        score: Their word errors, pooled.
        without_speaker: Utterances that were normalised for themselves though the system normalises by speaker.
    """

    utterances: int
    score: Score
    without_speaker: int


def evaluate(
    system: Recogniser, manifest: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> Evaluation:
    """Recognise a set and score it.

    Raises:
        UserError: It is the test set of a campaign.
        DataError: The set cannot be read, or one of its recordings cannot.
    """
    utterances = read_manifest(manifest)
    refuse_test_set(manifest, utterances)
    results = transcribe(system, utterances, progress=progress)
    failed = [
        Mistake(utterance.line, "", f"{result.place} {result.reason}")
        for utterance, result in zip(utterances, results, strict=True)
        if isinstance(result, Failure)
    ]
    if failed:
        # the WER of what is left would be that of another set
        raise DataError(manifest, failed)
    hypotheses = [result.best.text for result in results if not isinstance(result, Failure)]
    return Evaluation(
        len(utterances),
        score_set((utterance.text for utterance in utterances), hypotheses),
        without_speaker(system, utterances),
    )


def without_speaker(system: Recogniser, utterances: Sequence[Utterance]) -> int:
    """Utterances that a system which normalises by speaker has to normalise for themselves."""
    if system.checkpoint.features.normalise != "speaker":
        return 0
    return sum(not utterance.speaker for utterance in utterances)


def refuse_test_set(manifest: Path, utterances: Sequence[Utterance]) -> None:
    """Refuse recordings of a test set, under whatever name: a second look makes the first worth less.

    Raises:
        UserError: A recording is in the test set of a campaign found here.
    """
    for campaign, path in _test_sets():
        same = path.resolve() == manifest.resolve()
        seen = len(utterances) if same else _shared(utterances, read_manifest(path))
        if seen:
            raise UserError(
                f"{seen} of the {len(utterances)} recordings of {manifest} are in the test set of campaign {campaign}; "
                "a test set is looked at once, when the campaign is finalized, or its WER says nothing. Evaluate on "
                "dev or on other recordings"
            )


def _test_sets() -> Iterator[tuple[str, Path]]:
    """Test sets of the campaigns found here, as far as they are there."""
    for name, path in campaign_files().items():
        try:
            test = read_campaign(path).data.test
        except UserError:
            continue
        if test is not None and test.exists():
            yield name, test


def _shared(utterances: Sequence[Utterance], others: Sequence[Utterance]) -> int:
    """How many utterances are among others, by content; only those of equal transcripts are read."""
    texts = {other.text for other in others}
    candidates = [utterance for utterance in utterances if utterance.text in texts]
    if not candidates:
        return 0
    wanted = {utterance.text for utterance in candidates}
    known = {_content(other) for other in others if other.text in wanted}
    return sum(_content(utterance) in known for utterance in candidates)


def _content(utterance: Utterance) -> str:
    """A key of a recording, whatever its id and wherever it lies."""
    bare = Utterance("", "", utterance.source, utterance.kind, offset=utterance.offset)
    return fingerprint((bare,))
