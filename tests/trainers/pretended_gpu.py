"""A GPU for machines that have none: tensors that claim to lie on one, and raise where they meet others.

Everything is computed on the CPU. A tensor lies on the pretended GPU if its storage was made there, by ``to``, by
``device=``, or from tensors there. Backward passes and optimisers are let pass: what they see comes from
the forward pass.
"""

import functools

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

GPU = torch.device("cuda", 0)
_MOVES = {"copy_", "_has_compatible_shallow_copy_type"}
_LENGTHS_ON_THE_CPU = {"ctc_loss"}


class PretendedGpu(TorchFunctionMode):
    """While this mode is on, devices that are mixed raise as on a machine with a GPU.

    Attributes:
        ctc: For every CTC loss whether its output lay on the GPU.
    """

    def __init__(self):
        super().__init__()
        self.ctc = []
        self._storages = {}  # by address; held, so that no address is used again
        self._free = 0

    def holds(self, tensor):
        """Whether a tensor lies on the GPU."""
        return tensor.untyped_storage()._cdata in self._storages

    def unchecked(self, method):
        """A method in which devices are not looked at."""

        @functools.wraps(method)
        def run(*args, **kwargs):
            self._free += 1
            try:
                return method(*args, **kwargs)
            finally:
                self._free -= 1

        return run

    def _put(self, tree):
        def put(leaf):
            if isinstance(leaf, torch.Tensor):
                storage = leaf.untyped_storage()
                self._storages[storage._cdata] = storage
            return leaf

        return tree_map(put, tree)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if self._free:
            return func(*args, **kwargs)
        if name == "backward":
            return self.unchecked(func)(*args, **kwargs)
        if name == "__get__":
            asked = getattr(func.__self__, "__name__", "")
            return GPU if asked == "device" and self.holds(args[0]) else func(*args, **kwargs)
        if name == "__set__":
            return func(*args, **kwargs)
        if name in ("to", "cpu"):
            return self._move(func, name, args, kwargs)
        if name == "pin_memory":
            return args[0]
        if name in ("numpy", "__array__") and self.holds(args[0]):
            raise TypeError("a tensor on a GPU has no numpy array; use .cpu() first")
        if kwargs.get("device") is not None:
            there = torch.device(kwargs["device"]).type == "cuda"
            made = func(*args, **kwargs | {"device": "cpu"})
            return self._put(made) if there else made
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        self._refuse_mixed(name, args, tensors)
        result = func(*args, **kwargs)
        return self._put(result) if any(map(self.holds, tensors)) else result

    def _move(self, func, name, args, kwargs):
        tensor, *rest = args
        targets = ["cpu"] if name == "cpu" else [*rest, kwargs.get("device")]
        there = self.holds(tensor)
        for target in targets:
            if isinstance(target, torch.Tensor):
                there = self.holds(target)
            elif isinstance(target, str | torch.device):
                there = torch.device(target).type == "cuda"
        rest = ["cpu" if isinstance(target, str | torch.device) else target for target in rest]
        moved = func(tensor, *rest, **{k: "cpu" if k == "device" else value for k, value in kwargs.items()})
        if there != self.holds(moved):
            moved = moved.clone()
        return self._put(moved) if there else moved

    def _refuse_mixed(self, name, args, tensors):
        large = [tensor for tensor in tensors if tensor.dim()]  # a number may come from the CPU
        if name in _LENGTHS_ON_THE_CPU:
            self.ctc.append(self.holds(args[0]))
            large = large[:2]
        if name == "__getitem__" and self.holds(args[0]):
            large = []  # an index may lie on the CPU
        places = {self.holds(tensor) for tensor in large}
        numbers = {self.holds(tensor) for tensor in tensors if not tensor.dim()}
        if name not in _MOVES and (len(places) > 1 or (places == {False} and True in numbers)):
            raise RuntimeError(f"{name}: tensors on a GPU and on the CPU are mixed")
