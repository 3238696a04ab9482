"""The formats of a set: what each reads, what each refuses, and that they agree."""

import json
import subprocess
import sys

import kaldiio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search_spaces.axes.features import FeatureSettings
from search_spaces.errors import DataError
from search_spaces.reading import read_campaign
from trainers.artifacts import Utterance
from trainers.data.features import pack
from trainers.data.manifest import fingerprint, read_manifest
from trainers.data.matrices import read_matrix
from trainers.data.readers import readers
from trainers.pipeline import run_trial
from trainers.store import Store

RNG = np.random.default_rng(5)
A, B = (RNG.standard_normal((rows, 3)).astype(np.float32) for rows in (4, 6))
HEADER = "id|folder|signer|annotation\n"


def refused(path):
    """What is wrong with a set, line by line."""
    with pytest.raises(DataError) as caught:
        read_manifest(path)
    assert caught.value.path == path
    return [str(mistake) for mistake in caught.value.mistakes]


@pytest.fixture
def corpus(tmp_path):
    """Writes a PHOENIX corpus file over two feature files, a.npy for train and b.npz with its glosses."""
    (tmp_path / "features/train").mkdir(parents=True)
    np.save(tmp_path / "features/train/a.npy", A)
    np.savez(tmp_path / "features/b.npz", features=B, gloss=np.array(["__ON__", "REGEN"]))

    def write(rows, header=HEADER, name="train.corpus.csv"):
        (tmp_path / name).write_text(header + rows, encoding="utf-8")
        return tmp_path / name

    return write


@pytest.fixture
def directory(tmp_path):
    """Writes a Kaldi data directory with the utterances u1 and u2 in one archive."""
    folder = tmp_path / "train"
    folder.mkdir()
    kaldiio.save_ark(str(folder / "raw.ark"), {"u1": A, "u2": B}, scp=str(folder / "feats.scp"))

    def write(**files):
        for name, text in {"text": "u2 GO  ON\nu1 STOP\n", **files}.items():
            (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
        return folder

    return write


def test_a_corpus_file_becomes_utterances(corpus, tmp_path):
    first, second = read_manifest(corpus("a|a/1/*.png|Signer01| HEUTE  loc-NORD \r\n\nb||| __ON__ REGEN\n"))
    assert first == Utterance(
        "a", "HEUTE loc-NORD", tmp_path / "features/train/a.npy", "features", "Signer01", None, line=2
    )
    assert (second.source, second.speaker, second.line) == (tmp_path / "features/b.npz", None, 4)
    assert np.array_equal(read_matrix(second), B)


def test_columns_may_stand_in_any_order_and_speaker_stands_for_signer(corpus):
    header = "\ufeffannotation|id|speaker|extra|folder\n"
    (found,) = read_manifest(corpus("GO|a|anna|x|y\n", header))
    assert (found.text, found.id, found.speaker) == ("GO", "a", "anna")


def test_the_folder_column_may_name_a_file_or_a_folder_of_features(corpus, tmp_path):
    (tmp_path / "other").mkdir()
    np.save(tmp_path / "other/c.npy", B)
    first, second = read_manifest(corpus("c|other||GO\nd|other/c.npy||GO\n"))
    assert first.source == second.source == tmp_path / "other/c.npy"
    # what is named is not replaced by what lies elsewhere
    assert "no such file" in refused(corpus("a|nowhere.npy||GO\n"))[0]


def test_two_feature_files_for_one_id_are_refused_and_one_under_two_names_is_not(corpus, tmp_path):
    assert len(read_manifest(corpus("a|features/train||GO\n"))) == 1
    np.save(tmp_path / "features/a.npy", B)
    (found,) = refused(corpus("a|||GO\n"))
    assert "more than one feature file" in found
    assert "train/a.npy" in found
    assert "features/a.npy" in found


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("x|x/1|s\n", "line 3: has 3 fields; the header has 4: id|folder|signer|annotation"),
        ("x|x/1|s|GO|ON\n", "line 3: has 5 fields"),
        ("|x|s|GO\n", "line 3: id: is empty"),
        ("b|x|s| \n", "line 3: annotation: is empty"),
        ("b|x|s|__ON__ SONNE\n", "line 3: annotation: differs from the glosses in "),
        ("a|x|s|GO\n", "line 3: id: names a again, first on line 2"),
        ("bad|x|s|GO\n", "line 3: folder: "),
        ("object|x|s|GO\n", "line 3: folder: "),
        ("number|x|s|GO\n", "line 3: folder: "),
        ("x|x|s|GO\n", "line 3: folder: has no feature file; looked for "),
    ],
)
def test_a_row_that_is_no_utterance_is_named_with_what_is_wrong(corpus, tmp_path, row, expected):
    (tmp_path / "features/bad.npz").write_bytes(b"no zip")
    np.savez(tmp_path / "features/object.npz", features=A, gloss=np.array(["GO"], object))
    np.savez(tmp_path / "features/number.npz", features=A, gloss=np.array([1]))
    (found,) = refused(corpus("a|x|s|GO\n" + row))
    assert found.startswith(expected)
    if "looked for" in expected:
        for place in ("features/train/x.npy", "features/train/x.npz", "features/x.npy", "features/x.npz"):
            assert str(tmp_path / place) in found


