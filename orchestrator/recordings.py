"""What a command line names as recordings: files, folders, sets, lists of paths."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from search_spaces.errors import DataError
from trainers.artifacts import Utterance
from trainers.data.lines import unusable
from trainers.data.manifest import is_set, read_manifest
from trainers.transcription import Failure

AUDIO = (".wav", ".flac", ".ogg")
FEATURES = (".npy", ".npz")


def find_recordings(inputs: Iterable[str], listed: Iterable[str]) -> list[Utterance | Failure]:
    """The recordings that inputs stand for, in their order.

    Args:
        inputs: A recording (.wav, .flac, .ogg), stored features (.npy, .npz), a folder that is searched for such files,
            a set in any format that campaigns may name, or ``-`` for those on the list.
        listed: The list: one path a line, as an input is.
    """
    found: list[Utterance | Failure] = []
    for name in inputs:
        if name == "-":
            lines = (line.strip() for line in listed)
            found += [one for line in lines if line for one in _expand(line)]
        else:
            found += _expand(name)
    return found


def _expand(name: str) -> Iterator[Utterance | Failure]:
    path = Path(name)
    if path.suffix.lower() in AUDIO + FEATURES:
        wrong = unusable(path)
        yield Failure(name, wrong) if wrong else _recording(path)
    elif path.is_dir() and not is_set(path):
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in AUDIO + FEATURES)
        yield from map(_recording, files)
        if not files:
            yield Failure(name, f"holds no file that ends in {', '.join(AUDIO + FEATURES)}")
    else:
        try:
            yield from read_manifest(path)
        except DataError as error:
            yield Failure(name, "; ".join(map(str, error.mistakes)))


def _recording(path: Path) -> Utterance:
    kind = "audio" if path.suffix.lower() in AUDIO else "features"
    return Utterance(str(path.with_suffix("")), "", path, kind)
