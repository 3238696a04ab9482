"""Time the leaderboard of 10,000 trials: ours from the records, against `mlflow.search_runs` and pandas.

Both stores are filled beforehand with the same trials: four studies, a learning rate and a dropout, curves of 14
epochs, the outcome and the errors by utterance of AN4's dev set. Ours reads the records, the errors by utterance that
it looks at, and makes every column, resampling included; the rival calls search_runs and finds each study's lowest
WER. Turn by turn in one process, the imports done. Printed too is what Optuna's own objects take for the same records.

    python benchmarks/leaderboard.py
"""

import argparse
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy reads it
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow
import numpy as np
import optuna
import pandas as pd
from mlflow.store.tracking.dbmodels import models as shown
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session

from orchestrator.home import Home
from orchestrator.leaderboard import leaderboard, looked_at, read_evidence
from orchestrator.promotion import best_of
from orchestrator.sampling import Sampling
from orchestrator.tracking import Tracker
from search_spaces.campaign import Campaign, DataFiles, StudyDefinition
from trainers.artifacts import Hypothesis, Score
from trainers.outcomes import load_errors, write_outcome
from trainers.spec import EpochReport, TrialOutcome

STUDIES = ("baseline", "self_distillation", "attention", "decoding")
EPOCHS = 14
KEPT = 50  # different outcomes in the store, each under many keys
UTTERANCES, WORDS = 127, 6


def outcome(rng: np.random.Generator, errors: int) -> TrialOutcome:
    """What came of a trial."""
    total = UTTERANCES * WORDS
    curve = 100 * errors / total + 60 * np.exp(-np.arange(EPOCHS) / 3)
    epochs = tuple(
        EpochReport(epoch + 1, EPOCHS, 9 / (epoch + 1), float(wer), 0.9, float(rng.random()), 2.0, 4.5)
        for epoch, wer in enumerate(curve)
    )
    return TrialOutcome(
        score=Score(errors, 0, 0, total),
        scorer="levenshtein-1",
        decoder="greedy",
        units="mixed",
        weights=753_236,
        checkpoint="k",
        epochs=epochs,
        best_epoch=EPOCHS,
        seconds=65.0,
        cpu_seconds=63.0,
        computed_on="cpu, fp32",
    )


def keep_outcomes(folder: Path, rng: np.random.Generator) -> list[TrialOutcome]:
    """Write some outcomes with their hypotheses."""
    said = [f"w{number}" for number in range(WORDS)]
    ids = [f"u{number}" for number in range(UTTERANCES)]
    kept = []
    for number in range(KEPT):
        wrong = rng.binomial(WORDS, 0.2, UTTERANCES)
        texts = [" ".join(["x"] * count + said[count:]) for count in wrong]
        hypotheses = [Hypothesis(*pair) for pair in zip(ids, texts, strict=True)]
        place = folder / f"k{number}"
        place.mkdir(parents=True)
        kept.append(outcome(rng, int(wrong.sum())))
        write_outcome(place, kept[-1], hypotheses, dict.fromkeys(ids, " ".join(said)))
        assert load_errors(place).errors.sum() == wrong.sum()
    return kept