def test_all_bad_rows_and_all_missing_columns_are_reported_at_once(corpus):
    found = refused(corpus("x|x|s|GO\na|x|s|GO\na|x|s|\nb|x\n"))
    assert [mistake.split(": ")[0] for mistake in found] == ["line 2", "line 4", "line 4", "line 5"]
    found = refused(corpus("1|2\n", "id|video\n"))
    assert [mistake.split(": ")[1] for mistake in found] == ["annotation", "folder", "signer"]
    assert "there twice" in refused(corpus("", "id|id|folder|signer|annotation\n"))[0]
    assert refused(corpus("")) == ["holds no utterance"]


def test_a_directory_becomes_utterances_in_the_order_of_text(directory):
    folder = directory(utt2spk="u1 anna\nu2 ben\n")
    first, second = read_manifest(folder)
    assert (first.id, first.text, first.speaker, first.line) == ("u2", "GO ON", "ben", 1)
    assert (first.source, first.kind, first.duration) == (folder / "raw.ark", "features", None)
    assert (second.id, second.speaker) == ("u1", "anna")
    assert np.array_equal(read_matrix(first), B)
    assert np.array_equal(read_matrix(second), A)
    assert read_manifest(directory())[0].id == "u2"


@pytest.mark.parametrize("method", [None, 1, 2, 3, 5])
def test_float_and_compressed_archives_are_read_as_kaldi_reads_them(directory, tmp_path, method):
    folder = directory()
    for number, kind in enumerate((np.float32, np.float64) if method is None else (np.float32,)):
        ark = str(tmp_path / f"{number}.ark")
        kaldiio.save_ark(
            ark, {"u1": A.astype(kind), "u2": B.astype(kind)}, str(folder / "feats.scp"), compression_method=method
        )
        expected = kaldiio.load_scp(str(folder / "feats.scp"))
        for utterance in read_manifest(folder):
            assert np.array_equal(read_matrix(utterance), expected[utterance.id].astype(np.float32))


def test_text_archives_and_files_of_one_matrix_are_read(directory):
    folder = directory()
    kaldiio.save_ark(str(folder / "raw.ark"), {"u1": A, "u2": B}, str(folder / "feats.scp"), text=True)
    assert np.allclose(read_matrix(read_manifest(folder)[0]), B, atol=1e-6)
    kaldiio.save_mat(str(folder / "one.mat"), A)
    (found,) = read_manifest(directory(feats_scp=f"u1 {folder}/one.mat\n", text="u1 GO\n"))
    assert np.array_equal(read_matrix(found), A)


def test_relative_archives_lie_in_the_working_folder_or_else_in_the_directory(directory, tmp_path, monkeypatch):
    folder = directory()
    scp = (folder / "feats.scp").read_text().replace(f"{folder}/", "")
    assert "u1 raw.ark:" in scp
    assert read_manifest(directory(feats_scp=scp))[0].source == folder / "raw.ark"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw.ark").write_bytes((folder / "raw.ark").read_bytes())
    assert read_manifest(folder)[0].source == tmp_path / "raw.ark"
    found = refused(directory(feats_scp=scp.replace("raw", "gone")))
    assert all(str(place / "gone.ark") in found[0] for place in (tmp_path, folder))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"text": "u1 GO\nu2 \n"}, ["line 2: text: u2 is empty"]),
        ({"text": "u1 GO\nu2 ON\nu1 GO\n"}, ["line 3: text: names u1 again, first on line 1"]),
        ({"text": "u1 GO\n"}, ["line 2: feats.scp: u2 is not in text"]),
        ({"text": "u1 GO\nu2 GO\nu3 GO\n"}, ["line 3: text: u3 is not in feats.scp"]),
        ({"utt2spk": "u1 a\nu2\n"}, ["line 2: utt2spk: needs an id and a speaker; has 'u2'"]),
        (
            {"utt2spk": "u1 a\nu3 a\n"},
            ["line 1: text: u2 is not in utt2spk", "line 2: utt2spk: u3 is not in text"],
        ),
        (
            {"feats_scp": "u1\nu2 cat x |\n"},
            ["line 1: feats.scp: u1 has no path", "line 2: feats.scp: u2 is a command"],
        ),
        ({"text": "u1 GO\n", "feats_scp": "u1 raw.ark:3[0:1]\n"}, ["line 1: feats.scp: u1 is a range of rows"]),
        ({"text": "\n", "feats_scp": ""}, ["holds no utterance"]),
    ],
)
def test_what_is_wrong_in_a_directory_is_named_with_file_and_line(directory, files, expected):
    found = refused(directory(**files))
    assert len(found) == len(expected)
    for mistake, start in zip(found, expected, strict=True):
        assert mistake.startswith(start)


