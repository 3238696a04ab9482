"""A network that is a module of the user's own.

Any torch.nn.Module serves that takes features (batch, frames, dimensions) and lengths (batch,), and returns
log-probabilities (batch, output frames, labels), natural log and normalised, with output lengths (batch,). Its
constructor gets ``model.args``, and beside them ``inputs`` and ``labels``, the dimensions of a frame and the number of
labels, as keyword arguments if its signature takes them. It may declare ``output_lengths(lengths)``, output frames for
input frames, both (batch,) and int64; without it, a silent utterance of every length is shown to it once.
"""

import importlib
import inspect
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.axes.model import ModelSettings
from search_spaces.errors import ModelError
from trainers.model.network import Network
from trainers.store import digest_files


class OwnNetwork(Network):
    """The user's module with the interface of every other network.

    Args:
        settings: The class and its arguments.
        inputs: Dimensions of a feature frame.
        labels: Labels, the blank included.

    Raises:
        ModelError: The class cannot be imported, or its constructor refuses the arguments.
    """

    def __init__(self, settings: ModelSettings, inputs: int, labels: int) -> None:
        super().__init__()
        self.labels = labels
        self.inputs = inputs
        self.model = _construct(settings, inputs, labels)
        self._order = _columns(settings.blank, labels)
        self._probed: dict[int, int] = {}

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the module, in float32, the blank's column first."""
        log_probs, lengths = self.model(features, lengths)
        if log_probs.dtype in (torch.float16, torch.bfloat16):
            # rounded so far by mixed precision that a frame would sum to one only within a percent
            log_probs = torch.log_softmax(log_probs.float(), dim=-1)
        log_probs, lengths = log_probs.float(), lengths.to(log_probs.device)
        if self._order is not None:
            log_probs = log_probs[:, :, self._order]
        return log_probs, lengths

    def lengths_after(self, lengths: Tensor) -> Tensor:
        """Output frames for input frames, (batch,), int64: the module's own word, or what it was seen to make."""
        declared = getattr(self.model, "output_lengths", None)
        if callable(declared):
            found: Tensor = declared(lengths)
            return found.to(torch.int64)
        for frames in set(lengths.tolist()) - self._probed.keys():
            self._probed[frames] = self._probe(frames)
        return torch.tensor([self._probed[frames] for frames in lengths.tolist()], device=lengths.device)

    def _probe(self, frames: int) -> int:
        device = next(self.parameters()).device
        training = self.training
        self.eval()
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            silence = torch.zeros(1, frames, self.inputs, device=device)
            _, lengths = self.model(silence, torch.tensor([frames], device=device))
        self.train(training)
        return int(lengths[0])


def find_class(path: str) -> type[nn.Module]:
    """The class of a ``package.module:Name``, which may lie in the working folder.

    Raises:
        ModelError: There is no such module or class, the module cannot be imported, or the class is no nn.Module.
    """
    module_name, _, name = path.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last: a file here must not stand in for a library
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise ModelError(f"{module_name} cannot be imported: {error}") from error
        raise ModelError(
            f"there is no module {error.name}, neither installed nor in {os.getcwd()}; model.class is {path}"
        ) from error
    except Exception as error:
        raise ModelError(f"{module_name} cannot be imported: {type(error).__name__}: {error}") from error
    found = getattr(module, name, None)
    place = getattr(module, "__file__", None) or module_name
    if found is None:
        raise ModelError(f"{place} has no class {name}; model.class is {path}")
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ModelError(f"{name} in {place} is not a torch.nn.Module; model.class is {path}")
    return found


def source_digest(*paths: str) -> str:
    """A key for the files that hold classes: another version of them has other results.

    Raises:
        ModelError: A class cannot be imported, or has no file.
    """
    files = []
    for path in paths:
        module = sys.modules[find_class(path).__module__]
        if getattr(module, "__file__", None) is None:
            raise ModelError(f"{path} has no source file, so that nothing could tell its versions apart")
        files.append(Path(str(module.__file__)))
    return digest_files(files)


def _construct(settings: ModelSettings, inputs: int, labels: int) -> nn.Module:
    path = settings.class_path or ""
    kind = find_class(path)
    args: dict[str, Any] = dict(settings.args)
    signature = inspect.signature(kind)
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values())
    for name, value in (("inputs", inputs), ("labels", labels)):
        if takes_all or name in signature.parameters:
            args.setdefault(name, value)
    try:
        signature.bind(**args)
    except TypeError as error:
        raise ModelError(f"{path} does not take model.args: {error}; it takes {signature}") from error
    try:
        return kind(**args)
    except Exception as error:
        said = ", ".join(f"{name}={value!r}" for name, value in args.items())
        raise ModelError(f"{path}({said}) cannot be built: {type(error).__name__}: {error}") from error


def _columns(blank: int, labels: int) -> list[int] | None:
    """The module's columns in the order of the alphabet; None if they are in that order already."""
    if not -labels <= blank < labels:
        raise ModelError(f"model.blank is {blank}; with {labels} labels it should be {-labels} to {labels - 1}")
    first = blank % labels
    return [first, *(column for column in range(labels) if column != first)] if first else None
