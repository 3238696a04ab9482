"""Race the points of decoding sweeps of AN4's dev set: how much is decoded, and whether the best point is ever stopped.

Posteriors of two small recognisers (tests/data/an4_posteriors), AN4's 4-gram, and the sweeps of
`benchmarks/decoding.py`. Every point is decoded in full once; a race is then a matter of counting. In each of many
shuffles of utterances and points, a point races against the best complete one before it, and is looked at after every
sixteenth of the set. Rivals: our rule (`trainers.scoring.race`), the same with nothing added for what is unseen, and
the test of Optuna's WilcoxonPruner. Printed are the share of utterances that is decoded, how often the best point of
the sweep was lost, how many of the stopped points were no worse than their rival, and, as the hardest case, how often
the best point is stopped by one that makes as many errors or one more, in the mean of such pairs and in the worst.
Before that, how often one of two made-up systems with the same errors on the whole set is stopped.

    python benchmarks/racing.py
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from trainers.process import THREADS, set_up

os.environ.update(THREADS)  # before numpy reads them

import numpy as np
from decoding import ROOT, SETS, SWEEPS, read
from scipy.stats import norm

from search_spaces.axes.decoding import DecodingSettings, LanguageModelSettings
from trainers.data.manifest import read_manifest
from trainers.decoding.kernel import Kernel
from trainers.decoding.language_model import LanguageModelFiles, build_language_model
from trainers.racing import PARTS
from trainers.scoring.race import UNSEEN, Deficit
from trainers.scoring.scorer import PLAIN
from trainers.store import Store

Rule = Callable[[np.ndarray, list[int]], int | None]
"""From the differences of errors in order, and where one looks, to where the point is stopped."""

PAIRS = 8


def errors_of(name: str, sweep: str, files: LanguageModelFiles) -> np.ndarray:
    """Errors of every point in every utterance, (points, utterances)."""
    posteriors, alphabet = read(name, dict(SETS.values())[name])
    points = [DecodingSettings(method="beam", alpha=a, beta=b, beam_width=width) for a, b, width in SWEEPS[sweep]]
    found = Kernel(alphabet, files).decode_points(posteriors, points)
    references = [utterance.text for utterance in read_manifest(ROOT / "data/an4/dev.jsonl")]
    return np.array(
        [[PLAIN.score(said, one.text).errors for said, one in zip(references, texts, strict=True)] for texts in found]
    )


def ours(level: float, unseen: float = UNSEEN) -> Rule:
    """Our rule."""

    def stop(differences: np.ndarray, looks: list[int]) -> int | None:
        sums, squares = differences.cumsum(), (differences**2).cumsum()
        seen = ((look, Deficit(look, int(sums[look - 1]), int(squares[look - 1]))) for look in looks)
        return next((look for look, deficit in seen if deficit.lost(len(differences), level, unseen)), None)

    return stop


def wilcoxon(threshold: float) -> Rule:
    """The test of Optuna's WilcoxonPruner."""

    def stop(differences: np.ndarray, looks: list[int]) -> int | None:
        seen = zip(looks, signed_ranks(differences, looks), strict=True)
        return next((look for look, p in seen if p < threshold), None)

    return stop


def signed_ranks(differences: np.ndarray, looks: list[int]) -> list[float]:
    """``scipy.stats.wilcoxon(..., alternative="greater", zero_method="zsplit").pvalue`` at every look, all at once.

    By the normal law, as scipy's where there are ties; 1 where the sum of the differences is not above zero.
    """
    at = np.array(looks)
    sizes = np.eye(1 + np.abs(differences).max(), dtype=int)[np.abs(differences)]
    positive = (sizes * (differences > 0)[:, None]).cumsum(axis=0)[at - 1]
    sizes = sizes.cumsum(axis=0)[at - 1]
    ranks = sizes.cumsum(axis=1) - (sizes - 1) / 2
    total = (positive * ranks).sum(axis=1) + sizes[:, 0] * ranks[:, 0] / 2
    variance = (at * (at + 1) * (2 * at + 1) - (sizes**3 - sizes).sum(axis=1) / 2) / 24
    z = (total - at * (at + 1) / 4) / np.sqrt(np.maximum(variance, 1e-9))
    return np.where(differences.cumsum()[at - 1] > 0, norm.sf(z), 1.0).tolist()


