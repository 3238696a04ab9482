"""A test set's transcripts come out through one door, once the ledger has noted the look."""

import json
import os
import shutil
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.axes.decoding import LanguageModelSettings
from search_spaces.errors import SealedError, StoreError, UserError
from search_spaces.sealing import SealedFile, refuse_sealed, sealed_files
from tests.trainers.conftest import STORED
from trainers.artifacts import Score
from trainers.data.manifest import read_manifest
from trainers.data.sealed import SealedSet
from trainers.data.sets import load_set
from trainers.decoding.language_model import build_language_model
from trainers.decoding.texts import read_lines, read_sentences
from trainers.decoding.word_list import read_word_list, words_of_arpa
from trainers.exchange.labels import read_labels
from trainers.ledger import Ledger, Occasion, Submission
from trainers.trial import Trial

NOW = Occasion("2026-01-01T00:00:00+00:00", "someone@somewhere", "abc")


def submission(system, strategy="baseline"):
    return Submission(system, strategy, "c", strategy, 0)


@pytest.fixture
def held_out(tmp_path, write_features, monkeypatch):
    """A campaign here with a test set of a word that is nowhere else."""
    place = write_features(tmp_path / "data/test.jsonl", ["GO STOP", "NO YES NO"], seed=9)
    (tmp_path / "c.yaml").write_text("campaign: c\ndata: {train: a, dev: b, test: data/test.jsonl}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return place


DOORS = {
    "read_manifest": lambda path, store: read_manifest(path),
    "load_set": lambda path, store: load_set(store, path, STORED).references,
    "read_lines": lambda path, store: list(read_lines(path)),
    "read_sentences": lambda path, store: list(read_sentences([path])),
    "read_word_list": lambda path, store: read_word_list(path),
    "words_of_arpa": lambda path, store: words_of_arpa(path),
    "read_labels": lambda path, store: read_labels(path, "word"),
    "text of a model": lambda path, store: build_language_model(store, LanguageModelSettings(text=path)),
    "words of a model": lambda path, store: build_language_model(store, LanguageModelSettings(binary=path, words=path)),
    "transcripts for a model": lambda path, store: build_language_model(store, LanguageModelSettings(), path, "key"),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("way", ["itself", "by a link", "by a hard link", "by a copy", "relative"])
def test_no_function_that_reads_a_file_gives_a_test_sets_text(held_out, store, door, way):
    other = held_out.with_name("other.jsonl")
    match way:
        case "by a link":
            other.symlink_to(held_out)
        case "by a hard link":
            os.link(held_out, other)
        case "by a copy":
            shutil.copy(held_out, other)
    path = {"itself": held_out, "relative": held_out.relative_to(held_out.parent.parent)}.get(way, other)
    with pytest.raises(SealedError, match="is the test set of campaign c"):
        DOORS[door](path, store)


def test_a_file_inside_a_sealed_folder_is_sealed(held_out, tmp_path):
    (tmp_path / "c.yaml").write_text("campaign: c\ndata: {train: a, dev: b, test: data}\n", encoding="utf-8")
    (held_out.parent / "text").write_text("u1 GO\n", encoding="utf-8")
    with pytest.raises(SealedError):
        list(read_lines(held_out.parent / "text"))


def test_a_file_that_is_no_test_set_is_read(held_out, tiny):
    assert len(read_manifest(tiny.dev)) == 4
    refuse_sealed(tiny.train)


def test_a_broken_campaign_beside_it_unseals_nothing(held_out, tmp_path):
    for number, text in enumerate(
        ("campaign: [", "campaign: a\n", "campaign: a\ndata: {test: 3}\n", "campaign: a\n- b")
    ):
        (tmp_path / f"a{number}.yaml").write_text(text, encoding="utf-8")
    assert SealedFile(held_out) in sealed_files()


def test_what_a_campaign_holds_of_a_test_set_is_no_path(held_out):
    with pytest.raises(TypeError):
        open(SealedFile(held_out), encoding="utf-8")
    with pytest.raises(AttributeError):
        read_manifest(SealedFile(held_out))


def test_two_modules_know_where_a_test_set_lies_and_one_reads_it(root):
    """The one that refuses everybody else, and the one that opens it."""
    named = [
        path.relative_to(root).as_posix()
        for package in ("search_spaces", "trainers", "orchestrator")
        for path in sorted((root / package).rglob("*.py"))
        if "sealed_place" in path.read_text(encoding="utf-8")
    ]
    assert named == ["search_spaces/sealing.py", "trainers/data/sealed.py"]


def test_recordings_are_heard_without_their_text(held_out, store):
    sealed = SealedSet(SealedFile(held_out))
    assert [utterance.text for utterance in sealed.recordings] == ["", ""]
    loaded = sealed.load(store, STORED)
    assert loaded.references == ["", ""]
    assert len(loaded.features.ids) == len(sealed) == 2


def test_a_trial_hears_the_test_set_only_when_it_is_given_one(trained, held_out):
    trial = Trial(trained.spec, None, trained.store, lambda report: True)
    with pytest.raises(SealedError, match="not before"):
        trial.load("test", STORED)


def test_the_text_comes_out_once_every_system_is_noted(held_out, store):
    sealed, ledger = SealedSet(SealedFile(held_out)), Ledger(store.root)
    for systems in ([], ["a"], ["a", "b"]):
        with pytest.raises(SealedError, match="no look at it is noted"):
            sealed.open(ledger, systems)
    ledger.note(sealed.key, str(sealed), [submission("a")], NOW)
    with pytest.raises(SealedError):
        sealed.open(ledger, ["a", "b"])
    assert list(sealed.open(ledger, ["a"]).values()) == ["GO STOP", "NO YES NO"]


def test_a_look_at_another_set_opens_nothing(held_out, store):
    sealed, ledger = SealedSet(SealedFile(held_out)), Ledger(store.root)
    ledger.note("another", "elsewhere", [submission("a")], NOW)
    with pytest.raises(SealedError):
        sealed.open(ledger, ["a"])


def test_the_key_of_a_set_is_that_of_its_content_in_any_order_and_place(held_out, tmp_path):
    key = SealedSet(SealedFile(held_out)).key
    shutil.copytree(held_out.parent, tmp_path / "moved")
    moved = tmp_path / "moved/test.jsonl"
    lines = moved.read_text(encoding="utf-8").splitlines()
    moved.write_text("\n".join(lines[::-1]) + "\n", encoding="utf-8")
    assert SealedSet(SealedFile(moved)).key == key
    entries = [json.loads(line) for line in lines]
    entries[0]["text"] = "GO GO"
    moved.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    assert SealedSet(SealedFile(moved)).key != key


def test_shared_recordings_and_sentences_are_told_in_numbers(held_out, tiny):
    sealed = SealedSet(SealedFile(held_out))
    shutil.copytree(held_out.parent, held_out.parent.parent / "moved")
    moved = held_out.parent.parent / "moved/mine.jsonl"
    lines = held_out.read_text(encoding="utf-8").splitlines()
    moved.write_text(lines[1] + "\n", encoding="utf-8")
    assert sealed.shared(read_manifest(moved)) == 1
    assert sealed.shared(read_manifest(tiny.dev)) == 0
    assert sealed.sentences_among(["NO  YES NO", "GO"]) == (1, 2)


# --- the ledger


systems = st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True), min_size=1, max_size=6)


