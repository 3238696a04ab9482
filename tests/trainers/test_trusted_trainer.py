"""What every run promises, whatever its strategy: each test is a trap that has cost somebody a week."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from search_spaces.axes.model import ModelSettings
from search_spaces.axes.train import TrainSettings
from search_spaces.errors import DataError
from tests.trainers.conftest import STORED
from trainers.artifacts import Score
from trainers.data.labels import Alphabet
from trainers.data.sets import encode_targets, load_set
from trainers.loop import Plateau, train
from trainers.losses.ctc import ctc_loss
from trainers.model.network import EncoderNetwork
from trainers.pipeline import run_trial
from trainers.process import THREADS
from trainers.scoring.scorer import PLAIN
from trainers.store import Store
from trainers.strategies import catalogue, find_strategy

TRAINING = [name for name, schema in catalogue().items() if schema.trains]
WAYS = {
    "plainly": {},
    "with a moving average, warped": {"train.ema": 0.9, "train.time_rescale": 0.1, "train.band_warp": 0.1},
    "with its last epochs averaged": {"train.average_last": 3},
    "on a plateau schedule": {"train.schedule": "plateau", "train.plateau_patience": 1, "train.warmup": 0.25},
    "in bf16, deterministically": {"train.precision": "bf16", "train.deterministic": True},
    "in fp16": {"train.precision": "fp16", "train.ema": 0.9},
}
COMBINATIONS = [(strategy, "conv", way) for strategy in TRAINING for way in WAYS]
COMBINATIONS += [("baseline", "bilstm", way) for way in WAYS if way != "in fp16"]
COMBINATIONS += [
    (name, "bilstm", "plainly") for name in TRAINING if not (catalogue()[name].needs or name == "baseline")
]


class Interrupted(Exception):
    """What a killed process stands for here."""


def always(report):
    return True


def compare(expected, found, stores, key):
    """Assert that two runs are one, to the last bit of every weight that they kept."""
    reports = [[replace(report, seconds=0.0) for report in outcome.epochs] for outcome in (expected, found)]
    assert reports[0] == reports[1]
    assert (found.score, found.best_epoch, found.notes) == (expected.score, expected.best_epoch, expected.notes)
    folders = [store.path("checkpoints", key) for store in stores]
    names = [sorted(path.name for path in folder.iterdir()) for folder in folders]
    assert names[0] == names[1] == ["checkpoint.json", "history.json", "last.safetensors", "model.safetensors"]
    for name in ("model.safetensors", "last.safetensors", "checkpoint.json"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


@pytest.mark.parametrize(("strategy", "encoder", "way"), COMBINATIONS)
def test_four_epochs_are_two_and_two_after_an_interruption_bit_for_bit(
    strategy, encoder, way, make_spec, needs_of, tmp_path
):
    spec = make_spec(strategy, {"model.encoder": encoder, "model.dropout": 0.2, **WAYS[way]}, needs_of(strategy))
    whole, cut = Store(tmp_path / "whole"), Store(tmp_path / "cut")
    expected = run_trial(spec, whole, always)

    def stop_after_two(report):
        if report.epoch == 2:
            raise Interrupted
        return True

    with pytest.raises(Interrupted):
        run_trial(spec, cut, stop_after_two)
    assert not cut.has("checkpoints", spec.key)
    torch.manual_seed(99)  # another process has other random numbers
    seen = []
    found = run_trial(spec, cut, lambda report: seen.append(report.epoch) or True)
    assert seen == [3, 4]
    compare(expected, found, (whole, cut), spec.key)


@pytest.mark.parametrize("strategy", TRAINING)
def test_a_run_that_is_killed_within_an_epoch_repeats_that_epoch_bit_for_bit(
    strategy, make_spec, needs_of, tmp_path, monkeypatch
):
    values = {"model.dropout": 0.2, "train.average_last": 2, "train.precision": "bf16"}
    spec = make_spec(strategy, values, needs_of(strategy))
    whole, cut = Store(tmp_path / "whole"), Store(tmp_path / "cut")
    expected = run_trial(spec, whole, always)
    step, steps, seen = find_strategy(strategy).step, [], []

    def dies(self, network, batch):
        steps.append(len(seen))
        if steps.count(2) == 3:
            raise Interrupted
        return step(self, network, batch)

    with monkeypatch.context() as patch:
        patch.setattr(find_strategy(strategy), "step", dies)
        with pytest.raises(Interrupted):
            run_trial(spec, cut, lambda report: seen.append(report.epoch) or True)
    assert seen == [1, 2]
    found = run_trial(spec, cut, lambda report: seen.append(report.epoch) or True)
    assert seen == [1, 2, 3, 4]
    compare(expected, found, (whole, cut), spec.key)


@pytest.fixture
def crowded(tmp_path, tiny, write_manifest):
    """The tiny training set, and one utterance whose words do not fit its frames."""
    np.save(tmp_path / "crowded.npy", np.ones((5, 6), np.float32))
    lines = [
        {"feature_filepath": str(tiny.folder / "features" / f"train_{n}.npy"), "text": text, "speaker": "anna"}
        for n, text in enumerate(["GO STOP", "YES NO"])
    ]
    lines.insert(1, {"feature_filepath": "crowded.npy", "text": "GO GO GO GO", "speaker": "anna"})
    return write_manifest(tmp_path / "crowded.jsonl", lines)


def test_an_utterance_that_does_not_fit_its_frames_is_refused_with_its_line(make_spec, store, crowded):
    spec = replace(make_spec(values={"train.epochs": 1}), train=crowded)
    with pytest.raises(DataError, match="line 2: text: needs 7 frames and the network leaves 2 of crowded"):
        run_trial(spec, store, always)


def test_or_it_is_dropped_and_the_run_is_what_it_would_be_had_it_never_been_there(
    make_spec, store, tmp_path, crowded, write_manifest
):
    values = {"train.epochs": 2, "train.infeasible": "drop"}
    # normalised each by itself, so that the features of the others do not change
    outcome = run_trial(replace(make_spec(values=values), train=crowded), store, always)
    assert outcome.notes[0] == "1 training utterances were left out: their transcripts do not fit their frames"
    lines = crowded.read_text(encoding="utf-8").splitlines(keepends=True)
    without = tmp_path / "without.jsonl"
    without.write_text(lines[0] + lines[2], encoding="utf-8")
    spec = replace(make_spec(values=values), train=without, data={"train": "another", "dev": "d"})
    other = run_trial(spec, store, always)
    assert other.notes == outcome.notes[1:]
    assert [report.loss for report in outcome.epochs] == [report.loss for report in other.epochs]


def test_a_set_of_which_nothing_would_be_left_is_refused(store, crowded, tmp_path, write_manifest):
    only = tmp_path / "only.jsonl"
    only.write_text(crowded.read_text(encoding="utf-8").splitlines(keepends=True)[1], encoding="utf-8")
    data = load_set(store, only, STORED)
    with pytest.raises(DataError, match="needs 7 frames"):
        encode_targets(data, Alphabet.of("word", data.references), lambda lengths: lengths // 4, drop=True)


@pytest.mark.parametrize("text", ["GO MAYBE", "GO <blank>"])
def test_a_word_without_a_label_and_the_blank_itself_are_refused_as_targets(store, crowded, text):
    data = load_set(store, crowded, STORED)
    odd = replace(data, utterances=tuple(replace(utterance, text=text) for utterance in data.utterances))
    with pytest.raises(DataError, match="has no label for"):
        encode_targets(odd, Alphabet.of("word", data.references), lambda lengths: lengths, drop=True)


def test_every_target_of_a_corpus_is_a_label_and_no_blank(corpus):
    for labels in corpus.targets:
        assert labels.min() >= 1
        assert labels.max() < len(corpus.alphabet)


@pytest.mark.parametrize("encoder", ["conv", "bilstm"])
def test_what_stands_in_the_padding_changes_no_output_of_either_direction(encoder):
    torch.manual_seed(0)
    network = EncoderNetwork(ModelSettings(encoder=encoder, layers=2, hidden=8), 6, 5).eval()
    features, lengths = torch.randn(2, 40, 6), torch.tensor([40, 23])
    together, frames = network(features, lengths)
    alone, _ = network(features[1:, :23], lengths[1:])
    assert torch.allclose(together[1, : frames[1]], alone[0], atol=1e-5)


def test_the_backward_lstm_reads_what_packing_would_let_it_read():
    torch.manual_seed(0)
    encoder = EncoderNetwork(ModelSettings(encoder="bilstm", layers=1, hidden=8, dropout=0.0), 6, 5).encoder
    both = torch.nn.LSTM(6, 8, bidirectional=True, batch_first=True)
    for name, weight in encoder.forwards[0].named_parameters():
        getattr(both, name).data.copy_(weight)
    for name, weight in encoder.backwards[0].named_parameters():
        getattr(both, f"{name}_reverse").data.copy_(weight)
    features, lengths = torch.randn(3, 30, 6), torch.tensor([30, 11, 24])
    packed = torch.nn.utils.rnn.pack_padded_sequence(features, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(both(packed)[0], batch_first=True)
    torch.testing.assert_close(encoder(features, lengths)[0], expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("attention", ["none", "windowed", "gate"])
def test_head_softmax_and_ctc_run_in_float32_whatever_the_encoder_runs_in(half, attention):
    torch.manual_seed(0)
    network = EncoderNetwork(ModelSettings(layers=2, hidden=16, attention=attention, dropout=0.0), 6, 100)
    seen = []
    network.head.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0].dtype, output.dtype)))
    features, lengths = torch.randn(2, 40, 6), torch.tensor([40, 32])
    with torch.autocast("cpu", half):
        log_probs, frames = network(features, lengths)
        loss = ctc_loss(log_probs, frames, torch.tensor([3, 5, 99]), torch.tensor([2, 1]))
        coarse = ctc_loss(log_probs.to(half), frames, torch.tensor([3, 5, 99]), torch.tensor([2, 1]))
    assert seen == [(torch.float32, torch.float32)]
    assert log_probs.dtype == loss.dtype == coarse.dtype == torch.float32
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(2, 10), atol=1e-5, rtol=0)


@pytest.mark.parametrize("encoder", ["conv", "bilstm"])
def test_the_dropout_of_a_single_layer_drops(encoder):
    torch.manual_seed(0)
    network = EncoderNetwork(ModelSettings(encoder=encoder, layers=1, hidden=32, dropout=0.5), 6, 5)
    features, lengths = torch.randn(1, 40, 6), torch.tensor([40])
    hidden = network.train().encoder(features, lengths)[0]
    full = network.eval().encoder(features, lengths)[0]
    dropped = ((hidden == 0) & (full != 0)).sum() / (full != 0).sum()
    assert 0.3 < dropped < 0.7
    assert torch.equal(full, network.encoder(features, lengths)[0])


class BlankOnly:
    """An objective that nothing is learnt from."""

    def by_length(self, epoch):
        return False

    def step(self, network, batch):
        return 0 * network(batch.features, batch.lengths)[0].sum()


def blank_network(corpus):
    """A network that says nothing but blank."""
    network = EncoderNetwork(ModelSettings(encoder="bilstm", layers=1, hidden=8), 6, len(corpus.alphabet))
    network.head.weight.data.zero_()
    network.head.bias.data.copy_(torch.eye(len(corpus.alphabet))[0] * 50)
    return network


@pytest.mark.parametrize("patience", [0, 2])
def test_a_run_that_says_nothing_but_blank_is_stopped_after_three_tenths_of_its_epochs(corpus, tmp_path, patience):
    settings = TrainSettings(epochs=30, batch_frames=120, weight_decay=0, feature_mask_width=1, patience=patience)
    with pytest.raises(Plateau, match="stopped at epoch 9 of 30: it said nothing but blank from the first") as stop:
        train(blank_network(corpus), BlankOnly(), corpus, settings, tmp_path, always)
    assert [report.blank_share for report in stop.value.progress.reports] == [1.0] * 9


def test_a_short_run_may_say_nothing_but_blank_for_five_epochs(corpus, tmp_path):
    for epochs, name in ((6, "stopped"), (4, "not stopped")):
        (tmp_path / name).mkdir()
        settings = TrainSettings(epochs=epochs, batch_frames=120, weight_decay=0, feature_mask_width=1)
        run = (blank_network(corpus), BlankOnly(), corpus, settings, tmp_path / name, always)
        if epochs == 4:
            assert len(train(*run).reports) == 4
        else:
            with pytest.raises(Plateau, match="stopped at epoch 5 of 6"):
                train(*run)


def test_the_record_says_that_a_run_was_stopped_on_the_plateau(make_spec, store, monkeypatch):
    monkeypatch.setattr("trainers.loop.evaluate", lambda *arguments: (100.0, 1.0))
    outcome = run_trial(make_spec(values={"train.epochs": 10}), store, always)
    assert outcome.pruned
    assert outcome.notes == ("stopped at epoch 5 of 10: it said nothing but blank from the first",)


def test_a_process_that_trains_computes_on_one_thread_that_does_not_spin():
    program = (
        "import torch; from trainers.process import set_up; set_up(); "
        "torch.randn(400, 400, requires_grad=True).mm(torch.randn(400, 400)).sum().backward(); "
        "print(torch.get_num_threads())"
    )
    environment = {**os.environ, **THREADS}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["1"]
    assert THREADS["OMP_WAIT_POLICY"] == "PASSIVE"
    assert THREADS["OMP_NUM_THREADS"] == "1"


def test_the_word_error_rate_is_that_of_pooled_counts():
    references = ["GO", "STOP YES NO GO GO STOP NO YES NO"]
    score = PLAIN.score_set(references, ["NO", references[1]])
    assert score == Score(substitutions=1, words=10)
    assert score.wer == 10.0  # the mean of the two rates is 50


def test_dropped_utterances_are_no_part_of_an_epoch(corpus, tmp_path):
    targets = [labels if index % 3 else labels[:0] for index, labels in enumerate(corpus.targets)]
    fewer = replace(corpus, targets=targets)
    seen = []

    class Spy(BlankOnly):
        def step(self, network, batch):
            seen.extend(batch.indices.tolist())
            return super().step(network, batch)

    progress = train(blank_network(corpus), Spy(), fewer, TrainSettings(epochs=1), tmp_path, always)
    assert sorted(seen) == [index for index in range(12) if index % 3]
    assert progress.dropped == 4
