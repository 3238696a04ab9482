"""Decoding sweep: weights and widths of the search, over posteriors that are already there.

No network runs. With ``decoding.method: greedy`` (the first trial of every decoding study) it gives the WER that a
language model has to beat on the same checkpoint.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from search_spaces.schema import Need, StrategySchema
from trainers.artifacts import Hypothesis
from trainers.decoding.adjust import adjust_set
from trainers.decoding.greedy import greedy_set
from trainers.decoding.language_model import LanguageModelFiles
from trainers.decoding.searching import Search
from trainers.prior import label_prior, read_prior
from trainers.racing import decode_in_parts
from trainers.source import open_source
from trainers.spec import TrialOutcome
from trainers.store import digest
from trainers.strategy import Strategy, decoded_outcome, eliminated, scored
from trainers.trial import Split, Trial

POINT = {"alpha", "beta", "beam_width", "token_min_logp", "beam_prune_logp"}
"""Settings of the search itself; the others change what it reads."""


class Decoding(Strategy):
    """Beam search with a word language model."""

    schema = StrategySchema(
        name="decoding",
        summary="beam search with a language model over saved posteriors",
        axes=("decoding", "language_model.order", "language_model.discount_fallback"),
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
        races=True,
        first=({"decoding.method": "greedy"},),
        surface=True,
        fixed={"decoding.method": "beam"},
    )

    def run(self) -> tuple[TrialOutcome, list[Hypothesis]]:
        """Decode dev and score it."""
        ((_, outcome, hypotheses),) = self.run_all([self.trial])
        return outcome, hypotheses

    def recognise(self, outcome: TrialOutcome, split: Split) -> list[Hypothesis]:
        """Decode a split with the point, the language model and the prior of the trial."""
        trial, key = self.trial, outcome.language_model
        (ingredient,) = trial.spec.needs["posteriors"]
        source = open_source(trial, ingredient)
        prior = read_prior(trial.store.path("priors", outcome.prior), source.alphabet) if outcome.prior else None
        files = LanguageModelFiles(trial.store.path("language_models", key), key) if key else None
        frames = adjust_set(source.posteriors(split)[1], trial.settings.decoding, prior)
        if trial.settings.decoding.method == "greedy":
            return greedy_set(frames, source.alphabet)
        with Search(source.alphabet, files) as search:
            (hypotheses,) = search.decode(frames, [trial.settings.decoding])
        return hypotheses

    @classmethod
    def run_all(cls, trials: Sequence[Trial]) -> Iterator[tuple[Trial, TrialOutcome, list[Hypothesis]]]:
        """Decode dev at the points of several trials; those over the same posteriors and model share one search."""
        alike: dict[str, list[Trial]] = {}
        for trial in trials:
            alike.setdefault(_searched(trial), []).append(trial)
        for group in alike.values():
            yield from _decode(group)


def _searched(trial: Trial) -> str:
    """Key of all that a trial's search reads, but for weights, widths and thresholds."""
    (source,) = trial.spec.needs["posteriors"]
    model = trial.settings.language_model
    return digest([source.key, model and model.model_dump(), trial.settings.decoding.model_dump(exclude=POINT)])


def _decode(trials: Sequence[Trial]) -> Iterator[tuple[Trial, TrialOutcome, list[Hypothesis]]]:
    """Decode dev for trials that differ in weights, widths and thresholds alone, and share what they have in common."""
    began, cpu_began = time.perf_counter(), time.process_time()
    trial = trials[0]
    (ingredient,) = trial.spec.needs["posteriors"]
    source = open_source(trial, ingredient)
    settings = trial.settings.decoding
    name, frames = source.posteriors("dev")
    prior_key, prior = label_prior(trial.store, source) if settings.prior_scale else ("", None)
    frames = adjust_set(frames, settings, prior)

    def share() -> tuple[float, float]:
        return (time.perf_counter() - began) / len(trials), (time.process_time() - cpu_began) / len(trials)

    if settings.method == "greedy":
        hypotheses = greedy_set(frames, source.alphabet)
        outcome = scored(decoded_outcome(source, name, "greedy"), hypotheses, trial)
        seconds, cpu_seconds = share()
        outcome = replace(outcome, prior=prior_key, seconds=seconds, cpu_seconds=cpu_seconds)
        yield from ((one, outcome, hypotheses) for one in trials)
        return
    model, files = trial.settings.language_model, trial.language_model
    title = model.title if model else "no language model"
    with Search(source.alphabet, files) as search:
        seconds, cpu_seconds = share()
        for racer, elimination in decode_in_parts(search, frames, trial.tuned_by, trials):
            hypotheses = racer.in_order()
            decoder = f"beam {racer.trial.settings.decoding.beam_width}, {title}"
            outcome = decoded_outcome(source, name, decoder)
            outcome = scored(outcome, hypotheses, trial) if elimination is None else eliminated(outcome, elimination)
            outcome = replace(
                outcome,
                language_model=files.key if files else "",
                prior=prior_key,
                notes=(*outcome.notes, search.note) if search.note else outcome.notes,
                seconds=seconds + racer.seconds,
                cpu_seconds=cpu_seconds + racer.cpu_seconds,
            )
            yield racer.trial, outcome, hypotheses
