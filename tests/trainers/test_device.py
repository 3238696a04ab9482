import os

import pytest
import torch

from search_spaces.errors import UserError
from trainers.device import VARIABLE, choose_device, describe, same_bits
from trainers.losses.ctc import ctc_device
from trainers.pipeline import run_trial

no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")


def always(report):
    return True


@no_cuda
def test_a_gpu_that_is_asked_for_where_there_is_none_is_refused_in_plain_words(monkeypatch):
    monkeypatch.setenv(VARIABLE, "cuda")
    with pytest.raises(UserError, match=r"device cuda was asked for, but this torch .* use auto or cpu"):
        choose_device()


@no_cuda
@pytest.mark.parametrize("asked", ["auto", "cpu", ""])
def test_without_a_gpu_everything_else_is_the_cpu(monkeypatch, asked):
    monkeypatch.setenv(VARIABLE, asked)
    assert choose_device() == torch.device("cpu")
    monkeypatch.delenv(VARIABLE)
    assert choose_device() == torch.device("cpu")


def test_another_device_is_refused_with_those_that_there_are(monkeypatch):
    monkeypatch.setenv(VARIABLE, "tpu")
    with pytest.raises(UserError, match="ORCHESTRATOR_DEVICE is 'tpu'; valid: auto, cpu, cuda"):
        choose_device()


def test_what_cublas_needs_is_set_before_cuda_is_asked_whether_it_is_there(monkeypatch):
    seen = []
    monkeypatch.setenv(VARIABLE, "auto")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(
        torch.cuda, "is_available", lambda: seen.append(os.environ.get("CUBLAS_WORKSPACE_CONFIG")) or False
    )
    choose_device()
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")  # the user's own stays
    choose_device()
    assert seen == [":4096:8", ":16:8"]


def test_determinism_is_on_inside_and_off_again_afterwards_also_after_an_error():
    assert not torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    inside = []

    def fail():
        with same_bits(True):
            inside.append((torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert inside == [(True, True)]
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark == benchmark
    with same_bits(False):
        assert not torch.are_deterministic_algorithms_enabled()


def test_ctc_is_computed_on_the_cpu_where_only_the_same_bits_will_do():
    gpu = torch.device("cuda")
    assert ctc_device(gpu) == gpu
    with same_bits(True):
        assert ctc_device(gpu) == torch.device("cpu")


def test_on_a_cpu_a_deterministic_run_is_the_run_itself(make_spec, store):
    runs = [run_trial(make_spec(values={"train.deterministic": wanted}), store, always) for wanted in (False, True)]
    assert [report.loss for report in runs[0].epochs] == [report.loss for report in runs[1].epochs]
    assert [run.computed_on for run in runs] == ["cpu, fp32", "cpu, fp32, deterministic"]


def test_the_record_of_a_gpu_says_which_and_where_ctc_was_computed(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")
    gpu = torch.device("cuda")
    assert describe(gpu, "bf16", False) == "cuda (Some GPU), bf16, CTC on cuda"
    assert describe(gpu, "fp32", True) == "cuda (Some GPU), fp32, CTC on cpu, deterministic"
