"""Check the statistics of comparing systems on simulated ones whose truth is known, and time them.

Utterances have 1 + Poisson(5) reference words and a difficulty that all systems share; a system makes Poisson(rate x
difficulty x words) errors, so that its true rate is known. Printed are: how often two equal systems are called
different, how often intervals hold the truth, how often a difference of the detectable size is detected, how far the
best of several trials is from its true rate with and without correction, and the time of 10,000 x 10,000.

    python benchmarks/significance.py
"""

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy reads it

import numpy as np

from trainers.scoring.alignment import Kind, Step
from trainers.scoring.bootstrap import bootstrap_difference, bootstrap_rate
from trainers.scoring.matched_pairs import matched_pairs
from trainers.scoring.power import detectable_difference, difference_error
from trainers.scoring.scorer import find_scorer
from trainers.scoring.selection import measurement_noise, optimism

RATE = 20.0  # percent
RESAMPLES = 1_000


class Population:
    """Utterances, and what systems make of them."""

    def __init__(self, utterances: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.utterances = utterances

    def draw(self) -> None:
        """Another set."""
        self.words = 1 + self.rng.poisson(5, self.utterances)
        self.difficulty = self.rng.gamma(2.0, 0.5, self.utterances)

    def errors(self, rate: float = RATE) -> np.ndarray:
        """Errors of a system with this true rate, (utterances,)."""
        return self.rng.poisson(rate / 100 * self.difficulty * self.words)

    def alignments(self, rate: float = RATE) -> list[list[Step]]:
        """Alignments of a system that gets each word wrong with this rate times the difficulty, at most surely."""
        wrong = [
            self.rng.random(words) < rate / 100 * difficulty
            for words, difficulty in zip(self.words, self.difficulty, strict=True)
        ]
        steps = {False: Step(Kind.CORRECT, "a", "a"), True: Step(Kind.SUBSTITUTION, "a", "b")}
        return [[steps[bool(word)] for word in utterance] for utterance in wrong]


def share(draws: int, happens: Callable[[], bool]) -> float:
    """Percent of draws in which something happens."""
    return 100 * sum(happens() for _ in range(draws)) / draws


def equal_systems(draws: int, utterances: int) -> None:
    """Print how often two equal systems are called different at 5 %."""
    population = Population(utterances, 1)

    def bootstrap() -> bool:
        population.draw()
        one, other = population.errors(), population.errors()
        return bootstrap_difference(one, other, population.words, resamples=RESAMPLES).p < 0.05

    def mapsswe() -> bool:
        population.draw()
        return matched_pairs(population.alignments(), population.alignments()).p < 0.05

    print(f"equal systems called different at 5 %, {draws} draws of {utterances} utterances")
    print(f"  paired bootstrap {share(draws, bootstrap):.1f} %, matched pairs {share(draws, mapsswe):.1f} %")


def coverage(draws: int, utterances: int) -> None:
    """Print how often 95 % intervals hold the truth."""
    population = Population(utterances, 2)

    def rate() -> bool:
        population.draw()
        found = bootstrap_rate(population.errors(), population.words, resamples=RESAMPLES)
        return found.low <= RATE <= found.high

    def difference() -> bool:
        population.draw()
        one, other = population.errors(RATE), population.errors(RATE + 3)
        found = bootstrap_difference(one, other, population.words, resamples=RESAMPLES)
        return found.low <= -3 <= found.high

    def seeds(count: int) -> bool:
        population.draw()
        systems = [
            np.stack([population.errors(rate) for rate in population.rng.normal(mean, 1.7, count)])
            for mean in (RATE, RATE + 3)
        ]
        found = bootstrap_difference(systems[0], systems[1], population.words, resamples=RESAMPLES)
        return found.low <= -3 <= found.high

    def speakers(blocked: bool) -> bool:
        population.draw()
        names = np.repeat(np.arange(utterances // 13 + 1), 13)[:utterances]
        population.difficulty = population.rng.gamma(8.0, 1 / 8, names.max() + 1)[names]
        found = bootstrap_rate(
            population.errors(), population.words, list(map(str, names)) if blocked else None, resamples=RESAMPLES
        )
        return found.low <= RATE <= found.high

    print(f"95 % intervals that hold the truth, {draws} draws of {utterances} utterances")
    print(f"  rate {share(draws, rate):.1f} %, difference {share(draws, difference):.1f} %")
    for size in (utterances, 1_000):
        population = Population(size, 6)
        shares = [f"{share(draws, lambda: seeds(count)):.1f}" for count in (2, 3, 5)]  # noqa: B023
        print(f"  difference of 2, 3, 5 seeds each, which spread by 1.7, {size} utterances: {', '.join(shares)} %")
    population = Population(utterances, 7)
    plain, blocks = share(draws, lambda: speakers(False)), share(draws, lambda: speakers(True))
    count = utterances // 13 + 1
    print(f"  rate where {count} speakers differ: drawing utterances {plain:.1f} %, speakers {blocks:.1f} %")


def power(draws: int, utterances: int) -> None:
    """Print how often a difference of the size called detectable with 80 % is detected."""
    population = Population(utterances, 3)
    population.draw()
    size = detectable_difference(difference_error(population.errors(), population.errors(), population.words))

    def detected() -> bool:
        population.draw()
        one, other = population.errors(RATE - size / 2), population.errors(RATE + size / 2)
        return bootstrap_difference(one, other, population.words, resamples=RESAMPLES).p < 0.05

    print(f"a difference of {size:.2f} points, said to be found in 80 %: found in {share(draws, detected):.1f} %")


def best_of(draws: int, trials: int) -> None:
    """Print how far the best trial's rate on dev is from its true rate, with and without correction."""
    population = Population(1_350, 4)
    naive, corrected = [], []
    for _ in range(draws):
        population.draw()
        truth = population.rng.normal(RATE, 0.5, trials)
        errors = np.stack([population.errors(rate) for rate in truth])
        rates = 100 * errors.sum(axis=1) / population.words.sum()
        best = int(rates.argmin())
        naive.append(rates[best] - truth[best])
        corrected.append(naive[-1] + optimism(list(rates), measurement_noise(errors, population.words)))
    noise = measurement_noise(errors, population.words)
    print(f"best of {trials} trials, {draws} draws, true rates spread by 0.50, noise {noise:.2f} points")
    print(f"  shown less true: {np.mean(naive):+.2f} points, corrected {np.mean(corrected):+.2f}")


def timing(turns: int) -> None:
    """Print the time of bootstrapping 10,000 utterances 10,000 times, and of scoring sets."""
    population = Population(10_000, 5)
    population.draw()
    one, other = population.errors(), population.errors()
    seconds = [_timed(lambda: bootstrap_difference(one, other, population.words)) for _ in range(turns)]
    print(f"paired bootstrap of 10,000 utterances, 10,000 resamples: {np.median(seconds):.2f} s")
    words = np.array(list("abcdefghijklmnopqrst"))
    texts = [" ".join(population.rng.choice(words, size)) for size in population.words]
    changed = [text.replace("a", "b").replace("c d", "c") for text in texts]
    for count in (127, 10_000):
        for name in ("levenshtein-1", "sclite-1", "levenshtein-1/characters"):
            scorer = find_scorer(name)
            seconds = [_timed(lambda: scorer.score_set(texts[:count], changed[:count])) for _ in range(turns)]  # noqa: B023
            print(f"  {name}, {count} utterances: {1000 * np.median(seconds):.1f} ms")


def _timed(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main() -> None:
    """Read the arguments, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1_000)
    parser.add_argument("--utterances", type=int, default=130, help="of a set; AN4's test set has 130")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--turns", type=int, default=5, help="of each timing, whose median is printed")
    args = parser.parse_args()
    equal_systems(args.draws, args.utterances)
    coverage(args.draws, args.utterances)
    power(args.draws, args.utterances)
    best_of(args.draws, args.trials)
    timing(args.turns)


if __name__ == "__main__":
    main()
