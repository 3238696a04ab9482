"""Imported: an existing checkpoint, or posteriors of another program, scored as they are. Nothing is trained.

``needs: {checkpoint: ...}`` names their folder; ``orchestrator import`` makes one of a file of weights, ``orchestrator
import-posteriors`` one of posteriors. The store keeps a copy of it, so that it can be decoded and taken for a teacher.
"""

import time
from dataclasses import replace

from search_spaces.schema import Need, StrategySchema
from trainers.artifacts import Hypothesis
from trainers.decoding.greedy import greedy_set
from trainers.source import CheckpointSource, open_source
from trainers.spec import TrialOutcome
from trainers.strategy import Strategy, decode_greedily
from trainers.trial import Split


class Imported(Strategy):
    """Posteriors of dev, decoded greedily."""

    schema = StrategySchema(
        name="imported",
        summary="an existing checkpoint, or posteriors of another program, scored as they are",
        axes=(),
        needs=(
            Need("checkpoint", "the folder of a checkpoint or of imported posteriors, or the study that made them"),
        ),
        trains=False,
    )

    def run(self) -> tuple[TrialOutcome, list[Hypothesis]]:
        """Score dev.

        Raises:
            CheckpointError: It cannot be read, or reads features of another width or rate.
            PosteriorsError: They cannot be read, or are not of these utterances.
        """
        trial = self.trial
        began, cpu_began = time.perf_counter(), time.process_time()
        (ingredient,) = trial.spec.needs["checkpoint"]
        source = open_source(trial, ingredient)
        if isinstance(source, CheckpointSource):
            checkpoint = source.checkpoint
            checkpoint.refuse_other_features(trial.load("dev", checkpoint.features).features, "dev")
        outcome, hypotheses = decode_greedily(trial, source)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu_began
        return replace(outcome, seconds=seconds, cpu_seconds=cpu), hypotheses

    def recognise(self, outcome: TrialOutcome, split: Split) -> list[Hypothesis]:
        """The best path through its posteriors."""
        (ingredient,) = self.trial.spec.needs["checkpoint"]
        source = open_source(self.trial, ingredient)
        return greedy_set(source.posteriors(split)[1], source.alphabet)
