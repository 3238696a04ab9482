"""Weights after chosen epochs of a run."""

import os
import pickle
import signal
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from safetensors.torch import load_file

from search_spaces.axes.train import TrainSettings
from search_spaces.errors import CheckpointError
from trainers.checkpoint import keep_checkpoint, load_checkpoint
from trainers.data.sets import load_set
from trainers.kept_epochs import epoch_folder, kept_epochs, load_epoch, wanted_epochs
from trainers.loop import evaluate
from trainers.pipeline import run_trial
from trainers.spec import Ingredient
from trainers.store import Store


def folder_of(spec, store):
    return store.path("checkpoints", spec.key)


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in (folder / "epochs").rglob("*") if path.is_file()}


@pytest.mark.parametrize("values", [{}, {"train.ema": 0.9}, {"train.average_last": 2}])
def test_a_kept_epoch_is_a_checkpoint_with_the_wer_that_was_reported_for_it(make_spec, at_hand, store, values):
    spec = make_spec(values={"train.keep_epochs": [2], "train.keep_last": 1, **values})
    outcome, said = run_trial(spec, store, lambda report: True), at_hand(spec, store).tuned_by
    assert kept_epochs(folder_of(spec, store)) == (2, 4)
    for epoch in (2, 4):
        found = load_epoch(folder_of(spec, store), epoch)
        assert found.training["epoch"] == epoch
        dev = load_set(store, spec.dev, found.features)
        assert evaluate(found.network(), dev, found.alphabet, said)[0] == outcome.epochs[epoch - 1].dev_wer


def test_what_is_kept_changes_nothing_else_of_a_run(make_spec, store):
    plain, keeping = make_spec(), make_spec(values={"train.keep_last": 3})
    outcomes = [run_trial(spec, store, lambda report: True) for spec in (plain, keeping)]
    assert outcomes[0].score == outcomes[1].score
    assert kept_epochs(folder_of(plain, store)) == ()
    assert not (folder_of(plain, store) / "epochs").exists()
    for name in ("model.safetensors", "last.safetensors"):
        assert (folder_of(plain, store) / name).read_bytes() == (folder_of(keeping, store) / name).read_bytes()


def test_the_last_kept_epoch_and_the_best_one_have_the_weights_that_lie_beside_them(make_spec, store):
    spec = make_spec(values={"train.keep_last": 4})
    outcome = run_trial(spec, store, lambda report: True)
    folder = folder_of(spec, store)
    pairs = [("last.safetensors", 4), ("model.safetensors", outcome.best_epoch)]
    for name, epoch in pairs:
        ours, theirs = load_file(folder / name), load_file(epoch_folder(folder, epoch) / "model.safetensors")
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_head_that_only_training_needs_is_in_no_kept_epoch(make_spec, needs_of, store):
    spec = make_spec("inter_ctc", {"train.keep_last": 2}, needs_of("inter_ctc"))
    run_trial(spec, store, lambda report: True)
    for epoch in (3, 4):
        assert load_epoch(folder_of(spec, store), epoch).network()


class Stopped(Exception):
    """What an interruption stands for."""


def test_four_epochs_keep_what_two_and_two_keep_to_the_bit(make_spec, tmp_path):
    spec = make_spec(values={"train.keep_epochs": [1, 3], "train.keep_last": 2})
    whole, cut = Store(tmp_path / "whole"), Store(tmp_path / "cut")
    run_trial(spec, whole, lambda report: True)

    def stop(report):
        if report.epoch == 2:
            raise Stopped
        return True

    with pytest.raises(Stopped):
        run_trial(spec, cut, stop)
    assert kept_epochs(cut.unfinished("checkpoints", spec.key)) == (1, 2)
    run_trial(spec, cut, lambda report: True)
    assert kept_epochs(folder_of(spec, cut)) == (1, 3, 4)
    assert files_of(folder_of(spec, whole)) == files_of(folder_of(spec, cut))


DYING = """\
import os, pickle, signal, sys
from pathlib import Path
from trainers import kept_epochs, run_state, strategy
from trainers.pipeline import run_trial
from trainers.store import Store

spec, root, where, number = pickle.loads(bytes.fromhex(sys.argv[1])), sys.argv[2], sys.argv[3], int(sys.argv[4])
owner, name = {
    "write": (kept_epochs, "write_tensors"),
    "state": (run_state, "write_tensors"),
    "clear": (kept_epochs.shutil, "rmtree"),
    "describe": (strategy, "save_checkpoint"),
}[where]
whole, calls = getattr(owner, name), 0

def die(*args, **kwargs):
    global calls
    calls += 1
    if calls == number:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(*args, **kwargs)

setattr(owner, name, die)
run_trial(spec, Store(Path(root)), lambda report: True)
"""