def test_a_directory_needs_both_files_and_kaldiio(directory, monkeypatch):
    folder = directory()
    monkeypatch.setitem(sys.modules, "kaldiio", None)
    (folder / "feats.scp").unlink()
    found = refused(folder)
    assert found[0].endswith("pip install kaldiio")
    assert found[1] == "feats.scp: is missing"


def test_matrices_that_cannot_be_used_are_all_named_and_nothing_is_unpickled(directory, store):
    folder = directory()
    nan = A.copy()
    nan[1, 1] = np.nan
    arrays = {"u1": nan, "u2": B}
    kaldiio.save_ark(str(folder / "raw.ark"), arrays, str(folder / "feats.scp"))
    kaldiio.save_ark(str(folder / "pickle.ark"), {"u3": A}, str(folder / "more.scp"), write_function="pickle")
    kaldiio.save_ark(str(folder / "cut.ark"), {"u4": A}, str(folder / "last.scp"))
    (folder / "cut.ark").write_bytes((folder / "cut.ark").read_bytes()[:-5])
    scp = "".join((folder / name).read_text() for name in ("feats.scp", "more.scp", "last.scp"))
    text = "u1 GO\nu2 GO\nu3 GO\nu4 GO\nu5 GO\n"
    utterances = read_manifest(directory(feats_scp=f"{scp}u5 {folder}/raw.ark:99999\n", text=text))
    assert fingerprint(utterances)
    with pytest.raises(DataError) as caught:
        pack(store, folder, utterances, FeatureSettings(kind="stored"))
    found = [str(mistake) for mistake in caught.value.mistakes]
    assert [mistake.split(": ")[0] for mistake in found] == ["line 1", "line 3", "line 4", "line 5"]
    assert "(u1) holds NaN or infinity" in found[0]
    assert "no matrix starts there but b'PKL" in found[1]
    assert all("cannot be read as a Kaldi matrix" in mistake for mistake in found[1:])


def test_a_fingerprint_of_archives_follows_what_they_hold_and_not_where_it_lies(directory, tmp_path):
    folder = directory()
    key = fingerprint(read_manifest(folder))
    kaldiio.save_ark(str(tmp_path / "new.ark"), {"u0": B, "u2": B, "u1": A}, str(folder / "feats.scp"))
    directory(feats_scp=(folder / "feats.scp").read_text().split("\n", 1)[1])
    assert fingerprint(read_manifest(folder)) == key
    kaldiio.save_ark(str(folder / "raw.ark"), {"u1": A, "u2": B + 1}, str(folder / "feats.scp"))
    assert fingerprint(read_manifest(folder)) != key


