import json
import shutil

import pytest
import torch

from search_spaces.errors import CheckpointError, FusionError
from trainers.averaging import mean_weights
from trainers.checkpoint import DESCRIPTION, Checkpoint, load_checkpoint
from trainers.combining.rule import Average
from trainers.fusion.weights import Weights, WeightsSettings
from trainers.kept_epochs import kept_epochs, load_epoch
from trainers.pipeline import run_trial
from trainers.tensor_file import write_tensors


@pytest.fixture
def kept(trained, tmp_path):
    """Makes checkpoints of one run: the trained one with its weights moved, its record changed."""

    def make(name, shift=0.0, **training) -> Checkpoint:
        folder = tmp_path / name
        shutil.copytree(trained.folder, folder)
        description = json.loads((folder / DESCRIPTION).read_text())
        description["training"] |= training
        description["training"] = {key: value for key, value in description["training"].items() if value is not None}
        (folder / DESCRIPTION).write_text(json.dumps(description))
        state = load_checkpoint(folder).network().state_dict()
        write_tensors(
            folder / "model.safetensors",
            {key: value + shift if value.is_floating_point() else value for key, value in state.items()},
        )
        return load_checkpoint(folder)

    return make


def state(checkpoint):
    return checkpoint.network().state_dict()


def never(weights):
    raise AssertionError("a rule that does not choose by errors asked for them")


def distance(one, other):
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


def fuse(checkpoints, errors=never, **settings) -> Average:
    return Weights(WeightsSettings(**settings)).fuse(checkpoints, errors)


def refused(*args, **settings):
    with pytest.raises(FusionError) as caught:
        fuse(*args, **settings)
    return caught.value.faults


def test_the_last_epochs_of_a_run_are_averaged_in_whatever_order_they_come(kept):
    epochs = [kept(f"e{epoch}", shift, epoch=epoch) for epoch, shift in ((70, 1.0), (79, 0.5), (75, -0.25), (9, 8.0))]
    found = fuse(epochs, last=3)
    assert found.members == ("tiny/baseline#0, epoch 70", "tiny/baseline#0, epoch 75", "tiny/baseline#0, epoch 79")
    assert distance(found.weights, mean_weights([state(epochs[index]) for index in (0, 1, 2)])) < 1e-6
    assert fuse(epochs[::-1], last=3).weights.keys() == found.weights.keys()
    assert distance(fuse(epochs[::-1], last=3).weights, found.weights) == 0


def test_the_mean_of_kept_epochs_is_the_mean_that_a_run_makes_of_its_last_ones(make_spec, store):
    keeping = make_spec(values={"train.keep_last": 3})
    averaging = make_spec(values={"train.average_last": 3})
    for spec in (keeping, averaging):
        run_trial(spec, store, lambda report: True)
    folder, wanted = (store.path("checkpoints", spec.key) for spec in (keeping, averaging))
    epochs = [load_checkpoint(folder), *(load_epoch(folder, epoch) for epoch in kept_epochs(folder))]
    found = fuse(epochs, last=3)
    assert [title.rpartition(" ")[2] for title in found.members] == ["2", "3", "4"]
    assert distance(found.weights, state(load_checkpoint(wanted))) == 0


def test_named_epochs_are_averaged_and_one_is_itself(kept):
    epochs = [kept(f"e{epoch}", float(epoch), epoch=epoch) for epoch in (1, 2, 3)]
    both = fuse(epochs, choose="epochs", epochs=(3, 1))
    assert distance(both.weights, state(epochs[1])) < 1e-5
    assert distance(fuse(epochs, choose="epochs", epochs=(3,)).weights, state(epochs[2])) == 0


def test_running_statistics_are_averaged_and_counts_are_the_last_one_s(kept):
    one, other = kept("a", 1.0, epoch=1), kept("b", 3.0, epoch=2)
    found = fuse([other, one], last=2).weights
    statistics = [name for name in found if name.endswith("running_mean")]
    assert statistics
    for name in statistics:
        assert torch.allclose(found[name], (state(one)[name] + state(other)[name]) / 2)
    counts = [name for name in found if not found[name].is_floating_point()]
    assert counts
    assert all(found[name].equal(state(other)[name]) for name in counts)


