"""A bidirectional LSTM encoder that gives what packed sequences give, in about a third of the time on a CPU."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from trainers.model.convolutions import ConvFront
from trainers.model.layers import Dropout, check_batch, check_layer, valid_mask

CALL_COST = 40
"""What one more call of the LSTM costs, in frames computed; 20 to 80 were equally fast at 128 hidden, one thread."""


class BiLSTMEncoder(nn.Module):
    """Layers of two LSTMs, one of which reads each utterance backwards from its own last frame.

    Equal to nn.LSTM(bidirectional=True) over packed sequences, for which torch has no fused kernel on the CPU. For a
    plain forward nn.LSTM it has one, so each direction is one of those, and the backward direction reads rows gathered
    in reverse order.

    Args:
        inputs: Width of a feature frame.
        layers: Bidirectional layers.
        hidden: Width of each direction.
        dropout: Share of elements dropped after each layer, the last one included.
        front: Convolutions before the first layer, over features of the width ``inputs``; None has none.

    Attributes:
        outputs: Width of an output frame, both directions.
        subsampling: Feature frames an output frame stands for.
    """

    def __init__(
        self,
        inputs: int,
        *,
        layers: int = 2,
        hidden: int = 128,
        dropout: float = 0.1,
        front: ConvFront | None = None,
    ) -> None:
        super().__init__()
        self.outputs = 2 * hidden
        self.subsampling = 1 if front is None else front.subsampling
        self.front = front
        widths = [inputs if front is None else front.outputs] + [2 * hidden] * (layers - 1)
        self.forwards = nn.ModuleList(nn.LSTM(width, hidden) for width in widths)
        self.backwards = nn.ModuleList(nn.LSTM(width, hidden) for width in widths)
        self.dropout = Dropout(dropout)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Output frames of utterances of these many feature frames, rounded up, (B,), int64."""
        return lengths if self.front is None else self.front.output_lengths(lengths)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encode a padded batch.

        Args:
            features: (B, T, inputs); what stands at padding is ignored.
            lengths: Feature frames of each utterance, 1 to T, (B,), int64.

        Returns:
            Output (B, ceil(T / subsampling), outputs), zero at padding, and its lengths, (B,), int64.

        Raises:
            ValueError: The lengths do not fit the features.
        """
        hidden, lengths, _ = self._run(features, lengths, None)
        return hidden, lengths

    def forward_with_tap(self, features: Tensor, lengths: Tensor, layer: int) -> tuple[Tensor, Tensor, Tensor]:
        """Encode a padded batch, and give what leaves a layer on the way.

        Args:
            features: (B, T, inputs); what stands at padding is ignored.
            lengths: Feature frames of each utterance, 1 to T, (B,), int64.
            layer: Which layer, from 1, the front not counted.

        Returns:
            Output and lengths as `forward` has them, and the frames behind the layer, both directions, of the output's
            shape, zero at padding.

        Raises:
            ValueError: The lengths do not fit the features, or there is no such layer.
        """
        check_layer(layer, len(self.forwards))
        return self._run(features, lengths, layer)

    def _run(self, features: Tensor, lengths: Tensor, layer: int | None) -> tuple[Tensor, Tensor, Tensor]:
        """Output, its lengths, and the frames behind a layer; without one, the output again."""
        check_batch(features, lengths)
        if self.front is not None:
            features, _ = self.front(features, lengths)
            lengths = self.front.output_lengths(lengths)
        batch, frames, _ = features.shape
        layout = _lay_out(lengths, frames, features)
        rows = layout.enter(features.reshape(batch * frames, -1))
        tapped = None
        for number, (ahead, back) in enumerate(zip(self.forwards, self.backwards, strict=True), 1):
            reversed_rows = layout.run(back, layout.mirror(rows))
            rows = self.dropout(torch.cat((layout.run(ahead, rows), layout.mirror(reversed_rows)), 1))
            if number == layer:
                tapped = layout.leave(rows).view(batch, frames, -1)
        hidden = layout.leave(rows).view(batch, frames, -1)
        return hidden, lengths, hidden if tapped is None else tapped


class _Chunk(NamedTuple):
    """A stretch of time over which the LSTM runs the ``rows`` longest utterances."""

    start: int
    stop: int
    rows: int


class _Layout(NamedTuple):
    """Where each frame of a padded batch stands while the LSTMs run.

    N packed rows: chunk after chunk; within one, frame after frame; within that, the longest utterances first. So a
    chunk is a contiguous (time, rows, width) block, and little padding is computed at all. What padding remains reads
    some valid row, so that it is finite, and is multiplied by zero.

    Attributes:
        chunks: In order of time.
        sources: Padded row (b * T + t) of each packed row, (N,).
        packed: 1 where a packed row is valid, 0 at padding, (N, 1).
        targets: Packed row of each padded row, (B * T,).
        padded: 1 where a padded row is valid, (B * T, 1).
        mirrors: Packed row of the frame as far from the utterance's end as this from its start, (N,); own inverse.
    """

    chunks: list[_Chunk]
    sources: Tensor
    packed: Tensor
    targets: Tensor
    padded: Tensor
    mirrors: Tensor

    def enter(self, rows: Tensor) -> Tensor:
        """Padded rows (B * T, D) to packed rows (N, D)."""
        return _gather(rows, self.sources, self.packed, self.targets, self.padded)

    def leave(self, rows: Tensor) -> Tensor:
        """Packed rows (N, D) to padded rows (B * T, D)."""
        return _gather(rows, self.targets, self.padded, self.sources, self.packed)

    def mirror(self, rows: Tensor) -> Tensor:
        """Packed rows (N, D) with each utterance reversed by its own length, padding where it was."""
        return _gather(rows, self.mirrors, None, self.mirrors, None)

    def run(self, lstm: nn.Module, rows: Tensor) -> Tensor:
        """Packed rows (N, D) through an LSTM in order of time, (N, H)."""
        outputs = []
        state: tuple[Tensor, Tensor] | None = None
        blocks = torch.split(rows, [(chunk.stop - chunk.start) * chunk.rows for chunk in self.chunks])
        for chunk, block in zip(self.chunks, blocks, strict=True):
            if state is not None:
                state = state[0][:, : chunk.rows].contiguous(), state[1][:, : chunk.rows].contiguous()
            output, state = lstm(block.view(chunk.stop - chunk.start, chunk.rows, -1), state)
            outputs.append(output.flatten(0, 1))
        return torch.cat(outputs) if len(outputs) > 1 else outputs[0]


def _lay_out(lengths: Tensor, frames: int, like: Tensor) -> _Layout:
    """Lay out a batch of these lengths (B,), padded to so many frames, on the device and in the dtype of ``like``."""
    if like.device.type == "cpu":
        chunks = _chunks(lengths.tolist())
    else:
        # one launch and no look at the lengths, which would wait for the device
        chunks = [_Chunk(0, frames, len(lengths))]
    lengths = lengths.to(like.device)
    order = lengths.argsort(descending=True, stable=True)
    numbers = torch.arange(frames, device=like.device)
    times = torch.cat([numbers[c.start : c.stop, None].expand(-1, c.rows).reshape(-1) for c in chunks])
    utterances = torch.cat([order[: c.rows].repeat(c.stop - c.start) for c in chunks])
    first, length = utterances * frames, lengths[utterances]
    valid = times < length
    targets = torch.zeros(len(lengths) * frames, dtype=torch.int64, device=like.device)
    targets[first + times] = torch.arange(len(times), device=like.device)
    padded = valid_mask(lengths, frames).reshape(-1)
    return _Layout(
        chunks=chunks,
        sources=first + times * valid,
        packed=valid[:, None].to(like.dtype),
        targets=targets * padded,
        padded=padded[:, None].to(like.dtype),
        mirrors=targets[first + torch.where(valid, length - 1 - times, times)],
    )


def _chunks(lengths: list[int]) -> list[_Chunk]:
    """Cut time where utterances end, so that frames computed plus ``CALL_COST`` a chunk are fewest."""
    ends = [0, *sorted(lengths)]
    count = len(lengths)
    # cheapest[j]: least cost of all frames before ends[j]; only utterances beyond ends[i] run on after it
    cheapest, previous = [0] * (count + 1), [0] * (count + 1)
    for j in range(1, count + 1):
        cheapest[j], previous[j] = min(
            (cheapest[i] + (count - i) * (ends[j] - ends[i]) + CALL_COST, i) for i in range(j)
        )
    chunks = []
    j = count
    while j:
        i = previous[j]
        if ends[j] > ends[i]:
            chunks.append(_Chunk(ends[i], ends[j], count - i))
        j = i
    return chunks[::-1]


def _gather(rows: Tensor, index: Tensor, keep: Tensor | None, back: Tensor, keep_back: Tensor | None) -> Tensor:
    """Take ``rows[index] * keep``; ``back`` and ``keep_back`` are the same for the way back, that is the gradient."""
    gathered: Tensor = _Gather.apply(rows, index, keep, back, keep_back)  # type: ignore[no-untyped-call]
    return gathered


class _Gather(torch.autograd.Function):
    """Rows by a one-to-one index, so that the gradient is a gather too: index_select's own adds row by row."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        index: Tensor,
        keep: Tensor | None,
        back: Tensor,
        keep_back: Tensor | None,
    ) -> Tensor:
        ctx.save_for_backward(index, keep, back, keep_back)
        gathered = rows.index_select(0, index)
        return gathered if keep is None else gathered.mul_(keep)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        index, keep, back, keep_back = ctx.saved_tensors
        return _gather(grad, back, keep_back, index, keep), None, None, None, None
