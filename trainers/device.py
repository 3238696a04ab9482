"""Where networks compute: a property of the machine, and no part of what a trial is."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from search_spaces.errors import UserError

VARIABLE = "ORCHESTRATOR_DEVICE"
"""Environment variable that chooses: one of `DEVICES`. Which GPU of several is CUDA_VISIBLE_DEVICES' to say."""

DEVICES = ("auto", "cpu", "cuda")


def choose_device() -> torch.device:
    """The device that `VARIABLE` asks for; ``auto``, which is the default, takes a GPU if there is one.

    Raises:
        UserError: It asks for a GPU and there is none, or for something else.
    """
    asked = os.environ.get(VARIABLE, "") or "auto"
    if asked not in DEVICES:
        raise UserError(f"{VARIABLE} is {asked!r}; valid: {', '.join(DEVICES)}")
    if asked == "cpu":
        return torch.device("cpu")
    # read when CUDA starts, and only once: so also for a trial that does not ask for determinism
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if asked == "cuda":
        built = "finds none" if torch.version.cuda else "is a build for the CPU alone"
        raise UserError(f"device cuda was asked for, but this torch ({torch.__version__}) {built}; use auto or cpu")
    return torch.device("cpu")


@contextmanager
def same_bits(wanted: bool) -> Iterator[None]:
    """Take only algorithms that give the same bits every time, if that is wanted; afterwards all is as it was.

    An operation that has no such algorithm on a GPU raises; CTC, whose gradient has none, is computed on the CPU
    (`trainers.losses.ctc`). On a CPU all are of that kind anyway.
    """
    if not wanted:
        yield
        return
    strict, cudnn = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn
    with cudnn.flags(enabled=cudnn.enabled, benchmark=False, deterministic=True, allow_tf32=cudnn.allow_tf32):
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict)


def describe(device: torch.device, precision: str, deterministic: bool) -> str:
    """What a run is computed on and in, for its record."""
    parts = [device.type, precision]
    if device.type == "cuda":
        parts[0] += f" ({torch.cuda.get_device_name(device)})"
        parts.append(f"CTC on {'cpu' if deterministic else 'cuda'}")
    return ", ".join([*parts, "deterministic"] if deterministic else parts)
