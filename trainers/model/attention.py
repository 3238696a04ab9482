"""Attention over a window of frames, between encoder and head; at the start of training it changes nothing."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainers.model.layers import valid_mask

BLOCK = 32
"""Fewest frames whose queries are computed together; of 16, 32 and 64 the fastest at a window of 16, one thread."""


class WindowedAttention(nn.Module):
    """Scaled dot-product attention with several heads in which a frame sees its neighbours alone.

    Queries are cut into blocks of at least as many frames as the window has on a side; a block sees itself and the
    window before and behind it. So time and memory grow with T times the window, never with T squared. There is no
    dropout of its own: it would shift the draws of the encoder's, and the network would not start as the baseline.

    Args:
        width: Width of a frame.
        window: Frames that a frame sees on each side, beside itself.
        heads: Heads, each of width / heads.

    Raises:
        ValueError: The heads do not divide the width.
    """

    def __init__(self, width: int, *, window: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} attention heads do not divide {width}, the width of the encoder's output")
        self.window = window
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)

    def forward(self, frames: Tensor, valid: Tensor) -> Tensor:
        """Context of every frame.

        Args:
            frames: (B, T, width); what stands at padding must be finite, and is not seen.
            valid: True at the utterances' frames, (B, T), bool.

        Returns:
            (B, T, width), of no meaning at padding; no output projection.
        """
        batch, length, width = frames.shape
        window = min(self.window, length - 1)
        size = max(window, BLOCK)
        blocks = -(-length // size)
        parts = self.project(frames).view(batch, length, 3, self.heads, width // self.heads).unbind(2)
        # (B, blocks, frames, heads, width / heads) to (B * blocks, heads, frames, width / heads)
        query, key, value = (
            _neighbourhoods(part, blocks, size, beside).flatten(0, 1).transpose(1, 2)
            for part, beside in zip(parts, (0, window, window), strict=True)
        )
        bias = _bias(_neighbourhoods(valid, blocks, size, window).flatten(0, 1), size, window, query.dtype)
        context = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias[:, None])
        return context.transpose(1, 2).reshape(batch, blocks * size, width)[:, :length]


def _neighbourhoods(frames: Tensor, blocks: int, size: int, window: int) -> Tensor:
    """Frames (B, T, ...) as blocks, each with the window on both sides of it; zero out of range.

    Returns:
        (B, blocks, size + 2 window, ...).
    """
    batch, length = frames.shape[:2]
    before = frames.new_zeros(batch, size, *frames.shape[2:])
    behind = frames.new_zeros(batch, (blocks + 1) * size - length, *frames.shape[2:])
    cut = torch.cat((before, frames, behind), 1).view(batch, blocks + 2, size, *frames.shape[2:])
    # slices rather than Tensor.unfold, whose gradient is slower
    return torch.cat((cut[:, :-2, size - window :], cut[:, 1:-1], cut[:, 2:, :window]), 2)


def _bias(seen: Tensor, size: int, window: int, dtype: torch.dtype) -> Tensor:
    """What is added to the scores: 0 where a query sees a key, else -inf.

    Args:
        seen: True at keys that are valid frames, (N, size + 2 window), bool.
        size: Queries of a block.
        window: Frames seen on each side.
        dtype: Of the scores.

    Returns:
        (N, size, size + 2 window). Every query sees its own frame, at padding too, so that no softmax is empty.
    """
    device = seen.device
    offsets = torch.arange(size + 2 * window, device=device) - torch.arange(size, device=device)[:, None] - window
    allowed = (offsets.abs() <= window) & (seen[:, None] | (offsets == 0))
    return torch.zeros(allowed.shape, dtype=dtype, device=device).masked_fill_(~allowed, -math.inf)


class AttentionBlock(nn.Module):
    """Windowed self-attention with a residual connection: h + gamma * W Attention(LayerNorm h).

    gamma is one learned number that starts at 0, so the block starts as the identity, in the gradient of h as well;
    until gamma has moved, at the first step, no other weight of the block has a gradient.

    Args:
        width: Width of a frame.
        window: Frames that a frame sees on each side, beside itself.
        heads: Heads, which divide the width.

    Raises:
        ValueError: The heads do not divide the width.
    """

    def __init__(self, width: int, *, window: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = WindowedAttention(width, window=window, heads=heads)
        self.out = nn.Linear(width, width)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Let the frames of a padded batch see their neighbours.

        Args:
            hidden: (B, T, width); what stands at padding is ignored.
            lengths: Frames of each utterance, 1 to T, (B,), int64.

        Returns:
            (B, T, width), zero at padding.
        """
        valid = valid_mask(lengths.to(hidden.device), hidden.shape[1])
        hidden = hidden.masked_fill(~valid[:, :, None], 0)
        seen: Tensor = self.out(self.attention(self.norm(hidden), valid))
        return hidden + self.gamma * seen.masked_fill(~valid[:, :, None], 0)


class AttentionGate(nn.Module):
    """A gate that reads a frame and its surroundings: h * 2 sigmoid(W[LayerNorm h; c]), c = Attention(LayerNorm h).

    W and its bias start at 0, where the sigmoid is exactly a half: twice that lets h through unchanged, in its gradient
    as well. A gate lies within 0 to 2. Until W has moved, at the first step, no other weight has a gradient.

    Args:
        width: Width of a frame.
        window: Frames that a frame sees on each side, beside itself.
        heads: Heads, which divide the width.

    Raises:
        ValueError: The heads do not divide the width.
    """

    def __init__(self, width: int, *, window: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = WindowedAttention(width, window=window, heads=heads)
        self.gate = nn.Linear(2 * width, width)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Gate the frames of a padded batch.

        Args:
            hidden: (B, T, width); what stands at padding is ignored.
            lengths: Frames of each utterance, 1 to T, (B,), int64.

        Returns:
            (B, T, width), zero at padding.
        """
        valid = valid_mask(lengths.to(hidden.device), hidden.shape[1])
        hidden = hidden.masked_fill(~valid[:, :, None], 0)
        normed: Tensor = self.norm(hidden)
        context = self.attention(normed, valid)
        gate: Tensor = 2 * torch.sigmoid(self.gate(torch.cat((normed, context), 2)))
        return hidden * gate