@pytest.mark.parametrize(("where", "number"), [("write", 3), ("state", 3), ("clear", 1), ("describe", 2)])
def test_a_run_that_is_killed_keeps_the_same_epochs_when_it_goes_on(make_spec, tmp_path, root, where, number):
    spec = make_spec(values={"train.keep_epochs": [1], "train.keep_last": 2})
    whole, cut = Store(tmp_path / "whole"), Store(tmp_path / "cut")
    run_trial(spec, whole, lambda report: True)
    words = [sys.executable, "-c", DYING, pickle.dumps(spec).hex(), str(cut.root), where, str(number)]
    died = subprocess.run(words, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, check=False)
    assert died.returncode == -signal.SIGKILL
    run_trial(spec, cut, lambda report: True)
    assert kept_epochs(folder_of(spec, cut)) == (1, 3, 4)
    assert files_of(folder_of(spec, whole)) == files_of(folder_of(spec, cut))


def test_a_run_that_stops_early_keeps_the_last_of_those_that_ran_and_names_what_it_did_not_reach(make_spec, store):
    spec = make_spec(
        values={"train.epochs": 40, "train.patience": 1, "train.keep_epochs": [1, 39, 40], "train.keep_last": 2}
    )
    outcome = run_trial(spec, store, lambda report: True)
    done = len(outcome.epochs)
    assert 3 < done < 39
    assert kept_epochs(folder_of(spec, store)) == (1, done - 1, done)
    assert "ended before epochs whose weights were to be kept: 39, 40" in outcome.notes


def test_a_kept_epoch_serves_wherever_a_checkpoint_does(make_spec, store):
    spec = make_spec(values={"train.keep_epochs": [3]})
    outcome = run_trial(spec, store, lambda report: True)
    kept = load_epoch(folder_of(spec, store), 3)
    key, copy = keep_checkpoint(store, kept)
    assert load_checkpoint(copy).training["epoch"] == 3
    decoded = run_trial(
        make_spec("imported", needs={"checkpoint": (Ingredient("epoch 3", copy, key),)}), store, lambda report: True
    )
    assert decoded.score.wer == outcome.epochs[2].dev_wer


def test_an_epoch_that_was_not_kept_is_refused_with_those_that_were(make_spec, store, trained):
    spec = make_spec(values={"train.keep_epochs": [3]})
    run_trial(spec, store, lambda report: True)
    with pytest.raises(CheckpointError, match=r"the weights after epoch 2: it kept 3; train\.keep_epochs"):
        load_epoch(folder_of(spec, store), 2)
    with pytest.raises(CheckpointError, match="it kept none"):
        load_epoch(trained.folder, 2)


def test_which_epochs_are_kept_is_part_of_a_trials_key_and_their_order_is_not(make_spec):
    keys = [make_spec(values={"train.keep_epochs": chosen}).key for chosen in ([], [1, 3], [3, 1, 3])]
    assert keys[0] != keys[1] == keys[2]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 12, "keep_epochs": [12, 13, 75]}, "there are only 12 epochs, and no epoch 13, 75 to keep"),
        ({"epochs": 12, "keep_epochs": [0]}, "greater than or equal to 1"),
        ({"epochs": 12, "keep_epochs": [2.0]}, "valid integer"),
        ({"epochs": 12, "keep_last": 13}, "there are only 12 epochs whose weights could be kept"),
    ],
)
def test_epochs_that_a_run_does_not_have_are_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        TrainSettings(**values)


@given(st.integers(0, 30), st.sets(st.integers(1, 40)), st.integers(0, 10))
def test_an_epoch_that_is_not_wanted_any_more_is_never_wanted_again(done, chosen, last):
    now, then = wanted_epochs(done, chosen, last), wanted_epochs(done + 1, chosen, last)
    assert then <= now | {done + 1}
    assert chosen & set(range(1, done + 1)) <= now
    assert len(now - chosen) <= last
    assert set(range(max(done - last, 0) + 1, done + 1)) <= now
