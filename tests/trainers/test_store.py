import errno
import json
import multiprocessing
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainers
from search_spaces.errors import StoreError
from trainers.store import Store, code_digest, digest, digest_files, write_text

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def make_slowly(root, barrier, answers):
    def make(folder):
        with (Path(root) / "makers").open("a") as log:
            log.write(f"{os.getpid()}\n")
        (folder / "part").write_text("half")
        time.sleep(0.3)
        (folder / "part").write_text("whole")

    store = Store(Path(root) / "store")
    barrier.wait()
    folder = store.entry("features", "key", make)
    answers.put((str(folder), (folder / "part").read_text()))


def test_two_processes_that_ask_at_once_make_an_entry_once(tmp_path):
    # spawned, not forked: torch's threads do not survive a fork
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    processes = [context.Process(target=make_slowly, args=(str(tmp_path), barrier, answers)) for _ in range(2)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=30) for _ in processes]
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    assert found == [(str(tmp_path / "store/features/key"), "whole")] * 2
    assert len((tmp_path / "makers").read_text().split()) == 1


def test_an_entry_is_made_once_and_then_found(store):
    made = []

    def make(folder):
        made.append(folder)
        (folder / "file").write_text("content")

    assert not store.has("kind", "key")
    first, second = store.entry("kind", "key", make), store.entry("kind", "key", make)
    assert first == second == store.path("kind", "key")
    assert len(made) == 1
    assert made[0] != first
    assert (first / "file").read_text() == "content"
    assert store.has("kind", "key")
    assert not store.has("other", "key")


def test_while_it_is_made_an_entry_is_not_there(store):
    def make(folder):
        assert not store.has("kind", "key")
        assert folder == store.unfinished("kind", "key")
        assert folder.is_dir()

    store.entry("kind", "key", make)
    assert not store.unfinished("kind", "key").exists()


def fail_after_writing(folder):
    (folder / "part").write_text("half")
    raise RuntimeError("interrupted")


def test_an_attempt_that_fails_leaves_no_entry_and_the_next_one_starts_afresh(store):
    with pytest.raises(RuntimeError, match="interrupted"):
        store.entry("kind", "key", fail_after_writing)
    assert not store.has("kind", "key")
    seen = []
    store.entry("kind", "key", lambda folder: seen.append(list(folder.iterdir())))
    assert seen == [[]]
    assert list(store.path("kind", "key").iterdir()) == []


def test_with_keep_the_next_attempt_goes_on_in_what_the_last_one_left(store):
    with pytest.raises(RuntimeError, match="interrupted"):
        store.entry("kind", "key", fail_after_writing, keep=True)
    assert not store.has("kind", "key")
    seen = []
    store.entry("kind", "key", lambda folder: seen.append((folder / "part").read_text()), keep=True)
    assert seen == ["half"]
    assert (store.path("kind", "key") / "part").read_text() == "half"


def test_what_is_discarded_is_gone_and_what_is_whole_stays(store):
    store.entry("kind", "whole", lambda folder: None)
    with pytest.raises(RuntimeError, match="interrupted"):
        store.entry("kind", "key", fail_after_writing, keep=True)
    for key in ("key", "whole", "never"):
        store.discard("kind", key)
    assert not store.unfinished("kind", "key").exists()
    assert store.has("kind", "whole")


def test_what_another_trial_goes_on_with_is_not_discarded(store):
    def make(folder):
        (folder / "part").write_text("half")
        store.discard("kind", "k")  # by the trial that shared the entry and was stopped
        (folder / "part").write_text("whole")

    assert (store.entry("kind", "k", make, keep=True) / "part").read_text() == "whole"
    store.discard("kind", "never made")
    store.discard("no kind", "k")


def raising(code):
    def make(folder):
        raise OSError(code, os.strerror(code))

    return make


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM])
def test_an_entry_that_cannot_be_written_says_where_and_why(store, code):
    with pytest.raises(StoreError, match=f"cannot write .*/kind/key: {os.strerror(code)}") as caught:
        store.entry("kind", "key", raising(code))
    assert ("free some space" in str(caught.value)) == (code == errno.ENOSPC)
    assert not store.has("kind", "key")


