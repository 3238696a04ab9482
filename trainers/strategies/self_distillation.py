r"""Self-distillation: a fresh student of the teacher's own architecture learns from transcript and teacher.

The loss is that of `trainers.teaching.distilling`. The teacher reads every utterance once, unmasked, and its
posteriors are kept; the student reads the utterances masked. Born-again networks: Furlanello et al. 2018; for CTC:
Kurata & Audhkhasi 2018.

With ``distillation.generations`` above 1 the student becomes the teacher of another one, which starts from other random
weights. When the last generation's dev WER, decoded greedily, is not lower than its teacher's by more than the standard
error of the difference (`trainers.scoring.paired`), there are no more. The best generation is the trial's result.

A generation is a trial of one generation in all but its number: it has a checkpoint of its own in the store, in which
an interrupted trial goes on. Epoch e of generation g is reported as epoch (g - 1) * epochs + e.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from search_spaces.axes.distillation import DistillationSettings
from search_spaces.schema import StrategySchema
from trainers.artifacts import Hypothesis
from trainers.data.sets import Corpus
from trainers.model.network import Network
from trainers.scoring.paired import Gain, paired_gain
from trainers.source import checkpoint_of, open_source
from trainers.spec import EpochReport, Ingredient, TrialOutcome
from trainers.strategy import decode_greedily
from trainers.teaching.distilling import DistillingStrategy
from trainers.teaching.teacher import NEED, refuse_other_architecture
from trainers.trial import Trial


class SelfDistillation(DistillingStrategy):
    """Same architecture, fresh student, frozen teacher."""

    schema = StrategySchema(
        name="self_distillation",
        summary="a fresh student of the same architecture learns from a teacher's posteriors too",
        axes=("train", "distillation", "model.dropout", "augmentation.smoothing", "augmentation.curriculum"),
        uses=("units", "features", "model", "train", "distillation", "augmentation"),
        sections={"distillation": DistillationSettings},
        needs=(NEED,),
        repeats="distillation.generations",
    )

    def prepare(self, network: Network, corpus: Corpus) -> None:
        """Run the teacher over the training set, once.

        Raises:
            CheckpointError: The teacher has another architecture, alphabet or frame rate.
        """
        (source,) = self.trial.spec.needs[NEED.name]
        refuse_other_architecture(checkpoint_of(source), self.trial.settings.model)
        super().prepare(network, corpus)

    def run(self) -> tuple[TrialOutcome, list[Hypothesis]]:
        """Train generation after generation while they gain; the best one is the result."""
        trial = self.trial
        total = trial.settings.section("distillation", DistillationSettings).generations
        if total == 1:
            return super().run()
        (teacher,) = trial.spec.needs[NEED.name]
        taught = decode_greedily(trial, open_source(trial, teacher))[1]
        found: list[tuple[TrialOutcome, list[Hypothesis]]] = []
        notes: list[str] = []
        for number in range(1, total + 1):
            outcome, hypotheses = SelfDistillation(_generation(trial, number, total, teacher)).run()
            found.append((outcome, hypotheses))
            if outcome.pruned:
                notes += [f"generation {number} of {total}: {note}" for note in outcome.notes]
                if number > 1 and outcome.notes:
                    break  # a plateau is no verdict of the sampler's: the generations before it stand
                return _together(outcome, found, trial.settings.train.epochs, total, notes), []
            gain = _gain(trial, taught, hypotheses)
            notes.append(f"generation {number} of {total}: {_wer(outcome):.1f} %, {_told(gain)}")
            if number < total and gain.points <= gain.error:
                notes[-1] += ": stopped"
                break
            teacher = Ingredient(
                f"generation {number}", trial.store.path("checkpoints", outcome.checkpoint), outcome.checkpoint
            )
            taught = hypotheses
        best, hypotheses = min(found, key=lambda pair: _wer(pair[0]))
        return _together(best, found, trial.settings.train.epochs, total, notes), hypotheses


def _generation(trial: Trial, number: int, total: int, teacher: Ingredient) -> Trial:
    """The trial that one generation is; the first is that of a study without generations."""
    settings = trial.settings.train
    seed = settings.seed
    if number > 1:
        seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) >> 1
    before = (number - 1) * settings.epochs

    def report(one: EpochReport) -> bool:
        return trial.report(replace(one, epoch=before + one.epoch, epochs=total * settings.epochs))

    return trial.derive({"train.seed": seed, "distillation.generations": 1}, {NEED.name: (teacher,)}, report)


def _together(
    best: TrialOutcome,
    found: list[tuple[TrialOutcome, list[Hypothesis]]],
    epochs: int,
    total: int,
    notes: list[str],
) -> TrialOutcome:
    """The best generation's outcome with the history and the cost of all."""
    outcomes = [outcome for outcome, _ in found]
    history = tuple(
        replace(one, epoch=number * epochs + one.epoch, epochs=total * epochs)
        for number, outcome in enumerate(outcomes)
        for one in outcome.epochs
    )
    before = outcomes.index(best) * epochs
    return replace(
        best,
        epochs=history,
        best_epoch=None if best.best_epoch is None else before + best.best_epoch,
        seconds=sum(outcome.seconds for outcome in outcomes),
        cpu_seconds=sum(outcome.cpu_seconds for outcome in outcomes),
        notes=(*notes, *(() if best.pruned else best.notes)),
    )


def _wer(outcome: TrialOutcome) -> float:
    return outcome.score.wer if outcome.score else float("inf")


def _gain(trial: Trial, taught: Sequence[Hypothesis], said: Sequence[Hypothesis]) -> Gain:
    """How much a student beats its teacher on dev, where it is tuned."""
    before, after = ([one.text for one in found if one.id in trial.tuned_by] for found in (taught, said))
    return paired_gain(trial.tuned_by.texts.values(), before, after, trial.tuned_by.scorer)


def _told(gain: Gain) -> str:
    relation = "below" if gain.points < gain.error else "above" if gain.points > gain.error else "equal to"
    return f"gain {gain.points:.1f} is {relation} its standard error {gain.error:.1f}"
