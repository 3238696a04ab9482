"""Ensemble: trained trials combined; nothing is trained.

``needs: {pool: [seeds, baseline#2]}`` names studies, of which every complete trial is a member, single trials, folders
of checkpoints, and imported posteriors. A fusion rule (`trainers.fusion`) makes one system of some of them. Which, and
with what weights, is chosen on dev. What each member has alone under the same decoder and language model is part of
every result: the best of them is what an ensemble has to beat, at a fraction of its cost.

N-best lists and scores of a pool are made once for a study, so that a trial is a product over a table
(`trainers.combining.proposals`).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from search_spaces.errors import FusionError, UserError
from search_spaces.schema import Need, StrategySchema
from trainers.artifacts import Hypothesis, Score
from trainers.combining import choosing
from trainers.combining.bench import SEARCH_SETTINGS, Bench
from trainers.combining.report import EnsembleReport
from trainers.combining.rule import HypothesisRule, WeightRule
from trainers.combining.settings import EnsembleSettings, rule_of, rule_products, rule_sections
from trainers.spec import TrialOutcome
from trainers.store import digest
from trainers.strategy import Strategy, scored
from trainers.trial import Split, Trial

_POINT = {"alpha", "beta"}
_CHOSEN = {
    "forward": "members by forward selection on dev",
    "best": "the best members on dev",
    "all": "the whole pool",
    "given": "weights by rank on dev",
}


class Ensemble(Strategy):
    """Members of a pool, combined by a rule."""

    schema = StrategySchema(
        name="ensemble",
        summary="trained trials combined by any fusion rule, members and weights chosen on dev",
        axes=(
            "ensemble",
            *rule_sections(),
            *(f"decoding.{name}" for name in SEARCH_SETTINGS),
            "language_model.order",
            "language_model.discount_fallback",
        ),
        sections={"ensemble": EnsembleSettings, **rule_sections()},
        needs=(
            Need(
                "pool", "studies whose trials may be members, or single trials as STUDY#N", many=True, every_trial=True
            ),
        ),
        requires=("language_model",),
        trains=False,
        gives=("ensemble.rule", rule_products()),
        fixed={"decoding.method": "beam"},
    )

    def run(self) -> tuple[TrialOutcome, list[Hypothesis]]:
        """Choose members and weights, combine, and score dev."""
        ((_, outcome, hypotheses),) = self.run_all([self.trial])
        return outcome, hypotheses

    def recognise(self, outcome: TrialOutcome, split: Split) -> list[Hypothesis]:
        """What the members say of a split with the weights and the point of the trial."""
        trial, report = self.trial, outcome.ensemble
        assert report is not None  # every outcome of this strategy has one
        shares = {member.name: member.weight for member in report.members}
        with Bench(trial, split, list(shares), outcome.language_model) as bench:
            rule = rule_of(trial.settings)
            if isinstance(rule, WeightRule):
                return bench.decode_checkpoint(outcome.checkpoint, trial.settings.decoding)[1]
            combination = bench.combination(rule, trial.settings)
            return combination.hypotheses(np.array([shares[member.name] for member in combination.members]))

    @classmethod
    def run_all(cls, trials: Sequence[Trial]) -> Iterator[tuple[Trial, TrialOutcome, list[Hypothesis]]]:
        """Combine for several trials; those over the same pool and search share what is in memory."""
        alike: dict[str, list[Trial]] = {}
        for trial in trials:
            alike.setdefault(_shared(trial), []).append(trial)
        for group in alike.values():
            began, cpu_began = time.perf_counter(), time.process_time()
            with Bench(group[0], "dev") as bench:
                for trial in group:
                    outcome, hypotheses = _combine(trial, bench)
                    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
                    began, cpu_began = time.perf_counter(), time.process_time()
                    yield trial, replace(outcome, seconds=seconds, cpu_seconds=cpu_seconds), hypotheses


def _shared(trial: Trial) -> str:
    """Key of all that trials share but for the rule, the members and the weights."""
    sources = [source.key for source in trial.spec.needs["pool"]]
    model, decoding = trial.settings.language_model, trial.settings.decoding
    if decoding.prior_scale:
        raise UserError("decoding.prior_scale: an ensemble does not divide by the priors of its members; leave it at 0")
    return digest([sources, model and model.model_dump(), decoding.model_dump(exclude=_POINT)])


def _combine(trial: Trial, bench: Bench) -> tuple[TrialOutcome, list[Hypothesis]]:
    """One trial: choose, combine, score."""
    rule = rule_of(trial.settings)
    if isinstance(rule, WeightRule):
        return _average(trial, bench, rule)
    settings = trial.settings.section("ensemble", EnsembleSettings)
    combination = bench.combination(rule, trial.settings)
    names = [member.name for member in combination.members]
    alone, selection = _alone(trial, {name: combination.alone(index) for index, name in enumerate(names)})
    order = [names.index(name) for name, _ in alone]

    def errors(points: NDArray[np.float64]) -> NDArray[np.int64]:
        return combination.errors(points, trial.tuned_by)

    match settings.selection:
        case "forward":
            weights = choosing.forward(errors, order, settings.members)
        case "best":
            weights = choosing.best(order, settings.members)
        case "all":
            weights = choosing.best(order, len(order))
        case "given":
            weights = choosing.given(bench.ranks(combination, trial.tuned_by), settings.given)
    if not weights.any():
        raise FusionError(["ensemble.weight_1 to weight_8 leave no member of this pool with a weight above 0"])
    if settings.tune:
        weights = choosing.tuned(errors, weights)
    hypotheses = combination.hypotheses(weights)
    counting = [member for member in combination.weighed(weights) if member.weight > 0]
    counting.sort(key=lambda member: (-member.weight, member.name))
    parts = tuple(bench.part(member.name, member.weight) for member in counting)
    sources = [bench.sources[part.name] for part in parts]
    chosen = _CHOSEN[settings.selection] + (", weights tuned on dev" if settings.tune else "")
    searches = len(parts) if isinstance(rule, HypothesisRule) else 1
    report = EnsembleReport(rule.name, parts, chosen, searches, alone, selection)
    outcome = TrialOutcome(
        decoder=f"{rule.name} of {len(parts)}, {bench.title(trial.settings)}",
        units="+".join(sorted({source.alphabet.units for source in sources})),
        weights=sum(source.weights for source in sources),
        language_model=bench.language_model_key,
        ensemble=report,
        notes=(str(report),),
    )
    return scored(outcome, hypotheses, trial), hypotheses


def _average(trial: Trial, bench: Bench, rule: WeightRule) -> tuple[TrialOutcome, list[Hypothesis]]:
    """One trial of a rule of weights: the best member's run, averaged into a checkpoint of its own."""
    decoding = trial.settings.decoding
    alone, selection = _alone(trial, {name: bench.decode_member(name, decoding) for name in bench.sources})
    best = alone[0][0]
    key, run = bench.average(best, rule, trial.tuned_by)
    source, hypotheses = bench.decode_checkpoint(key, decoding)
    chosen = f"mean of {', '.join(run.training['averaged'])}"
    report = EnsembleReport(rule.name, (bench.part(best, 1.0),), chosen, 1, alone, selection)
    outcome = TrialOutcome(
        decoder=f"{rule.name}, {bench.title(trial.settings)}",
        units=source.alphabet.units,
        weights=source.weights,
        checkpoint=key,
        posteriors=source.posteriors_key("dev"),
        language_model=bench.language_model_key,
        ensemble=report,
        notes=(str(report), *run.training["notes"]),
    )
    return scored(outcome, hypotheses, trial), hypotheses


def _alone(
    trial: Trial, found: Mapping[str, Sequence[Hypothesis]]
) -> tuple[tuple[tuple[str, Score], ...], Score | None]:
    """What members have alone, the best first and of equals the earlier by name, and how the best of them is judged."""
    scores = ((name, trial.tuned_by.score(hypotheses)) for name, hypotheses in found.items())
    ranked = tuple(sorted(scores, key=lambda pair: (pair[1].errors, pair[0])))
    return ranked, trial.judged_by.score(found[ranked[0][0]]) if trial.judged_by else None