def test_another_fault_while_an_entry_is_made_is_not_taken_for_a_full_disk(store):
    with pytest.raises(FileNotFoundError):
        store.entry("kind", "key", raising(errno.ENOENT))


def test_a_store_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot make the folder .*/file/store: Not a directory"):
        Store(tmp_path / "file/store")


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "deep/er/file.json"
    write_text(path, "eins")
    write_text(path, "zwei ▁\n")
    assert path.read_text(encoding="utf-8") == "zwei ▁\n"
    assert [file.name for file in path.parent.iterdir()] == ["file.json"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    write_text(path, "old")

    def full(descriptor):
        # the new file is there by now, the old one still untouched
        assert len(list(tmp_path.iterdir())) == 2
        assert path.read_text() == "old"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"cannot write .*/file\.json: No space left on device; free some space"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["file.json"]


def test_a_folder_in_the_place_of_a_file_is_an_error_with_its_name(tmp_path):
    (tmp_path / "file.json").mkdir()
    with pytest.raises(StoreError, match=r"cannot write .*/file\.json: Is a directory"):
        write_text(tmp_path / "file.json", "new")
    assert [file.name for file in tmp_path.iterdir()] == ["file.json"]


@given(st.dictionaries(st.text(), json_values, min_size=2, max_size=5))
def test_a_digest_forgets_the_order_of_keys(value):
    assert digest(dict(reversed(value.items()))) == digest(value)


@given(json_values, json_values)
def test_a_digest_tells_values_apart(first, second):
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (digest(first) == digest(second)) == same
    assert digest([first, second]) != digest([[first], second])


def test_a_digest_has_twenty_digits_and_never_changes():
    assert digest({"a": [1, 2.5, "ä", None, True]}) == digest({"a": [1, 2.5, "ä", None, True]})
    assert len(digest("")) == 20
    assert digest(1) != digest("1")
    assert digest(1) != digest(True)
    assert digest([1, 2]) != digest([2, 1])


def test_the_digest_of_files_depends_on_content_and_order_and_not_on_names(tmp_path):
    for name, content in (("a", "one"), ("b", "two"), ("c", "one")):
        (tmp_path / name).write_text(content)
    a, b, c = (tmp_path / name for name in "abc")
    assert digest_files([a, b]) == digest_files([c, b])
    assert digest_files([a, b]) != digest_files([b, a])
    assert digest_files([a, b]) != digest_files([a])
    # the border between two files counts
    (tmp_path / "a").write_text("on")
    (tmp_path / "b").write_text("etwo")
    assert digest_files([a, b]) != digest_files([c, b])


def test_the_digest_of_the_code_is_that_of_its_sources():
    folder = Path(trainers.__file__).parent
    sources = [path for ending in ("py", "c", "h") for path in folder.rglob(f"*.{ending}")]
    assert any(path.suffix == ".c" for path in sources)
    assert code_digest.__wrapped__() == digest_files(sorted(sources))
    assert code_digest() is code_digest()


def test_an_entry_that_is_removed_is_gone_with_what_an_earlier_removal_left(store):
    def make(folder):
        (folder / "part").write_text("12345")

    store.entry("kind", "key", make)
    store.entry("kind", "other", make)
    assert (store.keys("kind"), store.size("kind", "key"), store.size("kind", "none")) == (["key", "other"], 5, 0)
    left = store.root / "kind/.other.removed"
    left.mkdir()
    store.remove("kind", "key")
    store.remove("kind", "none")
    assert store.keys("kind") == ["other"]
    store.sweep("kind")
    assert not left.exists()
    assert store.has("kind", "other")
    assert store.entry("kind", "key", make).is_dir()


def test_an_entry_that_someone_makes_anew_is_not_removed(store):
    def make(folder):
        place = store.path("kind", "key")
        place.mkdir()  # as if it had been there, and went only now
        store.remove("kind", "key")
        assert place.is_dir()
        place.rmdir()

    assert store.entry("kind", "key", make).is_dir()
