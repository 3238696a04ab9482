import json
import pickle

import pytest

from search_spaces.axes.features import FeatureSettings
from search_spaces.errors import DataError
from search_spaces.sealing import SealedFile
from trainers.data.features import pack
from trainers.data.manifest import fingerprint, read_manifest
from trainers.data.sealed import SealedSet


@pytest.fixture
def folder(tmp_path):
    for name in ("a.flac", "b.flac", "c.npy"):
        (tmp_path / name).write_bytes(b"content of " + name.encode())
    return tmp_path


@pytest.fixture
def read(folder):
    def reader(text):
        path = folder / "set.jsonl"
        path.write_text(text, encoding="utf-8")
        return read_manifest(path)

    return reader


@pytest.fixture
def mistakes(read):
    def reader(text):
        with pytest.raises(DataError) as caught:
            read(text)
        assert str(caught.value.path).endswith("set.jsonl")
        return [str(mistake) for mistake in caught.value.mistakes]

    return reader


def line(**entry):
    return json.dumps(entry) + "\n"


GOOD = line(audio_filepath="a.flac", text="GO")


def test_a_line_becomes_an_utterance_with_all_that_it_says(read, folder):
    first, second = read(
        line(audio_filepath="a.flac", text=" GO\tON ", speaker="anna", duration=1.5, extra=[1])
        + "\n"
        + line(audio_filepath="b.flac", text="STOP", speaker=None)
    )
    assert (first.id, first.text, first.source, first.kind) == ("a", "GO ON", folder / "a.flac", "audio")
    assert (first.speaker, first.duration, first.line) == ("anna", 1.5, 1)
    assert (second.id, second.speaker, second.duration, second.line) == ("b", None, None, 3)


def test_feature_files_are_read_as_such(read):
    (utterance,) = read(line(feature_filepath="c.npy", text="GO", duration=2))
    assert (utterance.kind, utterance.id, utterance.duration) == ("features", "c", 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{'text': 1}\n", "line 2: is not JSON: Expecting property name enclosed in double quotes at column 2"),
        ("[1, 2]\n", "line 2: is not a JSON object but list"),
        (line(text="GO"), "line 2: needs one of audio_filepath and feature_filepath; has text"),
        ("{}\n", "line 2: needs one of audio_filepath and feature_filepath; has no key"),
        (
            line(audio_filepath="b.flac", feature_filepath="c.npy", text="GO"),
            "line 2: needs one of audio_filepath and feature_filepath; has audio_filepath, feature_filepath, text",
        ),
        (line(audio_filepath="b.flac"), "line 2: text: is missing; the line has audio_filepath"),
        (line(audio_filepath=3, text="GO"), "line 2: audio_filepath: has the wrong type: 3"),
        (line(audio_filepath=None, text="GO"), "line 2: audio_filepath: has the wrong type: None"),
        (line(audio_filepath="b.flac", text=["GO"]), "line 2: text: has the wrong type: ['GO']"),
        (line(audio_filepath="b.flac", text=None), "line 2: text: has the wrong type: None"),
        (line(audio_filepath="b.flac", text="GO", speaker=7), "line 2: speaker: has the wrong type: 7"),
        (line(audio_filepath="b.flac", text="GO", duration="1"), "line 2: duration: has the wrong type: '1'"),
        (line(audio_filepath="b.flac", text="GO", duration=True), "line 2: duration: has the wrong type: True"),
        (line(audio_filepath="b.flac", text="GO", duration=0), "line 2: duration: must be above 0 seconds; got 0"),
        (line(audio_filepath="b.flac", text=" \t"), "line 2: text: is empty; an utterance needs a transcript"),
        (line(audio_filepath="z.flac", text="GO"), "line 2: audio_filepath: no such file: "),
        (line(audio_filepath="", text="GO"), "line 2: audio_filepath: no such file: "),
        (GOOD, "line 2: names a again, first on line 1"),
    ],
)
def test_a_line_that_is_no_utterance_is_named_with_what_is_wrong(mistakes, text, expected):
    (found,) = mistakes(GOOD + text)
    assert found.startswith(expected)


def test_all_bad_lines_are_reported_at_once(mistakes):
    found = mistakes("{\n" + GOOD + line(audio_filepath="z.flac", text="GO") + GOOD + line(text="GO"))
    assert [mistake.split(":")[0] for mistake in found] == ["line 1", "line 3", "line 4", "line 5"]


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_manifest_is_refused(mistakes, text):
    assert mistakes(text) == ["holds no utterance"]


def test_a_mixed_manifest_is_refused(mistakes):
    assert mistakes(GOOD + line(feature_filepath="c.npy", text="GO")) == [
        "mixes audio_filepath and feature_filepath; a set is one or the other"
    ]


def test_a_missing_manifest_and_one_that_is_no_text_are_refused(folder):
    with pytest.raises(DataError, match=r"cannot be read: .*No such file"):
        read_manifest(folder / "nothing.jsonl")
    (folder / "bytes.jsonl").write_bytes(b"\xff\xfe\n")
    with pytest.raises(DataError, match="cannot be read: 'utf-8'"):
        read_manifest(folder / "bytes.jsonl")


def test_unreadable_recordings_are_all_reported_with_their_lines_and_leave_nothing_behind(read, folder, store):
    utterances = read(GOOD + "\n" + line(audio_filepath="b.flac", text="GO"))
    with pytest.raises(DataError) as caught:
        pack(store, folder / "set.jsonl", utterances, FeatureSettings(kind="logmel"))
    assert [mistake.line for mistake in caught.value.mistakes] == [1, 3]
    assert all("cannot be read as audio" in mistake.message for mistake in caught.value.mistakes)
    assert "a.flac" in caught.value.mistakes[0].message
    assert [path.name for path in store.root.rglob("*") if path.is_dir() and not path.name.startswith(".")] == (
        ["features"]
    )


def test_the_error_survives_being_sent_to_another_process(read):
    with pytest.raises(DataError) as caught:
        read("{\n")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_the_manifests_that_come_with_the_project_are_whole(root):
    counts = {"an4/train": 821, "an4/train_small": 313, "an4/dev": 127, "digits/dev": 43}
    for name, count in counts.items():
        assert len(read_manifest(root / f"data/{name}.jsonl")) == count
    assert len(SealedSet(SealedFile(root / "data/an4/test.jsonl"))) == 130


def test_a_fingerprint_changes_with_recordings_texts_and_speakers_but_not_with_the_place(
    read, folder, tmp_path_factory
):
    utterances = read(GOOD + line(audio_filepath="b.flac", text="STOP", speaker="anna"))
    key = fingerprint(utterances)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for file in folder.iterdir():
        (elsewhere / file.name).write_bytes(file.read_bytes())
    assert fingerprint(read_manifest(elsewhere / "set.jsonl")) == key
    assert fingerprint(read(GOOD + line(audio_filepath="b.flac", text="STOP", speaker="ben"))) != key
    assert fingerprint(read(GOOD + line(audio_filepath="b.flac", text="GO", speaker="anna"))) != key
    assert fingerprint(utterances[::-1]) != key
    (folder / "b.flac").write_bytes(b"another recording")
    assert fingerprint(utterances) != key