RULES: dict[str, Rule] = {
    "ours, level .01": ours(0.01),
    "ours, level .05": ours(0.05),
    "ours, level .01, nothing unseen": ours(0.01, 0.0),
    "Wilcoxon, p < .1": wilcoxon(0.1),
    "Wilcoxon, p < .05": wilcoxon(0.05),
    "Wilcoxon, p < .02": wilcoxon(0.02),
}


def looks_of(utterances: int) -> list[int]:
    """After how many utterances one looks."""
    return np.cumsum([len(part) for part in np.array_split(np.arange(utterances), PARTS)]).tolist()[:-1]


def race_all(errors: np.ndarray, rule: Rule, shuffles: int, seed: int) -> str:
    """Race all points of a sweep, many times."""
    rng = np.random.default_rng(seed)
    totals, looks = errors.sum(axis=1), looks_of(errors.shape[1])
    decoded, stopped, wrong, lost = 0, 0, 0, 0
    for _ in range(shuffles):
        shuffled = errors[:, rng.permutation(errors.shape[1])]
        first, *others = rng.permutation(len(errors)).tolist()
        rival, decoded = first, decoded + errors.shape[1]
        for point in others:
            end = rule(shuffled[point] - shuffled[rival], looks)
            decoded += end or errors.shape[1]
            if end is not None:
                stopped, wrong = stopped + 1, wrong + int(totals[point] <= totals[rival])
            elif totals[point] < totals[rival]:
                rival = point
        lost += int(totals[rival] > totals.min())
    share, ended = 100 * decoded / errors.size / shuffles, 100 * stopped / shuffles / len(errors)
    return (
        f"decoded {share:.1f} %, stopped {ended:.0f} %, of these no worse {100 * wrong / max(stopped, 1):.2f} %; "
        f"best lost in {lost} of {shuffles}"
    )


def race_closest(errors: np.ndarray, rule: Rule, shuffles: int, seed: int) -> str:
    """Race the best point against those that make at most one error more."""
    rng = np.random.default_rng(seed)
    totals, looks = errors.sum(axis=1), looks_of(errors.shape[1])
    best = int(totals.argmin())
    near = [n for n in np.flatnonzero(totals <= totals[best] + 1) if (errors[n] != errors[best]).any()]
    shares = [
        100 * np.mean([rule(rng.permutation(errors[best] - errors[n]), looks) is not None for _ in range(shuffles)])
        for n in near[:PAIRS]
    ]
    return f"hardest pairs {np.mean(shares):.2f} %, worst {max(shares):.2f} %" if shares else "no hard pairs"


def race_equals(rule: Rule, shuffles: int, differing: int, utterances: int = 300) -> float:
    """Percent of shuffles in which one of two systems with the same errors on the whole set is stopped.

    In half of the `differing` utterances the one makes an error more, in the other half the other.
    """
    differences = np.repeat([1, -1, 0], [differing // 2, differing // 2, utterances - 2 * (differing // 2)])
    rng, looks = np.random.default_rng(3), looks_of(utterances)
    return 100 * float(np.mean([rule(rng.permutation(differences), looks) is not None for _ in range(shuffles)]))


def main() -> None:
    """Print a line for every rule, and one for every sweep and rule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shuffles", type=int, default=400)
    args = parser.parse_args()
    set_up()
    print("two equal systems that differ in 10, 30, 100 or 200 of 300 utterances: one of them is stopped in")
    for title, rule in RULES.items():
        shares = [f"{race_equals(rule, 5 * args.shuffles, differing):.1f}" for differing in (10, 30, 100, 200)]
        print(f"  {title}: {', '.join(shares)} %", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = LanguageModelSettings(text=ROOT / "data/an4/lm/train_text.txt", order=4)
        files = build_language_model(Store(Path(folder)), settings)
        for name, _ in SETS.values():
            for sweep in SWEEPS:
                errors = errors_of(name, sweep, files)
                print(f"{name}, {sweep}: {len(errors)} points, the best has {errors.sum(axis=1).min()} errors")
                for title, rule in RULES.items():
                    found = race_all(errors, rule, args.shuffles, 1), race_closest(errors, rule, args.shuffles, 2)
                    print(f"  {title}: {'; '.join(found)}", flush=True)


if __name__ == "__main__":
    main()
