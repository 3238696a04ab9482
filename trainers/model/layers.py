"""What the encoders share: masks, batch norm over valid frames, a dropout that is cheap on the CPU."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


def valid_mask(lengths: Tensor, frames: int) -> Tensor:
    """Say which frames of a padded batch belong to an utterance.

    Args:
        lengths: Frames of each utterance, (B,), int64.
        frames: Frames of the padded batch, T.

    Returns:
        True where frame t < length of utterance b, (B, T), bool, on the device of the lengths.
    """
    return torch.arange(frames, device=lengths.device) < lengths[:, None]


def check_batch(features: Tensor, lengths: Tensor) -> None:
    """Refuse lengths that do not fit the features: they would read another utterance's frames in silence.

    Lengths on an accelerator are not read, since that would stall its queue.

    Args:
        features: (B, T, inputs).
        lengths: Frames of each utterance, (B,), int64.

    Raises:
        ValueError: The number of utterances differs, or a length is not within 1 to T.
    """
    if features.dim() != 3 or lengths.shape != features.shape[:1]:
        raise ValueError(f"features {tuple(features.shape)} and lengths {tuple(lengths.shape)}: want (B, T, D), (B,)")
    if lengths.device.type == "cpu" and lengths.numel():
        shortest, longest = (int(bound) for bound in lengths.aminmax())
        if shortest < 1 or longest > features.shape[1]:
            raise ValueError(f"lengths {shortest} to {longest} are not within 1 to {features.shape[1]} frames")


def check_layer(layer: int, layers: int) -> None:
    """Refuse a layer that an encoder does not have.

    Raises:
        ValueError: The layer is not within 1 to the number of layers.
    """
    if not 1 <= layer <= layers:
        raise ValueError(f"layer {layer} is not within 1 to {layers}, the layers of the encoder")


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch norm whose statistics never see padding: nn.BatchNorm1d over the valid frames laid end to end.

    Parameters, buffers and state dict are those of nn.BatchNorm1d, so that a pass which looks for batch norms (weight
    decay, averaged weights) finds this one. Only affine norms with running statistics and a fixed momentum are meant.
    A batch with a single valid frame normalises it to zero, where nn.BatchNorm1d refuses it.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        """Normalise the valid frames.

        Args:
            frames: (B, T, C); what stands at padding is ignored, but must be finite.
            mask: 1 at valid frames, 0 at padding, (B, T, 1), floating.

        Returns:
            (B, T, C), exactly zero at padding; float32 for half-precision frames, whose sums would overflow.
        """
        if frames.dtype in (torch.float16, torch.bfloat16):
            frames = frames.float()
        mask = mask.to(frames.dtype)
        if not self.training:
            scale = self.weight * torch.rsqrt(self.running_var + self.eps)
            return torch.addcmul(self.bias - self.running_mean * scale, frames, scale) * mask
        normalised, mean, var, count = _normalise_valid(frames, mask, self.weight, self.bias, self.eps)
        momentum = self.momentum if self.momentum is not None else 0.1
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
            unbiased = var * (count / (count - 1).clamp(min=1))
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), momentum)
        return normalised


def _normalise_valid(
    frames: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Normalised frames (B, T, C), then mean (C,), biased variance (C,) and number of the valid frames."""
    normalised: tuple[Tensor, Tensor, Tensor, Tensor] = _NormaliseValid.apply(frames, mask, weight, bias, eps)  # type: ignore[no-untyped-call]
    return normalised


class _NormaliseValid(torch.autograd.Function):
    """Batch norm, in training, of frames weighted 0 or 1.

    One function rather than a chain of tensor operations: it keeps one tensor of the frames' size for the backward
    pass and fills one more on either way, again and again, because fresh memory costs more than the arithmetic. Sums
    rather than matrix products, which autocast would halve.
    """

    @staticmethod
    def forward(
        ctx: Any,
        frames: Tensor,
        mask: Tensor,
        weight: Tensor,
        bias: Tensor,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        count = mask.sum()
        centred = frames * mask
        mean = centred.sum((0, 1)) / count
        # centred before it is squared: E[x^2] - E[x]^2 loses its digits where the mean is large
        centred.sub_(mean).mul_(mask)
        buffer = centred * centred
        var = buffer.sum((0, 1)) / count
        inverse = torch.rsqrt(var + eps)
        torch.addcmul(bias, centred, weight * inverse, out=buffer).mul_(mask)
        ctx.save_for_backward(centred, mask, weight, inverse, count)
        ctx.mark_non_differentiable(mean, var, count)
        return buffer, mean, var, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        centred, mask, weight, inverse, count = ctx.saved_tensors
        buffer = grad * mask
        grad_bias = buffer.sum((0, 1))
        # centred is zero at padding, so that the gradient there has no say
        torch.mul(grad, centred, out=buffer)
        grad_weight = buffer.sum((0, 1)) * inverse
        # weight * inverse * (grad - mean(grad) - normalised * mean(grad * normalised)), at valid frames
        torch.addcmul(grad, centred, grad_weight * inverse / -count, out=buffer)
        buffer.sub_(grad_bias / count).mul_(weight * inverse).mul_(mask)
        return buffer, None, grad_weight, grad_bias, None


class Dropout(nn.Module):
    """Dropout; on the CPU three times faster than nn.Dropout, which draws its mask one element at a time.

    There four decisions are cut from one 64-bit draw of torch's generator, so p is met to 1/65536.

    Args:
        p: Share of elements set to zero, 0 <= p < 1.

    Raises:
        ValueError: p is out of range.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout {p} is not within 0 <= p < 1")
        self.p = p

    def extra_repr(self) -> str:
        """Show p when the module is printed."""
        return f"p={self.p}"

    def forward(self, x: Tensor) -> Tensor:
        """Drop elements in training, of a tensor of any shape; what is kept grows by 1 / (1 - p)."""
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.p)
        draws = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        kept = draws.view(torch.int16)[: x.numel()] >= round(self.p * 65536) - 32768
        # by way of uint8: a bool converts to float several times slower
        return x * kept.view(torch.uint8).to(x.dtype).mul_(1 / (1 - self.p)).view(x.shape)
