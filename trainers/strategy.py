"""What a strategy is: a schema that a campaign file is checked against, and a way to run one trial.

A strategy is a file in `trainers/strategies/` with a class of the same name in capitals: ``self_distillation.py``
holds ``SelfDistillation``. `TrainingStrategy` runs the life of a training trial; most strategies need only a loss.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from search_spaces.schema import StrategySchema
from trainers.artifacts import Hypothesis
from trainers.augmentation import augment
from trainers.checkpoint import WEIGHTS, load_checkpoint, save_checkpoint
from trainers.convergence import remarks, still_improving
from trainers.data.batches import Batch
from trainers.data.labels import Alphabet
from trainers.data.sets import Corpus, encode_targets
from trainers.decoding.greedy import greedy_set
from trainers.kept_epochs import epoch_folder, kept_epochs
from trainers.loop import Plateau, Pruned, train
from trainers.losses.ctc import ctc_loss
from trainers.losses.smoothing import smooth, uniform_labels, unigram_labels
from trainers.model.build import build_network
from trainers.model.network import Network
from trainers.run_state import Progress
from trainers.source import CheckpointSource, Source
from trainers.spec import Elimination, TrialOutcome
from trainers.tensor_file import write_tensors
from trainers.trial import Split, Trial

LAST = "last.safetensors"


class Strategy(ABC):
    """One way of training or combining.

    Attributes:
        schema: What a campaign file may say about it.
        trial: The trial at hand.
    """

    schema: ClassVar[StrategySchema]

    def __init__(self, trial: Trial) -> None:
        self.trial = trial

    @abstractmethod
    def run(self) -> tuple[TrialOutcome, list[Hypothesis]]:
        """Run the trial; called once, in a process of its own.

        Returns:
            What came of it, and a hypothesis for every utterance of dev, in its order.
        """

    @abstractmethod
    def recognise(self, outcome: TrialOutcome, split: Split) -> list[Hypothesis]:
        """What the system that the trial came to says of a split; nothing is trained or chosen.

        Args:
            outcome: What `run` gave; whatever it names is taken from the store.
            split: Which; of dev it says what `run` gave.

        Returns:
            A hypothesis for every utterance, in the order of the split.

        Raises:
            CheckpointError: A part of the system is not in the store any more.
        """

    @classmethod
    def run_all(cls, trials: Sequence[Trial]) -> Iterator[tuple[Trial, TrialOutcome, list[Hypothesis]]]:
        """Run trials one after another; a strategy whose trials can share work does it here.

        Yields:
            Each trial and what `run` gives for it, in any order.
        """
        for trial in trials:
            yield trial, *cls(trial).run()


class TrainingStrategy(Strategy):
    """A strategy that trains a network with CTC, perhaps with something beside it."""

    notes: tuple[str, ...] = ()  # what a reader of the record should know; `prepare` may fill it
    start = ""  # digest of the checkpoint that the first weights are of; `prepare` may fill it
    _prior = torch.empty(0)  # what label smoothing draws the output to; known once the labels are

    def prepare(self, network: Network, corpus: Corpus) -> None:
        """Get ready before the first epoch; called once the network and the data are there."""

    def release(self, network: Network) -> None:
        """Take off the network what only training needs; called before its checkpoint is written."""

    def by_length(self, epoch: int) -> bool:
        """Whether an epoch goes from short utterances to long ones."""
        return epoch <= self.trial.settings.augmentation.curriculum

    def step(self, network: Network, batch: Batch) -> Tensor:
        """The loss of a batch whose features are changed at random."""
        changed = augment(batch, network, self.trial.settings.train, self.trial.settings.features.blocks)
        log_probs, lengths = network(changed.features, changed.lengths)
        return self.loss(log_probs, lengths, changed)

    def loss(self, log_probs: Tensor, lengths: Tensor, batch: Batch) -> Tensor:
        """What a step minimises: CTC, smoothed if that is asked for.

        Args:
            log_probs: The network's output, (batch, frames, labels).
            lengths: Its valid frames, (batch,).
            batch: The batch it was made from.

        Returns:
            Scalar: a sum over the batch divided by its target labels.
        """
        return self.smoothed(ctc_loss(log_probs, lengths, batch.targets, batch.target_lengths), log_probs, lengths)

    def smoothed(self, loss: Tensor, log_probs: Tensor, lengths: Tensor) -> Tensor:
        """A loss with its share of label smoothing."""
        return smooth(loss, log_probs, lengths, self.trial.settings.augmentation.smoothing, self._prior)

    def run(self) -> tuple[TrialOutcome, list[Hypothesis]]:
        """Train, keep the best epoch or the mean of the last ones, and decode dev greedily."""
        trial = self.trial
        key = trial.spec.key
        try:
            checkpoint = load_checkpoint(trial.store.entry("checkpoints", key, self._train, keep=True))
        except Pruned as stop:
            trial.store.discard("checkpoints", key)
            said = (str(stop),) if isinstance(stop, Plateau) else ()
            return with_history(TrialOutcome(pruned=True, notes=said), stop.progress), []
        progress = Progress.of(checkpoint.folder)
        outcome, hypotheses = decode_greedily(trial, CheckpointSource(trial, key, checkpoint))
        words = outcome.score.words if outcome.score else 0
        outcome = replace(
            outcome,
            best_epoch=progress.best_epoch,
            still_improving=still_improving(progress.reports, words),
            notes=(*checkpoint.training["notes"], *remarks(progress, trial.settings.train, words)),
        )
        return with_history(outcome, progress), hypotheses

    def recognise(self, outcome: TrialOutcome, split: Split) -> list[Hypothesis]:
        """The best path through the posteriors of the trial's checkpoint."""
        trial, key = self.trial, outcome.checkpoint
        source = CheckpointSource(trial, key, load_checkpoint(trial.store.path("checkpoints", key)))
        return greedy_set(source.posteriors(split)[1], source.alphabet)

    def _train(self, folder: Path) -> None:
        """Fill the folder of a checkpoint, or go on with what an interrupted attempt left in it."""
        trial, settings = self.trial, self.trial.settings
        torch.manual_seed(settings.train.seed)
        alphabet = Alphabet.of(settings.units, trial.train.references)
        inputs = trial.train.features.dimensions
        network = build_network(settings.model, inputs, len(alphabet))
        targets = encode_targets(
            trial.train, alphabet, network.output_lengths, drop=settings.train.infeasible == "drop"
        )
        corpus = Corpus(trial.train, targets, trial.dev, alphabet, trial.tuned_by)
        self._prior = self._label_prior(corpus)
        self.prepare(network, corpus)
        progress = train(network, self, corpus, settings.train, folder, trial.report)
        write_tensors(folder / LAST, network.state_dict())
        network.load_state_dict(progress.best_weights)
        self.release(network)
        origin = {
            "key": trial.spec.key,
            "campaign": trial.spec.campaign,
            "study": trial.spec.study,
            "trial": trial.spec.number,
            "strategy": trial.spec.strategy,
            "start": self.start,
            "epoch": progress.best_epoch,
            "settings": settings.train.model_dump(),
            "notes": self.notes,
            "computed_on": progress.computed_on,
        }
        save = partial(
            save_checkpoint,
            model=settings.model,
            features=settings.features,
            inputs=inputs,
            alphabet=alphabet,
            rate=trial.train.features.rate,
        )
        save(folder, network, training=origin)
        for epoch in kept_epochs(folder):
            place = epoch_folder(folder, epoch)
            weights = load_file(place / WEIGHTS)  # with what `release` has taken off since
            network.load_state_dict({name: weights[name] for name in network.state_dict()})
            save(place, network, training={**origin, "epoch": epoch})
        progress.finish(folder)

    def _label_prior(self, corpus: Corpus) -> Tensor:
        """What label smoothing draws the output to, (labels,)."""
        if self.trial.settings.augmentation.smoothing_towards == "uniform":
            return uniform_labels(len(corpus.alphabet))
        return unigram_labels(torch.from_numpy(np.concatenate(corpus.targets)), len(corpus.alphabet))


