import errno
import os
import resource
import signal

import pytest
import torch

from search_spaces.errors import StoreError
from trainers.pipeline import run_trial
from trainers.run_state import Progress
from trainers.store import Store
from trainers.tensor_file import write_tensors


class Interrupted(Exception):
    """What a killed process stands for here."""


def always(report):
    return True


def interrupt_after(epoch):
    def report(one):
        if one.epoch == epoch:
            raise Interrupted
        return True

    return report


@pytest.fixture
def interrupted(make_spec, store):
    """A spec whose run was interrupted after its second epoch, and the file of its state."""
    spec = make_spec(values={"train.average_last": 2})
    with pytest.raises(Interrupted):
        run_trial(spec, store, interrupt_after(2))
    state = store.unfinished("checkpoints", spec.key) / "state.safetensors"
    assert state.is_file()
    return spec, state


@pytest.mark.parametrize("size", [0, 5, 1000, -1])
def test_a_truncated_state_begins_the_run_anew_and_the_record_says_so(interrupted, store, tmp_path, size):
    spec, state = interrupted
    os.truncate(state, size if size >= 0 else state.stat().st_size - 1)
    seen = []
    outcome = run_trial(spec, store, lambda report: seen.append(report.epoch) or True)
    assert seen == [1, 2, 3, 4]
    assert "the state of an interrupted attempt could not be read: the run began anew" in outcome.notes
    fresh = run_trial(spec, Store(tmp_path / "fresh"), always)
    assert [report.loss for report in outcome.epochs] == [report.loss for report in fresh.epochs]


@pytest.fixture
def full_disk():
    """Writing beyond 4 kB fails, as on a full disk."""

    def fill():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield fill
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_state_that_cannot_be_written_is_an_error_in_plain_words_and_the_old_one_stays(interrupted, store, full_disk):
    spec, state = interrupted
    before = state.read_bytes()
    full_disk()
    with pytest.raises(StoreError, match=r"cannot write .*state\.safetensors: File too large"):
        run_trial(spec, store, always)
    assert state.read_bytes() == before
    assert [path.name for path in state.parent.iterdir()] == ["state.safetensors"]
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    seen = []
    run_trial(spec, store, lambda report: seen.append(report.epoch) or True)
    assert seen == [3, 4]


def test_a_full_disk_is_named_with_what_helps(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("trainers.tensor_file.os.fsync", full)
    with pytest.raises(StoreError, match="No space left on device; free some space and run the same command again"):
        write_tensors(tmp_path / "weights.safetensors", {"a": torch.zeros(3)})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_made_and_one_that_is_a_file_is_named(tmp_path):
    write_tensors(tmp_path / "new" / "weights.safetensors", {"a": torch.zeros(3)})
    assert (tmp_path / "new" / "weights.safetensors").is_file()
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot write .*weights\.safetensors: (File exists|Not a directory)"):
        write_tensors(tmp_path / "file" / "weights.safetensors", {"a": torch.zeros(3)})


def test_a_run_that_goes_on_elsewhere_says_so(interrupted, store, monkeypatch):
    spec, _ = interrupted
    monkeypatch.setattr("trainers.loop.describe", lambda *arguments: "cuda (Some GPU), fp32, CTC on cuda")
    outcome = run_trial(spec, store, always)
    assert outcome.computed_on == "cpu, fp32; then cuda (Some GPU), fp32, CTC on cuda"
    assert f"not computed on one device throughout: {outcome.computed_on}" in outcome.notes


def test_the_history_keeps_everything_but_the_weights(interrupted, store):
    spec, _ = interrupted
    run_trial(spec, store, always)
    progress = Progress.of(store.path("checkpoints", spec.key))
    assert len(progress.reports) == 4
    assert progress.computed_on == ["cpu, fp32"]
    assert progress.best_weights == {}
