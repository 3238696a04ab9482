"""How transcripts are written: plain text, JSON lines, NIST's trn and ctm, SubRip subtitles."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from search_spaces.errors import UserError, some
from trainers.scoring.transcripts import fits_trn, trn_line
from trainers.transcription import Transcript

_LINE = 42  # characters of a subtitle, and its seconds: what broadcasters take for readable
_SHOWN = 7.0
_PAUSE = 0.6

Word = tuple[str, float, float]


def refuse_form(form: str, ids: Sequence[str], *, untimed: str) -> None:
    """Refuse a form before anything is heard.

    Args:
        form: One of `FORMS`.
        ids: Of the recordings.
        untimed: Why words have no times in seconds; empty if they have.

    Raises:
        UserError: The form cannot hold what will be heard.
    """
    if form in ("ctm", "srt") and untimed:
        raise UserError(f"{form} needs times in seconds, and {untimed}")
    if form == "srt" and len(ids) > 1:
        raise UserError(
            f"srt holds the subtitles of one recording, and there are {len(ids)}; take them one by one, or choose "
            "--format ctm"
        )
    if form == "trn":
        _refuse_trn(ids)


def _refuse_trn(ids: Sequence[str]) -> None:
    unfit = [name for name in ids if not fits_trn(name)]
    if unfit:
        raise UserError(
            f"trn holds ids without white space and parentheses; choose --format text, or rename {some(unfit)}"
        )
    repeated = [name for name, times in Counter(ids).items() if times > 1]
    if repeated:
        raise UserError(f"trn holds every id once; choose --format text, or name once {some(repeated)}")


def as_text(transcripts: Sequence[Transcript]) -> str:
    """A line for each: its id, a tab, the words."""
    return "".join(f"{one.utterance.id}\t{one.best.text}\n" for one in transcripts)


def as_json(transcripts: Sequence[Transcript]) -> str:
    """A JSON object a line: id, text, words with their frames (and seconds where known), the n-best list.

    Scores are natural logarithms; that of the language model has its weights in it. A score that the decoder does not
    give is null.
    """
    return "".join(json.dumps(_entry(one), ensure_ascii=False) + "\n" for one in transcripts)


def _entry(transcript: Transcript) -> dict[str, Any]:
    words = []
    said = transcript.best.text.split()
    for word, (start, end) in zip(said, transcript.best.spans, strict=bool(transcript.best.spans)):
        entry: dict[str, Any] = {"word": word, "frames": [start, end]}
        if transcript.frame_seconds is not None:
            entry["seconds"] = [round(frame * transcript.frame_seconds, 3) for frame in (start, end)]
        words.append(entry)
    return {
        "id": transcript.utterance.id,
        "text": transcript.best.text,
        "words": words,
        "n_best": [
            {"text": one.text, "acoustic": one.acoustic, "language": one.language} for one in transcript.hypotheses
        ],
    }


def as_trn(transcripts: Sequence[Transcript]) -> str:
    """A line for each: the words, its id in parentheses (NIST SCTK, infmts.htm)."""
    return "".join(f"{trn_line(one.utterance.id, one.best.text)}\n" for one in transcripts)


def as_ctm(transcripts: Sequence[Transcript]) -> str:
    """A line a word: recording, channel, start and duration in seconds, word (NIST SCTK, infmts.htm)."""
    return "".join(
        f"{'_'.join(one.utterance.id.split())} 1 {start:.2f} {end - start:.2f} {word}\n"
        for one in transcripts
        for word, start, end in _timed(one)
    )


def as_srt(transcripts: Sequence[Transcript]) -> str:
    """Subtitles of one recording."""
    cues = [cue for one in transcripts for cue in _cues(_timed(one))]
    return "\n".join(
        f"{number}\n{_clock(cue[0][1])} --> {_clock(cue[-1][2])}\n{' '.join(word for word, *_ in cue)}\n"
        for number, cue in enumerate(cues, 1)
    )


def _timed(transcript: Transcript) -> list[Word]:
    """Words with start and end in seconds.

    Raises:
        ValueError: The length of a frame is not known; see `refuse_form`.
    """
    seconds = transcript.frame_seconds
    if seconds is None:
        raise ValueError(f"{transcript.utterance.place} has no times in seconds")
    spans = zip(transcript.best.text.split(), transcript.best.spans, strict=True)
    return [(word, start * seconds, end * seconds) for word, (start, end) in spans]


def _cues(words: Sequence[Word]) -> list[list[Word]]:
    """Words shown together: no longer than a line, no longer than can be read, none across a pause."""
    cues: list[list[Word]] = []
    for word in words:
        if cues:
            cue = cues[-1]
            length = sum(len(text) + 1 for text, *_ in cue) + len(word[0])
            if length <= _LINE and word[2] - cue[0][1] <= _SHOWN and word[1] - cue[-1][2] < _PAUSE:
                cue.append(word)
                continue
        cues.append([word])
    return cues


def _clock(seconds: float) -> str:
    """Hours, minutes, seconds and milliseconds as SubRip writes them."""
    whole = round(1000 * seconds)
    return f"{whole // 3_600_000:02d}:{whole // 60_000 % 60:02d}:{whole // 1000 % 60:02d},{whole % 1000:03d}"


FORMS: dict[str, Callable[[Sequence[Transcript]], str]] = {
    "text": as_text,
    "json": as_json,
    "trn": as_trn,
    "ctm": as_ctm,
    "srt": as_srt,
}
