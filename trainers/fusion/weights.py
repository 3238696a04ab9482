"""One network whose weights are the mean of several checkpoints' (Izmailov et al. 2018; Wortsman et al. 2022).

Epochs of one run lie in one valley of the loss, and so do runs that start from one trained checkpoint. Networks trained
apart do not: the mean of seeds that have 13 % word errors each had 72 %. So those are refused. Which is which is
read in a checkpoint's record of training: ``key`` names the run, ``epoch`` the epoch (`trainers.kept_epochs` keeps
them), ``start`` the digest of the checkpoint that the run started from.

Running statistics of batch norm are averaged like weights.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from pydantic import Field
from torch import Tensor

from search_spaces.axes.section import Section
from search_spaces.errors import FusionError
from trainers.averaging import mean_weights
from trainers.checkpoint import Checkpoint, refuse_misfit
from trainers.combining.rule import Average, WeightRule

APART = "the mean of networks that were trained apart had 72 % word errors where each of them had 13 %"


class WeightsSettings(Section):
    """Which checkpoints are averaged.

    Attributes:
        choose: ``last`` takes the last epochs of a run, ``epochs`` those that are named, ``greedy`` begins with the
            best checkpoint and keeps each further one that does not make dev worse; these may be of several runs that
            share a start.
        last: How many epochs ``last`` takes.
        epochs: Which epochs ``epochs`` takes.
    """

    choose: Literal["last", "epochs", "greedy"] = "last"
    last: int = Field(3, ge=1)
    epochs: tuple[int, ...] = Field((), strict=False)


class Weights(WeightRule):
    """The mean of weights."""

    name = "weights"
    summary = "the mean weights of epochs of one run, or of runs that share a starting checkpoint"
    Settings = WeightsSettings
    settings: WeightsSettings

    def fuse(self, checkpoints: Sequence[Checkpoint], errors: Callable[[dict[str, Tensor]], float]) -> Average:
        """The mean of the checkpoints that the settings choose."""
        if not checkpoints:
            raise FusionError(["there are no checkpoints"])
        ordered = sorted(checkpoints, key=lambda one: (one.training.get("epoch", 0), one.digest))
        _refuse_apart(ordered, soup=self.settings.choose == "greedy")
        _refuse_other_models(ordered)
        if self.settings.choose == "greedy":
            return _greedy_soup(ordered, errors)
        chosen = self._epochs(ordered)
        return Average(mean_weights([_weights(one) for one in chosen]), tuple(map(_title, chosen)))

    def _epochs(self, checkpoints: Sequence[Checkpoint]) -> Sequence[Checkpoint]:
        there = {one.training["epoch"]: one for one in checkpoints}
        if self.settings.choose == "last":
            return list(there.values())[-self.settings.last :]
        wanted = sorted(set(self.settings.epochs))
        lacking = [epoch for epoch in wanted if epoch not in there]
        if lacking or not wanted:
            what = f"epochs {', '.join(map(str, lacking))} are not kept" if wanted else "no epoch is named"
            raise FusionError([f"{what}; there are {', '.join(map(str, there))}"])
        return [there[epoch] for epoch in wanted]


def _greedy_soup(checkpoints: Sequence[Checkpoint], errors: Callable[[dict[str, Tensor]], float]) -> Average:
    states = [_weights(one) for one in checkpoints]
    alone = [errors(state) for state in states]
    first, *others = sorted(range(len(states)), key=alone.__getitem__)
    kept, fewest = [first], alone[first]
    for index in others:
        found = errors(mean_weights([states[place] for place in [*kept, index]]))
        if found <= fewest:
            kept, fewest = [*kept, index], found
    said = f"{len(kept)} of {len(states)} checkpoints: {fewest:g} on dev, where the best of them has {alone[first]:g}"
    titles = tuple(_title(checkpoints[place]) for place in kept)
    return Average(mean_weights([states[place] for place in kept]), titles, (said,))


def _title(checkpoint: Checkpoint) -> str:
    training = checkpoint.training
    if "study" not in training:
        return str(checkpoint.folder)
    return f"{training.get('campaign')}/{training['study']}#{training.get('trial')}, epoch {training.get('epoch')}"


def _weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    return checkpoint.network().state_dict()


def _refuse_apart(checkpoints: Sequence[Checkpoint], *, soup: bool) -> None:
    """Refuse checkpoints that are neither of one run nor, for a soup, of one start."""
    if _one_known([one.training.get("key") for one in checkpoints]):
        return
    if soup and _one_known([one.training.get("start") for one in checkpoints]):
        return
    need = "they are not known to be of one run, nor of runs that started from the same checkpoint"
    if not soup:
        need = "they are not known to be epochs of one run; take greedy for runs that share their start"
    titles = dict.fromkeys(f"{_title(one)}, start {one.training.get('start') or 'unknown'}" for one in checkpoints)
    raise FusionError([f"{need}: {'; '.join(titles)}", APART])


def _refuse_other_models(checkpoints: Sequence[Checkpoint]) -> None:
    """Refuse checkpoints that differ in more than their weights' values."""
    first, *others = checkpoints
    faults = [
        f"{_title(first)} and {_title(other)} differ in {what}"
        for other in others
        for what, one, two in (
            ("their labels", first.alphabet, other.alphabet),
            ("their features", first.features, other.features),
        )
        if one != two
    ]
    if faults:
        raise FusionError(faults)
    for other in others:
        refuse_misfit(other.folder, _weights(first), _weights(other))


def _one_known(values: Sequence[str | None]) -> bool:
    return all(values) and len(set(values)) == 1
