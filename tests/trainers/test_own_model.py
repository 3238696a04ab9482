import json
import re
import shutil
import sys

import numpy as np
import pytest
import torch

from search_spaces.axes.decoding import DecodingSettings
from search_spaces.axes.model import ModelSettings
from search_spaces.errors import CheckpointError, ModelError
from trainers.checkpoint import load_checkpoint
from trainers.model.build import build_network
from trainers.model.contract import check_contract
from trainers.model.own import find_class, source_digest
from trainers.pipeline import run_trial
from trainers.recogniser import Recogniser, export_system
from trainers.spec import Ingredient
from trainers.store import Store
from trainers.strategies import catalogue

HERE = "tests.trainers.own_modules"
TAKERS = sorted(
    name for name, schema in catalogue().items() if schema.trains and not schema.taps and name != "attention"
)


def own(name, blank=0, **args):
    return ModelSettings.model_validate({"class": f"{HERE}:{name}", "args": args, "blank": blank})


def build(name, inputs=6, labels=5, **more):
    torch.manual_seed(0)
    return build_network(own(name, **more), inputs, labels)


def padded(*lengths, inputs=6):
    lengths = torch.tensor(lengths)
    features = torch.randn(len(lengths), int(lengths.max()), inputs, generator=torch.Generator().manual_seed(1))
    return features * (torch.arange(features.shape[1]) < lengths[:, None])[:, :, None], lengths


def test_settings_of_a_class_survive_being_dumped_and_have_no_encoder():
    settings = own("Gru", hidden=8)
    assert settings.model_dump() == {"class": f"{HERE}:Gru", "args": {"hidden": 8}, "blank": 0}
    assert ModelSettings.model_validate(json.loads(settings.model_dump_json())) == settings
    assert settings.architecture == settings.model_dump()


def test_settings_of_an_encoder_have_no_class():
    assert not {"class", "class_path", "args", "blank"} & set(ModelSettings().model_dump())
    assert ModelSettings.model_validate(ModelSettings(layers=3).model_dump()) == ModelSettings(layers=3)


def test_a_module_is_told_the_width_of_its_input_and_the_number_of_labels():
    network = build("Gru", inputs=7, labels=4, hidden=8)
    assert network.model.gru.input_size == 7
    assert network.model.head.out_features == 4
    assert network.labels == 4
    assert network.weights() == sum(weight.numel() for weight in network.parameters())


def test_a_module_that_takes_neither_is_told_nothing():
    assert build("Closed", width=6, classes=5).model.head.in_features == 6


def test_in_half_precision_its_frames_sum_to_one_as_in_float32():
    network = build("Leaking")
    features, lengths = padded(40, 30)
    with torch.autocast("cpu", torch.bfloat16):
        log_probs, _ = network(features, lengths)
    assert log_probs.dtype == torch.float32
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(log_probs.shape[:2]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["Gru", "Halving", "Silent"])
def test_output_lengths_are_those_of_the_output(name):
    network = build(name)
    batch = padded(9, 4, 1)
    _, lengths = network(*batch)
    state = torch.get_rng_state()
    assert torch.equal(network.train().lengths_after(batch[1]), lengths)
    assert network.output_lengths(np.array([9, 4, 1])).tolist() == lengths.tolist()
    assert network.training
    assert torch.equal(torch.get_rng_state(), state)


def test_a_module_that_declares_no_lengths_is_probed_once_a_length(monkeypatch):
    network = build("Silent")
    seen = []
    monkeypatch.setattr(network, "_probe", lambda frames: seen.append(frames) or frames)
    for lengths in ([3, 5, 3], [5, 3, 8]):
        network.lengths_after(torch.tensor(lengths))
    assert sorted(seen) == [3, 5, 8]


@pytest.mark.parametrize("blank", [-1, 4])
def test_a_blank_in_another_column_is_put_first(blank):
    plain, last = build("Gru"), build("BlankLast", blank=blank)
    last.load_state_dict(plain.state_dict())
    batch = padded(6, 3)
    assert torch.equal(plain(*batch)[0], last(*batch)[0])


@pytest.mark.parametrize("name", ["Gru", "Halving", "Silent"])
def test_a_module_that_keeps_its_promises_is_let_pass(name):
    assert check_contract(build(name), *padded(9, 4, 6)) == []