def test_epochs_that_are_not_there_are_named_beside_those_that_are(kept):
    epochs = [kept(f"e{epoch}", epoch=epoch) for epoch in (70, 75)]
    assert refused(epochs, choose="epochs", epochs=(70, 79, 80)) == ("epochs 79, 80 are not kept; there are 70, 75",)
    assert refused(epochs, choose="epochs") == ("no epoch is named; there are 70, 75",)
    assert refused([]) == ("there are no checkpoints",)


@pytest.mark.parametrize("settings", [{}, {"choose": "epochs", "epochs": (1, 2)}])
def test_epochs_of_several_runs_are_refused_with_the_figure(kept, settings):
    need, why = refused([kept("a", epoch=1), kept("b", epoch=2, trial=7, key="other")], **settings)
    assert "not known to be epochs of one run" in need
    assert "tiny/baseline#0, epoch 1, start unknown; tiny/baseline#7, epoch 2, start unknown" in need
    assert "72 % word errors" in why


def test_a_soup_of_runs_that_started_apart_is_refused(kept):
    for starts in ((None, None), ("", ""), ("one", "other"), ("one", None)):
        checkpoints = [kept(f"{starts}{trial}", key=str(trial), start=start) for trial, start in enumerate(starts)]
        need, why = refused(checkpoints, choose="greedy")
        assert "nor of runs that started from the same checkpoint" in need
        assert "72 %" in why


def test_checkpoints_that_do_not_say_of_which_run_they_are_are_not_taken_for_one(kept):
    strangers = [kept(name, key=None, study=None, epoch=epoch) for epoch, name in enumerate("ab")]
    need, why = refused(strangers)
    assert str(strangers[0].folder) in need
    assert "72 %" in why


def test_a_greedy_soup_keeps_what_does_not_make_dev_worse(kept):
    shifts = {"best": 0.1, "other_side": -0.2, "far": 5.0}
    checkpoints = [kept(name, shift, key=str(trial), start="s") for trial, (name, shift) in enumerate(shifts.items())]
    middle = state(kept("middle"))
    asked = []

    def errors(weights):
        asked.append(distance(weights, middle))
        return asked[-1]

    found = fuse(checkpoints, errors, choose="greedy")
    assert len(found.members) == 2
    assert distance(found.weights, mean_weights([state(checkpoints[0]), state(checkpoints[1])])) < 1e-6
    assert sorted(asked[:3]) == pytest.approx([0.1, 0.2, 5.0], abs=1e-5)  # each alone
    assert asked[3:] == pytest.approx([0.05, 4.9 / 3], abs=1e-5)  # the second best and then the worst beside the best
    assert "2 of 3 checkpoints" in found.notes[0]


def test_students_that_started_from_one_checkpoint_make_a_soup(make_spec, trained, store):
    needs = {"teacher": (trained.ingredient,), "student": (trained.ingredient,)}
    specs = [make_spec("distillation", {"train.epochs": 1, "train.seed": seed}, needs) for seed in (1, 2)]
    outcomes = [run_trial(spec, store, lambda report: True) for spec in specs]
    students = [load_checkpoint(store.path("checkpoints", outcome.checkpoint)) for outcome in outcomes]
    assert {student.training["start"] for student in students} == {load_checkpoint(trained.folder).digest}
    found = fuse(students, lambda weights: 0.0, choose="greedy")
    assert len(found.members) == 2
    assert distance(found.weights, mean_weights(list(map(state, students)))) == 0


def test_checkpoints_of_other_labels_or_shapes_are_refused(kept, trained):
    one, other = kept("a", epoch=1), kept("b", epoch=2)
    path = other.folder / DESCRIPTION
    description = json.loads(path.read_text())
    labels = description["alphabet"]["labels"]
    description["alphabet"]["labels"] = [labels[0], *labels[:0:-1]]
    path.write_text(json.dumps(description))
    assert (
        "epoch 1 and tiny/baseline#0, epoch 2 differ in their labels"
        in refused([one, load_checkpoint(other.folder)])[0]
    )
    narrow = kept("c", epoch=3)
    description = json.loads((narrow.folder / DESCRIPTION).read_text())
    description["model"]["layers"] = 2
    (narrow.folder / DESCRIPTION).write_text(json.dumps(description))
    with pytest.raises(CheckpointError, match="is missing"):
        fuse([one, load_checkpoint(narrow.folder)])
