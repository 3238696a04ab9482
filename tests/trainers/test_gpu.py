"""On a GPU every strategy does what it does on the CPU; these tests need one."""

from dataclasses import replace

import pytest
import torch

from search_spaces.axes.decoding import DecodingSettings
from search_spaces.axes.features import FeatureSettings
from trainers.data.sets import load_set
from trainers.device import VARIABLE
from trainers.pipeline import run_trial
from trainers.recogniser import Recogniser, export_system
from trainers.store import Store
from trainers.strategies import catalogue

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

# no dropout, whose numbers differ from device to device; masks and warps are drawn on the CPU
BASE = {"model.dropout": 0.0, "train.time_rescale": 0.1, "train.band_warp": 0.1, "train.epochs": 2, "train.lr": 1e-3}
VARIANTS = {name: [{}] for name, schema in catalogue().items() if schema.trains}
VARIANTS["attention"] += [{"model.attention": "gate"}]
VARIANTS["augmentation"] += [{"augmentation.mixup_at": "hidden"}, {"augmentation.mixup": 0.0}]
VARIANTS["distillation"] += [{"distillation.level": level} for level in ("frame", "span", "guided", "sequence")]
VARIANTS["distillation"] += [
    {"distillation.level": "frame", "distillation.frames": frames} for frames in ("all", "dilate_k", "nonblank_renorm")
]
CASES = [(name, values) for name, many in VARIANTS.items() for values in many]
CASES += [("baseline", {"model.encoder": "bilstm"}), ("inter_ctc", {"model.encoder": "bilstm"})]
CASES += [("baseline", {"train.ema": 0.9}), ("baseline", {"train.average_last": 2})]


class Interrupted(Exception):
    """What a killed process stands for here."""


def always(report):
    return True


@pytest.fixture
def on(monkeypatch):
    """Choose the device of what follows, without the TF32 that convolutions have by default."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    return lambda device: monkeypatch.setenv(VARIABLE, device)


def losses(outcome):
    return [report.loss for report in outcome.epochs]


@pytest.mark.parametrize(("strategy", "values"), CASES)
def test_a_strategy_has_the_losses_that_it_has_on_the_cpu(strategy, values, make_spec, needs_of, tmp_path, on):
    spec = make_spec(strategy, {**BASE, **values}, needs_of(strategy))
    found = []
    for device in ("cpu", "cuda"):
        on(device)
        found.append(run_trial(spec, Store(tmp_path / device), always))
    assert losses(found[1]) == pytest.approx(losses(found[0]), rel=2e-3)
    assert found[0].computed_on == "cpu, fp32"
    assert found[1].computed_on.startswith("cuda (")
    assert found[1].computed_on.endswith("fp32, CTC on cuda")


@pytest.mark.parametrize("encoder", ["conv", "bilstm"])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_on_a_gpu(precision, encoder, make_spec, store, on):
    on("cuda")
    values = {"train.precision": precision, "train.epochs": 12, "model.encoder": encoder}
    outcome = run_trial(make_spec(values=values), store, always)
    assert outcome.epochs[-1].loss < 0.7 * outcome.epochs[0].loss


@pytest.mark.parametrize("encoder", ["conv", "bilstm"])
@pytest.mark.parametrize("strategy", list(VARIANTS))
def test_a_deterministic_run_is_the_same_twice_and_in_two_parts_bit_for_bit(
    strategy, encoder, make_spec, needs_of, tmp_path, on
):
    if encoder == "bilstm" and catalogue()[strategy].needs:
        pytest.skip("the teacher at hand is convolutional")
    on("cuda")
    values = {"model.encoder": encoder, "model.dropout": 0.2, "train.deterministic": True, "train.precision": "fp16"}
    spec = make_spec(strategy, values, needs_of(strategy))
    first, second = Store(tmp_path / "first"), Store(tmp_path / "second")
    expected = run_trial(spec, first, always)

    def stop(report):
        if report.epoch == 2:
            raise Interrupted
        return True

    with pytest.raises(Interrupted):
        run_trial(spec, second, stop)
    found = run_trial(spec, second, always)
    assert losses(found) == losses(expected)
    weights = [(store.path("checkpoints", spec.key) / "last.safetensors").read_bytes() for store in (first, second)]
    assert weights[0] == weights[1]
    assert found.computed_on.endswith("fp16, CTC on cpu, deterministic")


@pytest.mark.parametrize("devices", [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_run_that_was_interrupted_on_one_device_goes_on_on_the_other(devices, make_spec, store, on):
    spec = make_spec(values={"train.average_last": 3, "train.epochs": 4})

    def stop(report):
        if report.epoch == 2:
            raise Interrupted
        return True

    on(devices[0])
    with pytest.raises(Interrupted):
        run_trial(spec, store, stop)
    on(devices[1])
    outcome = run_trial(spec, store, always)
    assert len(outcome.epochs) == 4
    assert any(note.startswith("not computed on one device throughout: ") for note in outcome.notes)


def test_a_system_recognises_on_a_gpu_what_it_recognises_on_a_cpu(trained, tiny, tmp_path, on):
    export_system(tmp_path, trained.folder, DecodingSettings(method="greedy"), None, {})
    system = Recogniser.load(tmp_path)
    features = load_set(trained.store, tiny.dev, FeatureSettings(kind="stored", normalise="utterance")).features
    found = []
    for device in ("cpu", "cuda"):
        on(device)
        found.append([replace(one, acoustic=None) for one in system.recognise(features)])
    assert found[0] == found[1]
