"""Decoding sweep: weights and widths of the search, over posteriors that are already there.

No network runs. With ``decoding.method: greedy`` (the first trial of every decoding study) it gives the WER that a
language model has to beat on the same checkpoint.
"""

import time
from dataclasses import replace

from search_spaces.schema import Need, StrategySchema
from trainers.artifacts import Hypothesis
from trainers.checkpoint import load_checkpoint
from trainers.decoding.adjust import adjust_set
from trainers.decoding.greedy import greedy_set
from trainers.decoding.searching import search_set
from trainers.emission import posteriors
from trainers.prior import label_prior
from trainers.spec import TrialOutcome
from trainers.strategy import Strategy, score_outcome


class Decoding(Strategy):
    """Beam search with a word language model."""

    schema = StrategySchema(
        name="decoding",
        summary="beam search with a language model over saved posteriors",
        axes=("decoding", "language_model"),
        needs=(
            Need(
                "posteriors",
                "the studies whose promoted checkpoints are decoded",
                many=True,
                axis="decoding.posteriors",
            ),
        ),
        requires=("language_model",),
        trains=False,
        first=({"decoding.method": "greedy"},),
        fixed={"decoding.method": "beam"},
    )

    def run(self) -> tuple[TrialOutcome, list[Hypothesis]]:
        """Decode dev and score it."""
        trial = self.trial
        began, cpu_began = time.perf_counter(), time.process_time()
        (source,) = trial.spec.needs["posteriors"]
        checkpoint = load_checkpoint(source.checkpoint)
        settings = trial.settings.decoding
        dev = trial.load("dev", checkpoint.features)
        name, frames = posteriors(trial.store, source.key, checkpoint, dev.features)
        prior_key, prior = "", None
        if settings.prior_scale:
            train = trial.load("train", checkpoint.features)
            prior_key, prior = label_prior(trial.store, source.key, checkpoint, train.features)
        frames = adjust_set(frames, settings, prior)
        if settings.method == "greedy":
            hypotheses = greedy_set(frames, checkpoint.alphabet)
            outcome = score_outcome(dev, hypotheses, checkpoint, source.key, name, "greedy")
        else:
            model, files = trial.settings.language_model, trial.language_model
            searched = search_set(checkpoint.alphabet, files, frames, [settings])
            (hypotheses,) = searched.hypotheses
            label = f"beam {settings.beam_width}, {model.order if model else 0}-gram"
            outcome = score_outcome(dev, hypotheses, checkpoint, source.key, name, label)
            outcome = replace(outcome, language_model=files.key if files else "", notes=(searched.note,))
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu_began
        return replace(outcome, prior=prior_key, seconds=seconds, cpu_seconds=cpu), hypotheses
