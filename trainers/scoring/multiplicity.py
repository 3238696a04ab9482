"""What several comparisons at once do to the probabilities of each."""

from collections.abc import Sequence


def holm(probabilities: Sequence[float]) -> list[float]:
    """Probabilities corrected for their number, in their order (Holm 1979).

    Calling those below a level different goes wrong anywhere, if some are truly equal, with at most that probability,
    however the comparisons depend on one another.

    Args:
        probabilities: p of each comparison, one each of the strategies that are shown.

    Raises:
        ValueError: One is not between 0 and 1.
    """
    if not all(0 <= p <= 1 for p in probabilities):
        raise ValueError(f"not all probabilities: {probabilities}")
    corrected = [0.0] * len(probabilities)
    reached = 0.0
    for rank, index in enumerate(sorted(range(len(probabilities)), key=probabilities.__getitem__)):
        reached = max(reached, min(1.0, (len(probabilities) - rank) * probabilities[index]))
        corrected[index] = reached
    return corrected