def test_a_set_is_of_one_format_and_one_that_is_of_none_is_refused_with_those_there_are(corpus, directory, tmp_path):
    (tmp_path / "set.jsonl").write_text("broken", encoding="utf-8")
    (tmp_path / "manifest").write_text('\n{"text": 1}', encoding="utf-8")
    (tmp_path / "corpus").write_text(HEADER, encoding="utf-8")
    (tmp_path / "json.csv").write_text("{", encoding="utf-8")
    (tmp_path / "csv.json").write_text(HEADER, encoding="utf-8")
    sets = ("set.jsonl", "manifest", "corpus", "json.csv", "csv.json")
    for path in (corpus(""), directory(), *(tmp_path / name for name in sets)):
        assert sum(reader.recognises(path) for reader in readers()) == 1
    (tmp_path / "letter.txt").write_text("Dear", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    for name in ("letter.txt", "empty"):
        (found,) = refused(tmp_path / name)
        assert all(reader.FORMAT in found for reader in readers())


WORDS = st.lists(st.sampled_from(["GO", "STOP", "__ON__", "loc-NORD"]), min_size=1, max_size=3)
ROW = st.tuples(WORDS, st.integers(1, 5), st.sampled_from(["anna", "ben"]))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, min_size=1, max_size=5), seed=st.integers(0, 99), kind=st.sampled_from(["npy", "npz"]))
def test_one_set_is_the_same_in_every_format(tmp_path_factory, rows, seed, kind):
    folder = tmp_path_factory.mktemp("same")
    (folder / "features").mkdir()
    (folder / "kaldi").mkdir()
    rng = np.random.default_rng(seed)
    arrays, lines = {}, {"set.jsonl": "", "set.csv": HEADER, "kaldi/text": "", "kaldi/utt2spk": ""}
    for number, (words, length, speaker) in enumerate(rows):
        name, text = f"u{number}", " ".join(words)
        arrays[name] = rng.standard_normal((length, 4)).astype(np.float32)
        if kind == "npy":
            np.save(folder / f"features/{name}.npy", arrays[name])
        else:
            np.savez(folder / f"features/{name}.npz", features=arrays[name], gloss=np.array(words))
        entry = {"feature_filepath": f"features/{name}.{kind}", "text": text, "speaker": speaker}
        lines["set.jsonl"] += json.dumps(entry) + "\n"
        lines["set.csv"] += f"{name}|{name}/1/*.png|{speaker}|{text}\n"
        lines["kaldi/text"] += f"{name} {text}\n"
        lines["kaldi/utt2spk"] += f"{name} {speaker}\n"
    for name, content in lines.items():
        (folder / name).write_text(content, encoding="utf-8")
    kaldiio.save_ark(str(folder / "kaldi/raw.ark"), arrays, str(folder / "kaldi/feats.scp"))
    store = Store(folder / "store")
    wanted = FeatureSettings(kind="stored", normalise="speaker")
    sets = [(path, read_manifest(path)) for path in (folder / "set.jsonl", folder / "set.csv", folder / "kaldi")]
    first, *others = [([(u.text, u.speaker) for u in s], pack(store, path, s, wanted)) for path, s in sets]
    for said, features in others:
        assert said == first[0]
        for part in ("frames", "offsets", "mean", "scale"):
            assert np.array_equal(getattr(features, part), getattr(first[1], part)), part


@pytest.fixture(scope="module")
def tiny_phoenix(tmp_path_factory, root):
    folder = tmp_path_factory.mktemp("phoenix")
    subprocess.run([sys.executable, root / "scripts/make_tiny_phoenix", folder, "--seed", "3"], check=True)
    return folder


def test_the_tiny_corpus_has_the_shape_of_the_large_one(tiny_phoenix):
    sets = {split: read_manifest(tiny_phoenix / f"{split}.corpus.csv") for split in ("train", "dev", "test")}
    assert {split: len(utterances) for split, utterances in sets.items()} == {"train": 40, "dev": 8, "test": 8}
    words = {split: {word for u in utterances for word in u.text.split()} for split, utterances in sets.items()}
    assert words["dev"] | words["test"] <= words["train"]
    assert {"__ON__", "__OFF__"} <= words["dev"]
    assert {u.source.suffix for u in sets["dev"]} == {".npy", ".npz"}
    assert len({u.speaker for u in sets["train"]}) == 3
    for utterance in sets["dev"]:
        stored = np.load(utterance.source)
        frames = stored if utterance.source.suffix == ".npy" else stored["features"]
        assert (frames.dtype, frames.shape[1]) == (np.float32, 512)


def test_a_network_of_word_units_learns_the_tiny_corpus(tiny_phoenix, make_spec, store):
    made = make_spec(values={"train.epochs": 6, "train.batch_frames": 300})
    values = {name: getattr(made, name) for name in made.__slots__}
    values |= {"train": tiny_phoenix / "train.corpus.csv", "dev": tiny_phoenix / "dev.corpus.csv"}
    outcome = run_trial(type(made)(**values), store, lambda report: True)
    assert outcome.score.wer < 50


def test_a_campaign_may_name_folders_and_corpus_files(tmp_path, corpus, directory):
    corpus("a|||GO\n", name="dev.csv")
    directory()
    text = "campaign: c\ndata: {train: dev.csv, dev: train, test: features}\nstudies: {b: {strategy: baseline}}\n"
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    data = read_campaign(tmp_path / "c.yaml").data
    places = (data.train, data.dev, data.test.sealed_place)
    assert places == (tmp_path / "dev.csv", tmp_path / "train", tmp_path / "features")