def test_the_module_in_the_readme_keeps_its_promises(root, tmp_path, monkeypatch):
    text = re.search(r"```python\n(import torch\n.*?)```", (root / "README.md").read_text(encoding="utf-8"), re.DOTALL)[
        1
    ]
    (tmp_path / "readme_nets.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = ModelSettings.model_validate({"class": "readme_nets:Net", "args": {"hidden": 8}})
    assert check_contract(build_network(settings, 6, 5), *padded(9, 4, 6)) == []


def test_padding_that_is_read_is_a_warning():
    (warning,) = check_contract(build("Leaking"), *padded(9, 4))
    assert "Leaking reads padding" in warning


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("logits", "sum to 2.718, not 1; end with torch.log_softmax"),
        ("alone", "should return two tensors, .* got Tensor"),
        ("shape", r"shape \(2, frames, 5\), batch first .* got \(9, 2, 5\)"),
        ("labels", r"one column a label; got \(2, 9, 4\)"),
        ("long", r"output lengths \[10, 5\]; they should be 1 to 9"),
        ("nan", "NaN or infinity"),
        ("float lengths", r"whole numbers of shape \(2,\); got torch.float32"),
        ("raises", r"fails on features of shape \(2, 9, 6\): RuntimeError: no such kernel"),
        ("batch lengths", r"makes \[9, 9\] output frames of \[9, 4\] frames in a batch, and \[9, 4\]"),
        ("shared", "cannot be saved, shared ones perhaps"),
        ("frozen", "no weights that can be trained"),
    ],
)
def test_a_module_that_breaks_a_promise_is_refused_with_which(fault, message):
    with pytest.raises(ModelError, match=message):
        check_contract(build("Bad", fault=fault), *padded(9, 4))


@pytest.mark.parametrize(
    ("path", "args", "message"),
    [
        ("no_such_module:Net", {}, "there is no module no_such_module, neither installed nor in"),
        ("trainers.nothing:Net", {}, "there is no module trainers.nothing"),
        (f"{HERE}:Nothing", {}, r"own_modules.py has no class Nothing"),
        (f"{HERE}:not_a_class", {}, "not_a_class in .* is not a torch.nn.Module"),
        (f"{HERE}:DIMENSIONS", {}, "has no class DIMENSIONS"),
        (f"{HERE}:Gru", {"widht": 3}, "unexpected keyword argument 'widht'; it takes .inputs, labels, hidden=16"),
        (f"{HERE}:Picky", {}, "missing a required argument: 'hidden'"),
        (
            f"{HERE}:Picky",
            {"hidden": 3},
            r"Picky\(hidden=3, inputs=6, labels=5\) cannot be built: ValueError: hidden must",
        ),
    ],
)
def test_a_class_that_cannot_be_built_is_refused_with_why(path, args, message):
    with pytest.raises(ModelError, match=message):
        build_network(ModelSettings.model_validate({"class": path, "args": args}), 6, 5)


@pytest.mark.parametrize("blank", [5, -6])
def test_a_blank_outside_the_labels_is_refused(blank):
    with pytest.raises(ModelError, match="should be -5 to 4"):
        build("Gru", blank=blank)


