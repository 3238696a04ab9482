"""Kaldi data directories: ``text``, ``feats.scp``, optional ``utt2spk``.

The utterances and their order are those of ``text``. ``feats.scp`` says where the matrix of each lies:
``ID ARK:OFFSET``, or ``ID FILE`` for a file of one matrix. A relative path is relative to the working folder, as in
Kaldi; where that leads nowhere, to the directory. Every file must name the same ids. Pipes and ranges of rows are
refused. https://kaldi-asr.org/doc/data_prep.html
"""

from pathlib import Path

from search_spaces.errors import DataError, Mistake
from trainers.artifacts import Utterance
from trainers.data.lines import checked
from trainers.data.matrices import can_read_arks
from trainers.data.scp import Entries, find_archives, read_entries

FORMAT = "a Kaldi data directory (a folder with feats.scp and text)"


def recognises(path: Path) -> bool:
    """Whether a path is a folder with one of the files."""
    return any((path / name).is_file() for name in ("feats.scp", "text"))


def read(path: Path) -> tuple[Utterance, ...]:
    """Read a data directory.

    Raises:
        DataError: With every line that is wrong, its file as the key; or the package kaldiio is missing.
    """
    absent = [Mistake(0, name, "is missing") for name in ("feats.scp", "text") if not (path / name).is_file()]
    if not can_read_arks():
        absent.append(Mistake(0, "", "reading Kaldi's archives needs the package kaldiio: pip install kaldiio"))
    if absent:
        raise DataError(path, absent)
    mistakes: list[Mistake] = []
    text = read_entries(path, "text", mistakes)
    scp = read_entries(path, "feats.scp", mistakes)
    speakers = read_entries(path, "utt2spk", mistakes) if (path / "utt2spk").is_file() else None
    for name, entries in (("feats.scp", scp), ("utt2spk", text if speakers is None else speakers)):
        mistakes += _absent(text, "text", entries, name) + _absent(entries, name, text, "text")
    places = find_archives(path / "feats.scp", scp, mistakes)
    utterances = []
    for name, (words, line) in text.items():
        if not words:
            message = "is empty; an utterance needs a transcript to be trained on or scored against"
            mistakes.append(Mistake(line, "text", f"{name} {message}"))
        elif name in places:
            source, offset = places[name]
            speaker = speakers.get(name, ("", 0))[0] if speakers else None
            utterances.append(Utterance(name, words, source, "features", speaker, None, line, offset))
    return checked(path, utterances, mistakes)


def _absent(entries: Entries, name: str, others: Entries, other: str) -> list[Mistake]:
    """A mistake for every id of one file that another file has not."""
    return [Mistake(line, name, f"{u} is not in {other}") for u, (_, line) in entries.items() if u not in others]
