"""What a training step computes in.

=========  =============================================================================================================
``fp32``   float32 throughout
``bf16``   bfloat16 in the encoder by torch's autocast: float32's range with 8 bits of precision
``fp16``   float16 there: 11 bits, but gradients below 6e-8 vanish, hence a factor on the loss that they are divided by
=========  =============================================================================================================

Weights, the head with its softmax, CTC and all that is evaluated stay in float32 (Micikevicius et al. 2018, Mixed
precision training).
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from search_spaces.errors import UserError

Precision = Literal["fp32", "bf16", "fp16"]

_TYPES: Mapping[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class MixedPrecision:
    """The forward pass in one precision, and a step of the optimiser that knows of it.

    The factor of the loss starts high, is halved by every step whose gradient overflows, and doubled after many that do
    not (`torch.amp.GradScaler`).

    Args:
        precision: What the encoder computes in.
        network: What will be trained, on its device.
        optimizer: What steps.

    Raises:
        UserError: The network has a recurrent layer and is to run in ``fp16`` on a CPU, which has no kernel for that.
    """

    def __init__(self, precision: Precision, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        device = next(network.parameters()).device
        if precision == "fp16" and device.type == "cpu" and any(isinstance(m, nn.RNNBase) for m in network.modules()):
            raise UserError("train.precision: a CPU has no recurrent layers in fp16; use bf16 or fp32, or a GPU")
        self._device = device.type
        self._type = _TYPES[precision]
        self._optimizer = optimizer
        self._scaler = torch.amp.GradScaler(self._device, enabled=precision == "fp16")

    def forward(self) -> torch.autocast:
        """A context for the forward pass and the loss."""
        return torch.autocast(self._device, self._type, enabled=self._type != torch.float32)

    def backward(self, loss: Tensor) -> None:
        """Gradients of a loss, as if it had never been scaled; those of the step before are dropped."""
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(self._optimizer)

    def step(self, loss: float, norm: float) -> "Step":
        """Take a step if its loss and its gradient are numbers.

        Args:
            loss: The loss whose gradients the weights hold.
            norm: The norm of those gradients.
        """
        finite = math.isfinite(loss) and math.isfinite(norm)
        # as long as there is a factor to lower, an infinite gradient of a finite loss says that it is too high
        searching = self._scaler.is_enabled() and math.isfinite(loss) and self._scaler.get_scale() > 1
        if finite:
            self._scaler.step(self._optimizer)
        self._scaler.update()
        return "taken" if finite else "searched" if searching else "bad"

    def state(self) -> dict[str, Any]:
        """What a run needs to go on, as plain values."""
        return self._scaler.state_dict()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put a state back."""
        if self._scaler.is_enabled():
            self._scaler.load_state_dict(dict(state))


Step = Literal["taken", "searched", "bad"]
"""What became of a step: it was taken; left out while the factor of the loss is searched; left out for good."""
