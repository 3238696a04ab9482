import json

import numpy as np
import pytest
import torch

from search_spaces.axes.features import FeatureSettings
from search_spaces.axes.model import ModelSettings
from search_spaces.errors import CheckpointError
from trainers.checkpoint import load_checkpoint, save_checkpoint
from trainers.data.features import PackedFeatures
from trainers.data.labels import Alphabet
from trainers.model.network import EncoderNetwork

ALPHABET = Alphabet("mixed", ("", "A", "▁GO", "▁Ä"))
FEATURES = FeatureSettings(kind="stored", normalise="utterance", stack=2)


@pytest.fixture(params=["conv", "bilstm"])
def encoder(request):
    return request.param


@pytest.fixture
def save(tmp_path):
    def saver(encoder="bilstm", name="checkpoint", layers=1, hidden=8, seed=0):
        torch.manual_seed(seed)
        folder = tmp_path / name
        folder.mkdir()
        settings = ModelSettings(encoder=encoder, layers=layers, hidden=hidden, dropout=0.3)
        network = EncoderNetwork(settings, 6, len(ALPHABET))
        save_checkpoint(
            folder,
            network,
            model=settings,
            features=FEATURES,
            inputs=6,
            alphabet=ALPHABET,
            training={"study": "baseline", "trial": 3, "settings": {"lr": 0.1}},
            rate=16000,
        )
        return folder, network

    return saver


def describe(folder, change):
    """Change the description of a checkpoint."""
    path = folder / "checkpoint.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    change(description)
    path.write_text(json.dumps(description), encoding="utf-8")


def test_a_checkpoint_gives_back_the_network_bit_for_bit_and_all_that_describes_it(save, encoder):
    folder, network = save(encoder)
    checkpoint = load_checkpoint(folder)
    assert checkpoint.alphabet == ALPHABET
    assert checkpoint.features == FEATURES
    assert checkpoint.model == ModelSettings(encoder=encoder, layers=1, hidden=8, dropout=0.3)
    assert (checkpoint.inputs, checkpoint.weights) == (6, network.weights())
    assert checkpoint.training == {"study": "baseline", "trial": 3, "settings": {"lr": 0.1}}
    assert checkpoint.rate == 16000
    found = checkpoint.network()
    assert not found.training
    features, lengths = torch.randn(2, 20, 6), torch.tensor([20, 13])
    with torch.no_grad():
        for ours, theirs in zip(found(features, lengths), network.eval()(features, lengths), strict=True):
            assert torch.equal(ours, theirs)


def test_the_running_statistics_are_part_of_a_checkpoint(save):
    folder, network = save("conv")
    names = load_checkpoint(folder).network().state_dict().keys()
    assert any("running_mean" in name for name in names)
    assert names == network.state_dict().keys()


def test_the_digest_follows_the_content(save):
    digests = [load_checkpoint(save(name=name, seed=seed)[0]).digest for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("kept", [0, 5, 0.5, -1])
def test_truncated_weights_are_refused(save, kept):
    folder, _ = save()
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read"):
        load_checkpoint(folder).network()


def test_missing_weights_are_refused(save):
    folder, _ = save()
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read"):
        load_checkpoint(folder).network()


def test_a_pickle_in_the_place_of_the_weights_is_refused_without_being_run(save, tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "made"), "w")

    folder, _ = save()
    torch.save({"head.weight": Evil()}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(folder).network()
    assert not (tmp_path / "made").exists()


def test_weights_of_another_width_are_refused_with_every_name_and_both_shapes(save):
    folder, _ = save(hidden=8)
    describe(folder, lambda description: description["model"].update(hidden=12))
    with pytest.raises(CheckpointError, match="do not fit the network") as caught:
        load_checkpoint(folder).network()
    message = str(caught.value)
    assert "head.weight has shape (4, 16), the network needs (4, 24)" in message
    assert "encoder.forwards.0.weight_ih_l0 has shape (32, 6), the network needs (48, 6)" in message
    assert "head.bias" not in message
    assert str(folder) in message


def test_weights_that_are_missing_or_unexpected_are_named(save):
    folder, _ = save(layers=1)
    describe(folder, lambda description: description["model"].update(layers=2))
    with pytest.raises(CheckpointError, match=r"encoder\.forwards\.1\.weight_ih_l0 is missing"):
        load_checkpoint(folder).network()
    folder, _ = save(layers=2, name="deeper")
    describe(folder, lambda description: description["model"].update(layers=1))
    with pytest.raises(CheckpointError, match=r"encoder\.forwards\.1\.weight_ih_l0 is unexpected"):
        load_checkpoint(folder).network()


def test_a_format_of_another_version_is_refused_with_both(save):
    folder, _ = save()
    describe(folder, lambda description: description.update(format=99))
    with pytest.raises(CheckpointError, match="has format 99; this version reads format 1"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1]",
        b"3",
        b'{"weights": 3}',
        b"\xff\xfe",
        b'{"format": 1}',
        b'{"format": 1, "model": {"encoder": 3}}',
    ],
)
def test_a_description_of_something_else_is_refused_with_its_name(save, content):
    folder, _ = save()
    (folder / "checkpoint.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"checkpoint\.json cannot be read as a checkpoint"):
        load_checkpoint(folder)


def test_settings_that_this_version_does_not_know_are_refused(save):
    folder, _ = save()
    describe(folder, lambda description: description["features"].update(warp=3))
    with pytest.raises(CheckpointError, match="warp"):
        load_checkpoint(folder)


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(CheckpointError, match=r"holds no checkpoint: checkpoint\.json is not there"):
            load_checkpoint(folder)


def some_features(rate, width=3):
    neutral = np.zeros((1, width), np.float32)
    offsets = np.array([0, 4], np.int64)
    return PackedFeatures("", ("u0",), np.zeros((4, width), np.float32), offsets, neutral, neutral, FEATURES, rate)


def test_features_of_another_width_or_sampling_rate_are_refused_with_both(save):
    checkpoint = load_checkpoint(save()[0])
    checkpoint.refuse_other_features(some_features(16000), "dev")
    checkpoint.refuse_other_features(some_features(None), "dev")  # what is in memory was read at the right one
    with pytest.raises(CheckpointError, match="recordings of 16000 Hz, and those of dev have 8000 Hz"):
        checkpoint.refuse_other_features(some_features(8000), "dev")
    with pytest.raises(CheckpointError, match="reads features of 6 dimensions, and dev has 4"):
        checkpoint.refuse_other_features(some_features(16000, 2), "dev")


def test_a_checkpoint_that_does_not_say_its_sampling_rate_takes_any(save):
    folder, _ = save()
    describe(folder, lambda description: description.pop("rate"))
    checkpoint = load_checkpoint(folder)
    assert checkpoint.rate is None
    checkpoint.refuse_other_features(some_features(8000), "dev")