def test_a_class_of_the_working_folder_is_found_and_does_not_hide_a_library(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    text = "from torch import nn\nclass Net(nn.Linear):\n    pass\n"
    (tmp_path / "found_here.py").write_text(text, encoding="utf-8")
    (tmp_path / "colorsys.py").write_text("raise RuntimeError\n", encoding="utf-8")
    (tmp_path / "breaks.py").write_text("1 / 0\n", encoding="utf-8")
    (tmp_path / "lacks.py").write_text("import no_such_library\n", encoding="utf-8")
    assert find_class("found_here:Net").__name__ == "Net"
    with pytest.raises(ModelError, match=r"lib.*colorsys.py has no class Net"):
        find_class("colorsys:Net")
    with pytest.raises(ModelError, match="breaks cannot be imported: ZeroDivisionError"):
        find_class("breaks:Net")
    with pytest.raises(ModelError, match="lacks cannot be imported: No module named 'no_such_library'"):
        find_class("lacks:Net")
    before = source_digest("found_here:Net")
    (tmp_path / "found_here.py").write_text(text + "# changed\n", encoding="utf-8")
    assert source_digest("found_here:Net") != before


# in trials


@pytest.fixture
def own_spec(make_spec):
    """A spec as `make_spec` makes it, its network a GRU of the user's own."""

    def maker(strategy="baseline", values=None, needs=None):
        spec = make_spec(strategy, values, needs)
        spec.settings["model"] = own("Gru", hidden=12, dropout=0.1).model_dump()
        return spec

    return maker


@pytest.fixture(scope="module")
def own_teacher(make_spec, tmp_path_factory):
    """An own model that has learnt the tiny data, and its store."""
    store = Store(tmp_path_factory.mktemp("own"))
    spec = make_spec(values={"train.epochs": 12, "train.time_masks": 0})
    spec.settings["model"] = own("Gru", hidden=12, dropout=0.1).model_dump()
    outcome = run_trial(spec, store, lambda report: True)
    folder = store.path("checkpoints", outcome.checkpoint)
    return outcome, folder, Ingredient("baseline", folder, outcome.checkpoint, 0)


def test_an_own_model_learns(own_teacher):
    outcome, folder, _ = own_teacher
    assert outcome.epochs[-1].loss < outcome.epochs[0].loss / 2
    checkpoint = load_checkpoint(folder)
    assert checkpoint.model == own("Gru", hidden=12, dropout=0.1)
    assert outcome.weights == checkpoint.network().weights()


@pytest.mark.parametrize("strategy", TAKERS)
@pytest.mark.parametrize("rescale", [0.0, 0.2])
def test_every_strategy_that_does_not_reach_inside_trains_an_own_model(strategy, rescale, own_spec, own_teacher, store):
    needs = {need.name: (own_teacher[2],) for need in catalogue()[strategy].needs}
    outcome = run_trial(
        own_spec(strategy, {"train.epochs": 2, "train.time_rescale": rescale}, needs), store, lambda report: True
    )
    assert outcome.score.words == 8
    assert len(outcome.epochs) == 2
    assert all(np.isfinite(report.loss) for report in outcome.epochs)


def test_a_strategy_that_reaches_inside_refuses_an_own_model(own_spec, store):
    with pytest.raises(ModelError, match="this strategy reaches into the encoder"):
        run_trial(own_spec("inter_ctc"), store, lambda report: True)


def test_an_own_model_is_decoded(make_spec, own_teacher, store):
    spec = make_spec("decoding", {"decoding.alpha": 0.2}, {"posteriors": (own_teacher[2],)})
    assert run_trial(spec, store, lambda report: True).score.words == 8


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_four_epochs_are_two_and_two(own_spec, tmp_path, ema):
    class Stop(Exception):
        pass

    def stop_after_two(report):
        if report.epoch == 2:
            raise Stop
        return True

    spec = own_spec(values={"train.ema": ema})
    straight, broken = Store(tmp_path / "straight"), Store(tmp_path / "broken")
    whole = run_trial(spec, straight, lambda report: True)
    with pytest.raises(Stop):
        run_trial(spec, broken, stop_after_two)
    again = []
    parts = run_trial(spec, broken, lambda report: again.append(report.epoch) or True)
    assert again == [3, 4]
    assert [report.loss for report in parts.epochs] == [report.loss for report in whole.epochs]
    files = [where.path("checkpoints", spec.key) / "model.safetensors" for where in (straight, broken)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_an_exported_system_with_an_own_model_recognises(own_teacher, tmp_path, corpus):
    _, folder, _ = own_teacher
    export_system(tmp_path, folder, DecodingSettings(), None, {"key": "k"})
    found = Recogniser.load(tmp_path).recognise(corpus.dev.features)
    assert [hypothesis.id for hypothesis in found] == list(corpus.dev.features.ids)


@pytest.mark.parametrize(("old", "new"), [(HERE, "gone_since"), (":Gru", ":GoneSince")])
def test_a_checkpoint_whose_class_is_gone_says_so(own_teacher, tmp_path, old, new):
    folder = shutil.copytree(own_teacher[1], tmp_path / "copy")
    path = folder / "checkpoint.json"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"needs the class .*(gone_since|GoneSince)"):
        load_checkpoint(folder).network()


def test_a_student_of_another_class_is_refused_by_self_distillation(make_spec, own_teacher, store):
    spec = make_spec("self_distillation", {}, {"teacher": (own_teacher[2],)})
    with pytest.raises(CheckpointError, match="own architecture"):
        run_trial(spec, store, lambda report: True)
