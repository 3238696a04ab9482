"""Our words for samplers, pruners and axes, in Optuna's."""

import optuna

from orchestrator.sampling.point import Point
from search_spaces.campaign import PrunerSettings, SamplerSettings
from search_spaces.space import Axis, Float, Int, Space


def enqueue(study: optuna.Study, point: Point) -> None:
    """Put a point at the end of a study's queue."""
    beside = {} if point.repeats is None else {"repeats": point.repeats}
    study.enqueue_trial(dict(point.params), user_attrs={"overrides": dict(point.overrides), **beside})


def suggest(trial: optuna.Trial, axis: Axis) -> None:
    """Let a trial have a value on an axis."""
    match axis.range:
        case Float(low, high, log, step):
            trial.suggest_float(axis.name, low, high, log=log, step=step)
        case Int(low, high, log, step):
            trial.suggest_int(axis.name, low, high, log=log, step=step)
        case categorical:
            trial.suggest_categorical(axis.name, categorical.choices)


def choose_sampler(settings: SamplerSettings, space: Space, seed: int) -> optuna.samplers.BaseSampler:
    """A sampler of its own for every claim: its choice depends on the finished trials and the seed alone."""
    samplers = optuna.samplers
    match settings.kind:
        case "tpe":
            return samplers.TPESampler(
                seed=seed, n_startup_trials=settings.startup, multivariate=True, group=space.conditional
            )
        case "gp":
            return samplers.GPSampler(seed=seed, n_startup_trials=settings.startup)
        case "cmaes":
            return samplers.CmaEsSampler(seed=seed, n_startup_trials=settings.startup, warn_independent_sampling=False)
        case "random" | "grid":  # a grid waits in the queue, all of it
            return samplers.RandomSampler(seed=seed)


def choose_pruner(settings: PrunerSettings, epochs: int) -> optuna.pruners.BasePruner:
    """A pruner for trials of so many epochs."""
    match settings.kind:
        case "median":
            return optuna.pruners.MedianPruner(settings.startup, settings.warmup)
        case "hyperband":
            return optuna.pruners.HyperbandPruner(1, epochs, settings.reduction)
        case "race" | "none":  # a race is run in the trial's own process
            return optuna.pruners.NopPruner()
