import argparse
import os
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from search_spaces.errors import CheckpointError, DataError
from trainers.exchange.foreign_weights import fit_weights, read_weights
from trainers.exchange.labels import read_labels


class Opens:
    """A pickle that would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def net():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def same(found, wanted):
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.fixture
def state():
    return net().state_dict()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pt"


WRAPPED = {
    "as it is": lambda state: state,
    "under state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "under model_state_dict beside an optimiser": lambda state: {
        "model_state_dict": state,
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]},
    },
    "under a name of its own": lambda state: {"net": state, "wer": 17.5, "notes": ["a"]},
}


@pytest.mark.parametrize("case", WRAPPED)
@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict_is_found_wherever_it_lies(path, state, case, zipped):
    torch.save(WRAPPED[case](state), path, _use_new_zipfile_serialization=zipped)
    same(read_weights(path), state)


def test_safetensors_are_read(tmp_path, state):
    save_file(state, tmp_path / "model.safetensors")
    same(read_weights(tmp_path / "model.safetensors"), state)


def test_several_state_dicts_are_named_and_one_is_chosen(path, state):
    torch.save({"model": state, "ema": {name: value + 1 for name, value in state.items()}, "epoch": 3}, path)
    with pytest.raises(CheckpointError, match="several state dicts: model, ema; choose one with --part NAME"):
        read_weights(path)
    same(read_weights(path, "model"), state)
    with pytest.raises(CheckpointError, match="no state dict 'epoch'; it has model, ema"):
        read_weights(path, "epoch")


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("zipped", [True, False, None])
def test_a_pickle_that_would_run_something_is_refused_by_name_and_not_run(tmp_path, path, state, zipped, protocol):
    made = tmp_path / "made"
    if zipped is None:
        path.write_bytes(pickle.dumps({"hook": Opens(made)}, protocol))
    else:
        content = {"state_dict": state, "hook": Opens(made)}
        torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"asks to run (posix|os)\.system"):
        read_weights(path)
    assert not made.exists()
    pickle.loads(pickle.dumps(Opens(made)))  # and it would have been
    assert made.exists()


def test_a_pickle_of_a_protocol_that_torch_does_not_read_is_not_said_to_run_anything(path, state):
    torch.save(state, path, pickle_protocol=4)
    with pytest.raises(CheckpointError, match=r"no checkpoint that torch can read, .* Unsupported operand"):
        read_weights(path)


def test_a_network_that_was_saved_whole_is_refused_with_what_to_save(path):
    torch.save(net(), path)
    with pytest.raises(
        CheckpointError, match=r"asks to run torch\.nn\.modules\.\S+, .* torch.save\(model.state_dict\(\)"
    ):
        read_weights(path)


def test_a_checkpoint_with_an_object_beside_the_weights_is_refused_by_the_object_s_name(path, state):
    torch.save({"state_dict": state, "args": argparse.Namespace(lr=1)}, path)
    with pytest.raises(CheckpointError, match=r"asks to run argparse\.Namespace"):
        read_weights(path)


def unreadable(folder, state):
    whole = folder / "whole.pt"
    torch.save(state, whole)
    yield "missing", "no such file", lambda path: None
    yield "a folder", "is a folder without a checkpoint", lambda path: path.mkdir()
    yield "empty", "is empty", lambda path: path.write_bytes(b"")
    yield "truncated", "no checkpoint that torch can read", lambda path: path.write_bytes(whole.read_bytes()[:-300])
    yield "noise", "no checkpoint that torch can read", lambda path: path.write_bytes(bytes(range(256)) * 4)
    yield "text", "no checkpoint that torch can read", lambda path: path.write_text("weights\n")
    yield "a list", "holds list, and should hold a state dict", lambda path: torch.save([1, 2], path)
    yield "no weights", "holds no state dict; its keys are epoch", lambda path: torch.save({"epoch": 1}, path)
    yield "nothing", "holds no state dict; its keys are none", lambda path: torch.save({}, path)
    yield "NaN", "holds NaN or infinity in w", lambda path: torch.save({"w": torch.tensor([1.0, float("nan")])}, path)

    def other_zip(path):
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("a.txt", "a")

    yield "another zip", "no checkpoint that torch can read", other_zip


@pytest.mark.parametrize("index", range(11))
def test_a_file_that_is_no_checkpoint_is_refused_with_what_it_is(tmp_path, path, state, index):
    _, message, make = list(unreadable(tmp_path, state))[index]
    make(path)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_weights(path)
    assert str(path) in str(caught.value)


def test_an_archive_that_is_encrypted_is_refused_and_not_a_fault_of_the_program(path, state):
    torch.save(state, path)
    content = bytearray(path.read_bytes())
    # where the flags stand, of a file in the archive and of its entry in the list
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(mark)
        while place >= 0:
            content[place + flags] |= 1
            place = content.find(mark, place + 4)
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"is no checkpoint that torch can read, or a part of one: .*encryption"):
        read_weights(path)


def test_broken_safetensors_are_refused(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"12345678{}")
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        read_weights(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("prefix", "strip"),
    [
        ("", ""),
        ("module.", ""),
        ("_orig_mod.", ""),
        ("module._orig_mod.", ""),
        ("encoder.", "encoder."),
        ("module.a.", "module.a."),
    ],
)
def test_a_prefix_is_taken_off(path, state, prefix, strip):
    fresh = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    fit_weights(path, fresh, {prefix + name: value for name, value in state.items()}, strip)
    same(fresh.state_dict(), state)


def test_a_prefix_that_no_weight_has_is_refused(path, state):
    with pytest.raises(CheckpointError, match=r"no weight's name starts with 'net\.'; they are 0\.weight, 0\.bias"):
        fit_weights(path, net(), state, "net.")


def test_every_weight_that_does_not_fit_is_named(path, state):
    changed = {name: value for name, value in state.items() if name != "0.bias"}
    changed |= {"0.weight": torch.zeros(5, 3), "head.weight": torch.zeros(1)}
    network = net()
    with pytest.raises(CheckpointError) as caught:
        fit_weights(path, network, changed)
    for part in (
        "0.bias is missing",
        "head.weight is unexpected",
        "0.weight has shape (5, 3), the network needs (4, 3)",
    ):
        assert part in str(caught.value)
    same(network.state_dict(), state)


# labels


@pytest.mark.parametrize(
    ("text", "units", "blank", "labels", "column"),
    [
        ("\na\nb\n", "char", "", ("", "a", "b"), 0),
        ("a\n \nb\n<blk>\n", "char", "<blk>", ("", "a", " ", "b"), 3),
        ("a\n\nb", "char", "", ("", "a", "b"), 1),
        ("GO\r\n<b>\r\n▁NO\r\n", "word", "▁<b>", None, None),
        ("GO\r\n<b>\r\n▁NO\r\n", "word", "<b>", ("", "▁GO", "▁NO"), 1),
        ("▁A\nB\n\n", "mixed", "", ("", "▁A", "B"), 2),
    ],
)
def test_labels_are_read_in_the_order_of_the_columns_with_the_blank_put_first(
    tmp_path, text, units, blank, labels, column
):
    path = tmp_path / "labels.txt"
    path.write_bytes(text.encode())
    if labels is None:
        with pytest.raises(DataError, match="no line is"):
            read_labels(path, units, blank)
        return
    alphabet, found = read_labels(path, units, blank)
    assert (alphabet.labels, alphabet.units, found) == (labels, units, column)


@pytest.mark.parametrize(
    ("text", "blank", "message"),
    [
        ("a\nb\n", "", "no line is empty; write one, or name the blank with --blank"),
        ("\na\n\nb\n", "", "2 lines are empty"),
        ("\na\nb\na\n", "", "line 4: 'a' stands twice, first on line 2"),
        ("<b>\na\n\n", "<b>", "line 3: is empty, and the blank has another name"),
    ],
)
def test_a_file_of_labels_that_leaves_a_doubt_is_refused(tmp_path, text, blank, message):
    path = tmp_path / "labels.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_labels(path, "char", blank)
