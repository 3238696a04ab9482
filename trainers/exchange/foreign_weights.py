"""Weights that another program saved: safetensors, or a state dict by torch.save. Nothing in a file is executed.

torch files are read with ``weights_only=True``: a pickle that asks for anything but tensors and plain containers is
refused by name.
"""

import io
import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from search_spaces.errors import CheckpointError, some
from trainers.checkpoint import refuse_misfit

_WRAPPERS = ("module.", "_orig_mod.")  # of DataParallel, and of torch.compile
_HARMLESS = re.compile(r"torch(\._utils)?\.\w+$|collections\.OrderedDict$")  # what tensors in containers are made of
# what reading opcodes ends in: no opcode or none any more, a memo that was not made, no zip or one that is encrypted or
# cannot be unpacked, no pickle in it, a file that is gone
_NO_PICKLE = (ValueError, LookupError, zipfile.BadZipFile, NotImplementedError, StopIteration, RuntimeError, OSError)


def read_weights(path: Path, part: str = "") -> dict[str, Tensor]:
    """The state dict in a file.

    Args:
        path: A ``.safetensors`` file, or one that torch.save wrote: a state dict, or a dict that holds one.
        part: Key of the state dict in such a dict; needed only where there are several.

    Raises:
        CheckpointError: The file cannot be read, would run code, holds no state dict or several, or weights that are
            no numbers.
    """
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder without a checkpoint of this program; name the file in it")
    if not path.is_file():
        raise CheckpointError(f"no such file: {path}")
    if not path.stat().st_size:
        raise CheckpointError(f"{path} is empty")
    found = _choose(path, _load(path), part)
    odd = [name for name, weight in found.items() if weight.is_floating_point() and not weight.isfinite().all()]
    if odd:
        raise CheckpointError(f"{path} holds NaN or infinity in {some(odd)}")
    return found


def fit_weights(path: Path, network: nn.Module, found: Mapping[str, Tensor], strip: str = "") -> None:
    """Give a network the weights of a file.

    Args:
        path: The file, for messages.
        network: What takes them.
        found: The weights by name.
        strip: Prefix to take off the names that have it; that of a wrapper such as DataParallel is found unasked.

    Raises:
        CheckpointError: Names or shapes differ; the message has all of them.
    """
    wanted = network.state_dict()
    weights = dict(found)
    if strip:
        if not any(name.startswith(strip) for name in weights):
            raise CheckpointError(f"{path}: no weight's name starts with {strip!r}; they are {some(list(weights))}")
        weights = {name.removeprefix(strip): weight for name, weight in weights.items()}
    for prefix in _WRAPPERS:
        if all(name.startswith(prefix) for name in weights) and not any(name.startswith(prefix) for name in wanted):
            weights = {name.removeprefix(prefix): weight for name, weight in weights.items()}
    refuse_misfit(path, wanted, weights)
    network.load_state_dict(weights)


def _load(path: Path) -> Any:
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path} cannot be read as safetensors: {error}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the pickle's protocol, which is no fault
            return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError) as error:
        asked = _asked(path, str(error))
        if asked:
            raise CheckpointError(
                f"{path} asks to run {asked}, and nothing in a checkpoint is run here; save its state dict alone: "
                "torch.save(model.state_dict(), FILE), or safetensors"
            ) from error
        said = re.search(r"WeightsUnpickler error:\s*(.+)", str(error)) or re.search("(.+)", str(error))
        shown = said[1].strip()[:200] if said else type(error).__name__
        raise CheckpointError(f"{path} is no checkpoint that torch can read, or a part of one: {shown}") from error


def _asked(path: Path, refusal: str) -> str:
    """The global that a refused pickle wanted; empty if that was not why it was refused.

    torch names it for its own protocol; of newer ones the opcodes are listed, which runs none of them.
    """
    named = re.search(r"GLOBAL ([\w.]+)", refusal)
    if named:
        return named[1]
    try:
        return next((found for found in _globals(_pickles_in(path)) if not _HARMLESS.match(found)), "")
    except _NO_PICKLE:
        return ""  # it is refused all the same, with what torch says of it


def _globals(stream: BinaryIO) -> Iterator[str]:
    """Names of the globals that the pickles of a stream would import; an old file of torch is several in a row."""
    while True:
        texts: list[str] = []
        memo: list[Any] = []
        latest: Any = None
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name == "STACK_GLOBAL":
                yield ".".join(texts[-2:])
            if opcode.name == "MEMOIZE":
                memo.append(latest)
            recalled = opcode.name in ("BINGET", "LONG_BINGET") and isinstance(argument, int)
            latest = memo[int(argument or 0)] if recalled else argument
            if isinstance(latest, str):
                texts.append(latest)


def _pickles_in(path: Path) -> BinaryIO:
    if not zipfile.is_zipfile(path):
        return io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        return io.BytesIO(file.read(next(name for name in file.namelist() if name.endswith("/data.pkl"))))


def _choose(path: Path, value: Any, part: str) -> dict[str, Tensor]:
    """The state dict in what a file holds."""
    if not isinstance(value, Mapping):
        raise CheckpointError(f"{path} holds {type(value).__name__}, and should hold a state dict")
    held = {str(name): inner for name, inner in value.items() if _is_state(inner)}
    if part:
        if part not in held:
            raise CheckpointError(f"{path} has no state dict {part!r}; it has {some(list(held)) or 'none'}")
        return dict(held[part])
    if _is_state(value):
        return dict(value)
    if len(held) == 1:
        return dict(next(iter(held.values())))
    if held:
        raise CheckpointError(f"{path} holds several state dicts: {some(list(held))}; choose one with --part NAME")
    raise CheckpointError(f"{path} holds no state dict; its keys are {some(list(map(str, value))) or 'none'}")


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(name, str) and isinstance(weight, Tensor) for name, weight in value.items())
    )
