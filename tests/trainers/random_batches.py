"""Random batches for the tests of losses."""

import torch
from hypothesis import strategies as st

LABELS = 5
utterances = st.lists(st.tuples(st.integers(5, 14), st.integers(1, 3)), min_size=1, max_size=4)


def batch_of(shapes, seed, extra=0, dtype=torch.float64):
    """Logits (batch, frames, labels), lengths, targets, target lengths of utterances of (frames, tokens)."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([frames for frames, _ in shapes])
    target_lengths = torch.tensor([tokens for _, tokens in shapes])
    logits = torch.randn(len(shapes), int(lengths.max()) + extra, LABELS, dtype=dtype, generator=generator)
    targets = torch.randint(1, LABELS, (int(target_lengths.sum()),), generator=generator)
    return logits, lengths, targets, target_lengths


def padding(logits, lengths):
    """Which frames are nobody's, (batch, frames)."""
    return torch.arange(logits.shape[1], device=logits.device) >= lengths[:, None]