def with_history(outcome: TrialOutcome, progress: Progress) -> TrialOutcome:
    """An outcome with the epochs and the cost of its training."""
    return replace(
        outcome,
        epochs=tuple(progress.reports),
        seconds=progress.seconds,
        cpu_seconds=progress.cpu_seconds,
        computed_on="; then ".join(progress.computed_on),
    )


def decode_greedily(trial: Trial, source: Source) -> tuple[TrialOutcome, list[Hypothesis]]:
    """Score a source by the best path through its posteriors.

    Args:
        trial: The trial that asks.
        source: Where the posteriors come from.
    """
    name, frames = source.posteriors("dev")
    hypotheses = greedy_set(frames, source.alphabet)
    return scored(decoded_outcome(source, name, "greedy"), hypotheses, trial), hypotheses


def scored(outcome: TrialOutcome, hypotheses: Sequence[Hypothesis], trial: Trial) -> TrialOutcome:
    """An outcome with its word errors on dev: those by which the trial is chosen, and those by which it is judged.

    Args:
        outcome: Without them.
        hypotheses: Of every utterance of dev.
        trial: The trial that it is the outcome of.
    """
    selection = trial.judged_by.score(hypotheses) if trial.judged_by else None
    return replace(outcome, score=trial.tuned_by.score(hypotheses), selection=selection, scorer=trial.spec.scorer)


def eliminated(outcome: TrialOutcome, elimination: Elimination) -> TrialOutcome:
    """The outcome of a trial that lost its race: without a score."""
    return replace(outcome, pruned=True, eliminated=elimination, notes=(str(elimination),))


def decoded_outcome(source: Source, posteriors: str, decoder: str) -> TrialOutcome:
    """The outcome of decoding dev, before anything is counted.

    Args:
        source: Where the posteriors came from.
        posteriors: Their key in the store.
        decoder: The decoder and its settings in one line.
    """
    return TrialOutcome(
        decoder=decoder,
        units=source.alphabet.units,
        weights=source.weights,
        posteriors=posteriors,
        checkpoint=source.key if source.is_network else "",
        imported="" if source.is_network else source.key,
    )
