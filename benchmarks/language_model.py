"""Time and memory to estimate, write and load language models of a generated text whose words follow Zipf's law.

Each model is estimated by a process of its own, so that its largest memory is its own; loading is by KenLM.

    python benchmarks/language_model.py --tokens 1000000 --orders 3 4
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from trainers.decoding.beam import load_ngrams
from trainers.decoding.kneser_ney import estimate
from trainers.decoding.texts import read_sentences


def write_text(path: Path, tokens: int, vocabulary: int, length: int = 20) -> None:
    """A text of independent words: nothing to learn, and as many different n-grams as a text can well have."""
    weights = 1 / np.arange(1, vocabulary + 1)
    ids = np.random.default_rng(1).choice(vocabulary, tokens, p=weights / weights.sum())
    words = [f"w{number}" for number in ids.tolist()]
    lines = (" ".join(words[start : start + length]) + "\n" for start in range(0, tokens, length))
    path.write_text("".join(lines), encoding="utf-8")


def measure(text: Path, out: Path, order: int, prune: tuple[int, ...]) -> tuple[float, float, int, float]:
    """Seconds to estimate and to write, n-grams, and the process's largest resident memory in GB."""
    began = time.perf_counter()
    model = estimate(read_sentences([text]), order, discount_fallback=True, prune=prune)
    estimated = time.perf_counter()
    model.write(out)
    written = time.perf_counter()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return estimated - began, written - estimated, sum(map(len, model.orders)), memory


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--vocabulary", type=int, default=50_000)
    parser.add_argument("--orders", type=int, nargs="+", default=[3, 4])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text, out = Path(folder) / "text.txt", Path(folder) / "lm.arpa"
        write_text(text, options.tokens, options.vocabulary)
        print(f"{options.tokens} tokens, {options.vocabulary} words")
        for order in options.orders:
            for prune in ((), (0, 0, 1)[:order]):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    estimated, written, ngrams, memory = pool.apply(measure, (text, out, order, prune))
                began = time.perf_counter()
                load_ngrams(out)
                loaded = time.perf_counter() - began
                name = f"order {order}" + (", pruned " + " ".join(map(str, prune)) if prune else "")
                print(
                    f"{name}: estimated in {estimated:.1f} s, written in {written:.1f} s, {memory:.2f} GB; "
                    f"{ngrams} n-grams, {out.stat().st_size / 1e6:.0f} MB, loaded in {loaded:.1f} s"
                )


if __name__ == "__main__":
    main()
