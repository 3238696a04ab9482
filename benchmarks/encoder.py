"""Time the encoders on one thread against what torch offers for the same mathematics.

BiLSTMEncoder against nn.LSTM over packed sequences, with the same weights: values and input gradients are compared,
then forward and backward timed, at lengths as a shuffled batch has them and as a batch bucketed by length has them.
(At lengths all equal torch notices that nothing is packed, and the two are equally fast.) ConvEncoder with batch norm
over valid frames against the same net with nn.BatchNorm1d, whose statistics read padding. Rivals alternate, so that
another load on the machine meets both. The process is set up as a trial's is.

    python benchmarks/encoder.py
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

from trainers.process import THREADS, set_up

os.environ.update(THREADS)  # before torch reads them

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from trainers.model.bilstm import BiLSTMEncoder
from trainers.model.conv import ConvEncoder
from trainers.model.layers import MaskedBatchNorm


def alternate(rivals: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Median milliseconds of each rival over so many turns.

    A turn is two runs, the second timed: the first works in the heap and the caches that the other rival left, as no
    step of a training does.
    """
    times: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(runs):
        for name, step in rivals.items():
            step()
            start = time.perf_counter()
            step()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def packed(lstm: nn.LSTM, features: Tensor, lengths: Tensor) -> Tensor:
    """What nn.LSTM gives over packed sequences, (B, T, 2 * hidden)."""
    sequences = pack_padded_sequence(features, lengths, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(lstm(sequences)[0], batch_first=True, total_length=features.shape[1])[0]


def compare_bilstm(name: str, lengths: Tensor, args: argparse.Namespace) -> None:
    """Print differences and times for one set of lengths."""
    frames = int(lengths.max())
    lstm = nn.LSTM(args.inputs, args.hidden, args.layers, batch_first=True, bidirectional=True)
    encoder = BiLSTMEncoder(args.inputs, layers=args.layers, hidden=args.hidden, dropout=0.0)
    weights = dict(lstm.named_parameters())
    with torch.no_grad():
        for layer in range(args.layers):
            for ours, suffix in ((encoder.forwards[layer], ""), (encoder.backwards[layer], "_reverse")):
                for key, weight in ours.named_parameters():
                    weight.copy_(weights[key.replace("_l0", f"_l{layer}") + suffix])
    features = torch.randn(len(lengths), frames, args.inputs, requires_grad=True)
    direction = torch.randn(len(lengths), frames, encoder.outputs)

    def step(forward: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        features.grad = None
        output = forward(features, lengths)
        output.backward(direction)
        return output.detach(), features.grad

    def ours() -> tuple[Tensor, Tensor]:
        return step(lambda features, lengths: encoder(features, lengths)[0])

    def theirs() -> tuple[Tensor, Tensor]:
        return step(lambda features, lengths: packed(lstm, features, lengths))

    differences = [float((a - b).abs().max()) for a, b in zip(ours(), theirs(), strict=True)]
    times = alternate({"ours": ours, "packed": theirs}, args.runs)
    share = 100 * float(lengths.sum()) / (len(lengths) * frames)
    print(
        f"BiLSTM {args.layers} x {args.hidden}, {len(lengths)} x {frames} x {args.inputs}, {name}, {share:.0f} % valid"
    )
    print(f"  largest difference: outputs {differences[0]:.1e}, input gradients {differences[1]:.1e}")
    print(f"  ours {times['ours']:.1f} ms, nn.LSTM packed {times['packed']:.1f} ms")
    print(f"  nn.LSTM packed / ours: {times['packed'] / times['ours']:.2f}")


class PlainNorm(nn.BatchNorm1d):
    """nn.BatchNorm1d with the arguments of MaskedBatchNorm: its statistics read padding."""

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """(B, T, C) to (B, T, C)."""
        normalised = super().forward(frames.flatten(0, 1))
        # not view(): the encoder's in-place ReLU on a view would copy, at this norm's cost
        return torch.ops.aten._unsafe_view(normalised, frames.shape)


def compare_conv(args: argparse.Namespace) -> None:
    """Print the step time of ConvEncoder with either norm."""
    batch, frames, inputs = 16, 600, 40
    lengths = torch.randint(int(0.6 * frames), frames + 1, (batch,))
    lengths[batch // 2] = frames
    features = torch.randn(batch, frames, inputs)
    masked, plain = (ConvEncoder(inputs, layers=6, hidden=192, dropout=0.1) for _ in range(2))
    for module in list(plain.modules()):
        if isinstance(getattr(module, "norm", None), MaskedBatchNorm):
            module.norm = PlainNorm(module.norm.num_features)

    def step(encoder: ConvEncoder) -> None:
        encoder(features, lengths)[0].square().mean().backward()

    times = alternate({"masked": lambda: step(masked), "plain": lambda: step(plain)}, args.runs)
    print(f"Conv 6 x 192, {batch} x {frames} x {inputs}, forward and backward")
    print(f"  norm over valid frames {times['masked']:.1f} ms, nn.BatchNorm1d {times['plain']:.1f} ms")
    print(f"  masked / plain: {times['masked'] / times['plain']:.3f}")


def main() -> None:
    """Read the arguments, print the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--inputs", type=int, default=120)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--runs", type=int, default=11, help="turns of each rival")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    set_up()
    torch.manual_seed(args.seed)
    for shortest in (60, 95):
        lengths = torch.randint(shortest * args.frames // 100, args.frames + 1, (args.batch,))
        lengths[args.batch // 2] = args.frames
        compare_bilstm(f"lengths {shortest}-100 %", lengths, args)
    compare_conv(args)


if __name__ == "__main__":
    main()
