"""No strategy mixes devices: what can be known of that without a GPU."""

import pytest
import torch

from tests.trainers.pretended_gpu import GPU, PretendedGpu
from tests.trainers.test_gpu import BASE, CASES
from trainers import emission, loop, source
from trainers.pipeline import run_trial
from trainers.store import Store


@pytest.fixture
def gpu(monkeypatch):
    """The pretended GPU, chosen by whoever chooses a device."""
    mode = PretendedGpu()
    for module in (emission, loop, source):
        monkeypatch.setattr(module, "choose_device", lambda: GPU)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "none")
    monkeypatch.setattr(torch.nn.RNNBase, "flatten_parameters", lambda self: None)
    monkeypatch.setattr(torch.optim.AdamW, "step", mode.unchecked(torch.optim.AdamW.step))
    return mode


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize(("strategy", "values"), CASES)
def test_a_strategy_keeps_to_one_device_and_has_the_losses_of_the_cpu(
    strategy, values, deterministic, make_spec, needs_of, tmp_path, gpu, monkeypatch
):
    spec = make_spec(strategy, {**BASE, **values, "train.deterministic": deterministic}, needs_of(strategy))
    with gpu:
        found = run_trial(spec, Store(tmp_path / "gpu"), lambda report: True)
    assert set(gpu.ctc) == {not deterministic}
    monkeypatch.undo()
    expected = run_trial(spec, Store(tmp_path / "cpu"), lambda report: True)
    assert [one.loss for one in found.epochs] == pytest.approx([one.loss for one in expected.epochs], rel=1e-4)
    assert found.computed_on.startswith("cuda (none), fp32, CTC on ")


def test_mixed_devices_are_noticed(gpu):
    with gpu:
        here, there = torch.ones(2), torch.ones(2).to(GPU)
        assert there.device == GPU
        assert (there + 1).device == (2 * there[0]).device == torch.zeros(2, device=there.device).device == GPU
        assert there.cpu().device == here.device == torch.device("cpu")
        for mix in (lambda: here + there, lambda: here * there.sum(), lambda: torch.cat([here, there])):
            with pytest.raises(RuntimeError, match="are mixed"):
                mix()
        with pytest.raises(TypeError, match="has no numpy array"):
            there.numpy()
        assert (there[here > 0] + there.sum() * torch.tensor(2.0)).device == GPU
