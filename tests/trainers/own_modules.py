"""Modules as a user may write them, good and bad."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Gru(nn.Module):
    """Two convolutions' worth of nothing: a GRU over packed frames, and a head."""

    def __init__(self, inputs, labels, hidden=16, dropout=0.0):
        super().__init__()
        self.gru = nn.GRU(inputs, hidden, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * hidden, labels)

    def forward(self, features, lengths):
        packed = pack_padded_sequence(features, lengths.cpu(), batch_first=True, enforce_sorted=False)
        hidden, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        return torch.log_softmax(self.head(self.dropout(hidden)), dim=-1), lengths


class Halving(Gru):
    """Keeps every second frame, and says so."""

    def output_lengths(self, lengths):
        return (lengths + 1) // 2

    def forward(self, features, lengths):
        return super().forward(features[:, ::2], self.output_lengths(lengths))


class Silent(Gru):
    """Keeps every second frame, and does not say so."""

    def forward(self, features, lengths):
        return super().forward(features[:, ::2], (lengths + 1) // 2)


class BlankLast(Gru):
    """The blank in the last column."""

    def forward(self, features, lengths):
        log_probs, lengths = super().forward(features, lengths)
        return log_probs.roll(-1, dims=2), lengths


class Leaking(nn.Module):
    """An average over all frames, padding included."""

    def __init__(self, inputs, labels):
        super().__init__()
        self.head = nn.Linear(2 * inputs, labels)

    def forward(self, features, lengths):
        mean = features.mean(dim=1, keepdim=True).expand_as(features)
        return torch.log_softmax(self.head(torch.cat([features, mean], dim=2)), dim=-1), lengths


class Picky(Gru):
    """Refuses a width."""

    def __init__(self, inputs, labels, hidden):
        if hidden % 2:
            raise ValueError("hidden must be even")
        super().__init__(inputs, labels, hidden)


class Closed(nn.Module):
    """Is told neither inputs nor labels."""

    def __init__(self, width, classes):
        super().__init__()
        self.head = nn.Linear(width, classes)

    def forward(self, features, lengths):
        return torch.log_softmax(self.head(features), dim=-1), lengths


class Bad(Gru):
    """Breaks one promise, which one its argument says."""

    def __init__(self, inputs, labels, fault):
        super().__init__(inputs, labels)
        self.fault = fault
        if fault == "shared":
            self.again = nn.Linear(3, 3)
            self.third = self.again
        if fault == "frozen":
            self.requires_grad_(False)

    def forward(self, features, lengths):
        log_probs, lengths = super().forward(features, lengths)
        match self.fault:
            case "logits":
                return log_probs + 1, lengths
            case "alone":
                return log_probs
            case "shape":
                return log_probs.transpose(0, 1), lengths
            case "labels":
                return log_probs[:, :, :-1], lengths
            case "long":
                return log_probs, lengths + 1
            case "nan":
                return log_probs * float("nan"), lengths
            case "float lengths":
                return log_probs, lengths.float()
            case "raises":
                raise RuntimeError("no such kernel")
            case "batch lengths":
                return log_probs, torch.full_like(lengths, int(lengths.max()))
        return log_probs, lengths


def not_a_class():
    """Is none."""