@given(systems)
def test_looks_count_the_openings_of_a_strategy_and_nothing_is_forgotten(tmp_path_factory, openings):
    ledger = Ledger(tmp_path_factory.mktemp("ledger"))
    strategy = {name: "one" if name in "abc" else "two" for name in "abcdef"}
    seen: dict[str, int] = {}
    submitted: Counter[str] = Counter()
    for opening in openings:
        handed = [submission(name, strategy[name]) for name in opening]
        before = ledger.looks()
        foreseen = ledger.preview("set", handed)
        looks = ledger.note("set", "place", handed, NOW)
        fresh = {strategy[name] for name in opening if name not in seen}
        submitted.update(fresh)
        for name in opening:
            seen.setdefault(name, submitted[strategy[name]])
        assert [look.number for look in looks] == foreseen == [seen[name] for name in opening]
        assert ledger.looks()[: len(before)] == before
    assert {look.submission.system for look in ledger.looks("set")} == set(seen)
    assert ledger.looks("other set") == []


def test_systems_handed_in_together_are_one_look_and_those_that_come_later_another(store):
    ledger = Ledger(store.root)
    first = ledger.note("set", "place", [submission("a"), submission("b")], NOW)
    assert [(look.opening, look.number) for look in first] == [(1, 1), (1, 1)]
    (again, late) = ledger.note("set", "place", [submission("a"), submission("c")], NOW)
    assert again == first[0]
    assert (late.opening, late.number) == (2, 2)
    (elsewhere,) = ledger.note("another set", "place", [submission("c")], NOW)
    assert (elsewhere.opening, elsewhere.number) == (1, 1)


def test_the_first_result_of_a_look_stays(store):
    ledger = Ledger(store.root)
    (look,) = ledger.note("set", "place", [submission("a")], NOW)
    assert ledger.find("set", "a").score is None
    assert ledger.record(look, Score(1, 0, 0, 9)).score == Score(1, 0, 0, 9)
    assert ledger.record(look, Score(5, 0, 0, 9)).score == Score(1, 0, 0, 9)
    assert Ledger(store.root).find("set", "a").score == Score(1, 0, 0, 9)


def test_a_result_without_a_look_is_a_fault_of_the_program(store):
    ledger = Ledger(store.root)
    (look,) = ledger.note("set", "place", [submission("a")], NOW)
    ledger.path.unlink()
    with pytest.raises(ValueError, match="nobody noted"):
        ledger.record(look, Score(0, 0, 0, 1))


def test_a_ledger_that_cannot_be_read_is_an_error_in_words_and_lets_nobody_look(store, held_out):
    ledger = Ledger(store.root)
    ledger.path.write_text("{torn", encoding="utf-8")
    with pytest.raises(StoreError, match="cannot be read"):
        ledger.note("set", "place", [submission("a")], NOW)
    with pytest.raises(UserError):
        SealedSet(SealedFile(held_out)).open(ledger, ["a"])
