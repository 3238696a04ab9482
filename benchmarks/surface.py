"""What to promote after a decoding sweep: the point of the lowest WER, or the middle of those within noise of it?

AN4's dev set is parted in halves again and again: a sweep chooses on one half, and what it chose is scored on the
other. Points are drawn at random, or by TPE, or the whole grid of 26 alphas from 0 to 2.5 by 21 betas from -2 to 8 is
searched, with the 4-gram and a beam of 50, over posteriors of characters and of words (tests/data/an4_posteriors).
Printed is what the lowest point has where it was chosen, and by how much that flatters it: what it has more on the
other half, less what the best point of the whole set has more there, since one half is harder than the other. Then by
how much the middle's WER is above the lowest point's (below, where it is negative) on the half that chose and on the
other, with its standard deviation over the partings, for flat regions of several widths.

    python benchmarks/surface.py
"""

import argparse
import os
import tempfile
from pathlib import Path

from trainers.process import THREADS, set_up

os.environ.update(THREADS)  # before numpy reads them

import numpy as np
import optuna
from decoding import ROOT, SETS, read
from numpy.typing import NDArray

from orchestrator import surface
from orchestrator.record import TrialRecord, TrialState
from search_spaces.axes.decoding import DecodingSettings, LanguageModelSettings
from search_spaces.space import Axis, Float, Space
from trainers.artifacts import Score
from trainers.data.manifest import read_manifest
from trainers.decoding.kernel import Kernel
from trainers.decoding.language_model import LanguageModelFiles, build_language_model
from trainers.outcomes import UtteranceErrors
from trainers.scoring.scorer import PLAIN
from trainers.spec import TrialOutcome
from trainers.store import Store

ALPHAS, BETAS = np.linspace(0, 2.5, 26), np.linspace(-2, 8, 21)
GRID = [(float(alpha), float(beta)) for alpha in ALPHAS for beta in BETAS]
SPACE = Space((Axis("decoding.alpha", Float(0.0, 2.5)), Axis("decoding.beta", Float(-2.0, 8.0))))
NOISES = (0.5, 1.0, 2.0, 3.0)  # standard errors

Counts = NDArray[np.int64]


def decode(name: str, files: LanguageModelFiles) -> tuple[Counts, Counts]:
    """Errors of every point of the grid in each utterance, and the utterances' words."""
    posteriors, alphabet = read(*SETS[name])
    references = [utterance.text for utterance in read_manifest(ROOT / "data/an4/dev.jsonl")]
    points = [DecodingSettings(method="beam", alpha=alpha, beta=beta, beam_width=50) for alpha, beta in GRID]
    found = Kernel(alphabet, files).decode_points(posteriors, points)
    scores = [
        [PLAIN.score(*pair).errors for pair in zip(references, (one.text for one in row), strict=True)] for row in found
    ]
    return np.array(scores), np.array([len(text.split()) for text in references])


def tpe(rates: NDArray[np.float64], count: int, seed: int) -> list[int]:
    """So many points that TPE asks for, each moved to the nearest of the grid."""
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=8, multivariate=True))
    asked = []
    for _ in range(count):
        trial = study.ask()
        alpha, beta = trial.suggest_float("alpha", *ALPHAS[[0, -1]]), trial.suggest_float("beta", *BETAS[[0, -1]])
        asked.append(int(np.abs(ALPHAS - alpha).argmin() * len(BETAS) + np.abs(BETAS - beta).argmin()))
        study.tell(trial, rates[asked[-1]])
    return asked


def choose(errors: Counts, words: Counts, points: list[int], noise: float) -> int:
    """The middle of the flat region among some points of the grid; with no noise the lowest of them."""
    trials = [
        TrialRecord(
            "an4",
            "decoding",
            "decoding",
            number,
            TrialState.COMPLETE,
            dict(zip(SPACE.names, GRID[point], strict=True)),
            outcome=TrialOutcome(score=Score(int(errors[point].sum()), 0, 0, int(words.sum()))),
        )
        for number, point in enumerate(points)
    ]
    ids = tuple(map(str, range(len(words))))
    surface.NOISE = noise
    found = surface.find_surface(SPACE, trials, lambda trial: UtteranceErrors(ids, errors[points[trial.number]], words))
    assert found is not None
    return points[(found.middle if noise else found.best).number]


def compare(name: str, sampler: str, errors: Counts, words: Counts, partings: int, count: int) -> None:
    """Print a line for the lowest point, and one for every width of the flat region."""
    rng = np.random.default_rng(1)
    fixed = errors.sum(axis=1).argmin()
    ends: list[tuple[float, float]] = []
    gained: dict[float, list[tuple[float, float]]] = {noise: [] for noise in NOISES}
    for parting in range(partings):
        order = rng.permutation(len(words))
        one, other = order[: len(words) // 2], order[len(words) // 2 :]
        here, there = (100 * errors[:, half].sum(axis=1) / words[half].sum() for half in (one, other))
        match sampler:
            case "random":
                points = rng.choice(len(GRID), count, replace=False).tolist()
            case "tpe":
                points = tpe(here, count, parting)
            case _:
                points = list(range(len(GRID)))
        lowest = choose(errors[:, one], words[one], points, 0.0)
        more = there - here
        ends.append((here[lowest], more[lowest] - more[fixed]))
        for noise in NOISES:
            middle = choose(errors[:, one], words[one], points, noise)
            gained[noise].append((here[middle] - here[lowest], there[middle] - there[lowest]))
    chosen, flattered = np.array(ends).T
    print(
        f"{name}, {sampler}: the lowest of {len(points)} points has {chosen.mean():.2f} % where it was chosen, which "
        f"flatters it by {flattered.mean():.2f} points (sd {flattered.std():.2f})"
    )
    for noise, pairs in gained.items():
        chosen, held = np.array(pairs).T
        print(
            f"{name}, {sampler}, {noise:g} standard errors: {chosen.mean():+.2f} points where it was chosen, "
            f"{held.mean():+.2f} (sd {held.std():.2f}) on the other half; better in {100 * (held < 0).mean():.0f} %, "
            f"worse in {100 * (held > 0).mean():.0f} % of {partings}"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partings", type=int, default=100)
    parser.add_argument("--points", type=int, default=60, help="of a sweep that is no grid")
    args = parser.parse_args()
    set_up()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        settings = LanguageModelSettings(text=ROOT / "data/an4/lm/train_text.txt", order=4)
        files = build_language_model(Store(Path(folder)), settings)
        for name in SETS:
            errors, words = decode(name, files)
            for sampler in ("random", "tpe", "grid"):
                compare(name, sampler, errors, words, args.partings, args.points)


if __name__ == "__main__":
    main()
