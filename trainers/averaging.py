"""Weights averaged: while one run trains, and of several checkpoints."""

import copy
from collections import deque
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from trainers.model.network import Network


def mean_weights(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of state dicts of the same names and shapes; what is counted, such as batches, is the last one's."""
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(value.dtype)
        if value.is_floating_point()
        else value
        for name, value in states[-1].items()
    }


class MovingAverage:
    """An exponential moving average of a network's weights (Polyak & Juditsky 1992).

    After step n the average moves by ``1 - min(decay, (1 + n) / (10 + n))`` towards the weights, so that it does not
    remember their random start. Running statistics of batch norm are averaged too.

    Args:
        network: The network that trains.
        decay: Share of the average that a step keeps; 0 is no average, and costs nothing.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self._decay = decay
        self._steps = 0
        self._network = network
        self._average = copy.deepcopy(network).requires_grad_(False) if decay else network

    @property
    def network(self) -> Network:
        """The network that is evaluated: the average, or the one that trains where there is none."""
        return self._average

    @torch.no_grad()
    def step(self) -> None:
        """Take in the weights after a step of the optimiser."""
        if not self._decay:
            return
        self._steps += 1
        share = 1 - min(self._decay, (1 + self._steps) / (10 + self._steps))
        ours, theirs = self._average.state_dict(), self._network.state_dict()
        moving = [name for name, value in ours.items() if value.is_floating_point()]
        torch._foreach_lerp_([ours[name] for name in moving], [theirs[name] for name in moving], share)
        for name in ours.keys() - set(moving):
            ours[name].copy_(theirs[name])

    def state(self) -> dict[str, Tensor]:
        """What a run needs to go on averaging; empty without an average."""
        return {**self._average.state_dict(), "steps": torch.tensor(self._steps)} if self._decay else {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Put a state back."""
        if self._decay:
            self._steps = int(state["steps"])
            self._average.load_state_dict({name: value for name, value in state.items() if name != "steps"})


class LastEpochs:
    """The mean of a network's weights after its last epochs (checkpoint averaging; Vaswani et al. 2017).

    The running statistics of batch norm are averaged with them. Every epoch's weights are kept apart until the end, and
    in main memory, since a run may end before its budget does.

    Args:
        count: How many epochs; 0 is no average, and costs nothing.
    """

    def __init__(self, count: int) -> None:
        self._kept: deque[dict[str, Tensor]] = deque(maxlen=count)

    def take(self, weights: Mapping[str, Tensor]) -> None:
        """Take in the weights after an epoch, a state dict."""
        if self._kept.maxlen:
            self._kept.append({name: value.to("cpu", copy=True) for name, value in weights.items()})

    def mean(self) -> dict[str, Tensor]:
        """The mean; see `mean_weights`.

        Raises:
            ValueError: No epoch was taken in.
        """
        if not self._kept:
            raise ValueError("no weights to average")
        return mean_weights(self._kept)

    def state(self) -> dict[str, Tensor]:
        """What a run needs to go on: the weights taken in, from the oldest on."""
        return {f"{age}.{name}": value for age, kept in enumerate(self._kept) for name, value in kept.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Put a state back."""
        ages: dict[int, dict[str, Tensor]] = {}
        for key, value in state.items():
            age, name = key.split(".", 1)
            ages.setdefault(int(age), {})[name] = value
        self._kept.extend(weights for _, weights in sorted(ages.items()))