def fill_optuna(home: Home, trials: int, kept: list[TrialOutcome], rng: np.random.Generator) -> None:
    """Store the trials as a run would leave them, by rows instead of one by one."""
    sampling = Sampling(home)
    models = optuna.storages._rdb.models
    settings = {"train": {"lr": 0.006, "epochs": EPOCHS, "seed": 1}, "model": {"encoder": "conv", "layers": 6}}
    provenance = {"commit": "0" * 40, "dirty": "no", "data_dev": "1" * 20, "data_train": "2" * 20}
    axes = {
        "train.lr": optuna.distributions.FloatDistribution(1e-3, 1e-2, log=True),
        "model.dropout": optuna.distributions.FloatDistribution(0.0, 0.3),
    }
    described = {name: optuna.distributions.distribution_to_json(axis) for name, axis in axes.items()}
    outcomes = [json.dumps(asdict(one)) for one in kept]
    rows: dict[object, list[dict[str, object]]] = {}
    now = datetime(2026, 1, 1)
    for name in STUDIES:
        study = optuna.create_study(study_name=f"c/{name}", storage=sampling._storage, direction="minimize")
        for key, value in (("strategy", name), ("promoted", 0), ("budget", trials)):
            study.set_user_attr(key, value)
        for number in range(trials // len(STUDIES)):
            trial = len(rows.get(models.TrialModel, ())) + 1
            which = int(rng.integers(KEPT))
            started = {"settings": settings, "key": f"k{which}", "needs": {}, "provenance": provenance}
            noted = {"outcome": outcomes[which], "started": json.dumps(started), "run_id": '"r"', "overrides": "{}"}
            values = {"train.lr": rng.uniform(1e-3, 1e-2), "model.dropout": rng.uniform(0, 0.3)}
            add = rows.setdefault
            add(models.TrialModel, []).append(
                {"trial_id": trial, "number": number, "study_id": study._study_id, "state": "COMPLETE"}
                | {"datetime_start": now, "datetime_complete": now}
            )
            add(models.TrialUserAttributeModel, []).extend(
                {"trial_id": trial, "key": key, "value_json": text} for key, text in noted.items()
            )
            add(models.TrialParamModel, []).extend(
                {"trial_id": trial, "param_name": key, "param_value": value, "distribution_json": described[key]}
                for key, value in values.items()
            )
            add(models.TrialIntermediateValueModel, []).extend(
                {"trial_id": trial, "step": one.epoch, "intermediate_value": one.dev_wer}
                | {"intermediate_value_type": "FINITE"}
                for one in kept[which].epochs
            )
    with sampling._engine.begin() as connection:
        for model, chunk in rows.items():
            connection.execute(insert(model.__table__), chunk)


def fill_mlflow(home: Home, trials: int, kept: list[TrialOutcome], rng: np.random.Generator) -> None:
    """Show as many trials in MLflow: two parameters, five results, four tags each; no curves, which are not read."""
    Tracker(home)  # makes the store
    mlflow.set_tracking_uri(home.tracking_uri)
    experiment = int(mlflow.create_experiment("c"))
    rows: dict[object, list[dict[str, object]]] = {}
    for number in range(trials):
        run = f"{number:032x}"
        one = kept[int(rng.integers(KEPT))]
        rows.setdefault(shown.SqlRun, []).append(
            {"run_uuid": run, "name": f"t{number}", "experiment_id": experiment, "lifecycle_stage": "active"}
            | {
                "status": "FINISHED",
                "source_type": "LOCAL",
                "start_time": 1,
                "end_time": 2,
                "artifact_uri": "a",
                "user_id": "u",
            }
        )
        metrics = {"dev_wer": one.score.wer if one.score else 0.0, "errors": 1.0, "weights": 2.0, "seconds": 65.0}
        params = {"train.lr": str(rng.random()), "model.dropout": str(rng.random())}
        tags = {"study": STUDIES[number % len(STUDIES)], "strategy": "s", "state": "complete", "key": run}
        rows.setdefault(shown.SqlLatestMetric, []).extend(
            {"key": key, "value": value, "timestamp": 1, "step": 0, "is_nan": False, "run_uuid": run}
            for key, value in metrics.items()
        )
        rows.setdefault(shown.SqlParam, []).extend(
            {"key": key, "value": value, "run_uuid": run} for key, value in params.items()
        )
        rows.setdefault(shown.SqlTag, []).extend(
            {"key": key, "value": value, "run_uuid": run} for key, value in tags.items()
        )
    with Session(create_engine(home.tracking_uri)) as session:
        for model, chunk in rows.items():
            session.execute(insert(model.__table__), chunk)
        session.commit()


def ours(home: Home, campaign: Campaign) -> pd.DataFrame:
    """The leaderboard as the command makes it."""
    studies = Sampling(home).records("c", looked_at)
    evidence = read_evidence(studies, home.store / "outcomes")
    return leaderboard(studies, best_of(studies), campaign, evidence)


def rival() -> pd.DataFrame:
    """The lowest WER of each study, as one would write it."""
    runs = mlflow.search_runs(experiment_names=["c"], max_results=100_000)
    return runs.loc[runs.groupby("tags.study")["metrics.dev_wer"].idxmin()].sort_values("metrics.dev_wer")


def timed(step: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    began, cpu = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - began, time.process_time() - cpu


def main() -> None:
    """Fill the stores, print the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--turns", type=int, default=5)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ORCHESTRATOR_HOME"] = folder
        home = Home.here()
        kept = keep_outcomes(home.store / "outcomes", rng)
        fill_optuna(home, args.trials, kept, rng)
        fill_mlflow(home, args.trials, kept, rng)
        definitions = {name: StudyDefinition(name, name) for name in STUDIES}
        campaign = Campaign("c", Path("c.yaml"), DataFiles(Path("a"), Path("b")), {}, definitions, STUDIES[0])
        steps: dict[str, Callable[[], object]] = {
            "leaderboard": lambda: ours(home, campaign),
            "  of that, reading records": lambda: Sampling(home).records("c", looked_at),
            "all records whole": lambda: Sampling(home).records("c"),
            "search_runs and pandas": rival,
            "records by Optuna's objects": lambda: [
                Sampling(home).load("c", name).record() for name in Sampling(home).names("c")
            ],
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
        for turn in range(args.turns):
            for name, step in steps.items():
                if turn == 0 or "Optuna" not in name:
                    times[name].append(timed(step))
        assert len(ours(home, campaign)) == len(rival()) == len(STUDIES)
        for name, seconds in times.items():
            wall, cpu = (statistics.median(values) for values in zip(*seconds, strict=True))
            print(f"{name}, {args.trials:,} trials: {wall:.2f} s, {cpu:.2f} s of CPU")


if __name__ == "__main__":
    main()
