"""Time a decoding sweep of AN4's dev set: the kernel against the loop over points and utterances that one would write.

Posteriors of two small recognisers, of characters and of words (tests/data/an4_posteriors), and AN4's 4-gram, at 30
alphas from 0 to 1.5 by 4 betas at beam 50, and at 30 alphas by beams of 10, 20, 50 and 100. Rivals: pyctcdecode as it
comes, built once, its weights reset at every point; our adapter, which leaves out frames that change nothing; the
kernel, all points in a call and a point a call. CPU time on one core in one run. The loops take most of a second a
point, so both are timed at every tenth point; there the kernel's texts are compared with the adapter's.

    python benchmarks/decoding.py
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from trainers.process import THREADS, set_up

os.environ.update(THREADS)  # before numpy reads them

import kenlm
import numpy as np
from pyctcdecode.alphabet import Alphabet as StockAlphabet
from pyctcdecode.decoder import BeamSearchDecoderCTC
from pyctcdecode.language_model import LanguageModel

from search_spaces.axes.decoding import DecodingSettings, LanguageModelSettings
from search_spaces.axes.features import Units
from trainers.artifacts import Posteriors
from trainers.data.labels import WORD_START, Alphabet
from trainers.decoding.beam import BeamDecoder
from trainers.decoding.kernel import Kernel
from trainers.decoding.language_model import LanguageModelFiles, build_language_model
from trainers.store import Store

ROOT = Path(__file__).parent.parent
ALPHAS = np.linspace(0, 1.5, 30).tolist()
SWEEPS = {
    "alpha x beta": [(alpha, beta, 50) for alpha in ALPHAS for beta in (0.0, 1.5, 3.0, 4.5)],
    "alpha x beam": [(alpha, 2.0, beam) for alpha in ALPHAS for beam in (10, 20, 50, 100)],
}
SETS: dict[str, tuple[str, Units]] = {"characters": ("char", "char"), "words": ("word_seed2", "word")}


def read(name: str, units: Units) -> tuple[Posteriors, Alphabet]:
    """Posteriors of AN4's dev set, and what their columns are."""
    with np.load(ROOT / f"tests/data/an4_posteriors/{name}_dev.npz") as stored:
        mark = WORD_START if units == "word" else ""
        labels = ("", *(mark + str(label) for label in stored["labels"][1:]))
        offsets = np.concatenate([[0], np.cumsum(stored["lengths"])]).astype(np.int64)
        ids = tuple(map(str, range(len(offsets) - 1)))
        return Posteriors(ids, stored["log_probs"].astype(np.float32), offsets, labels), Alphabet(units, labels)


def stock(posteriors: Posteriors, alphabet: Alphabet, files: LanguageModelFiles) -> Callable[..., float]:
    """The plain loop; CPU seconds a point."""
    model = LanguageModel(kenlm.Model(str(files.arpa)), files.words)
    decoder = BeamSearchDecoderCTC(StockAlphabet(list(alphabet.labels), is_bpe=alphabet.units != "char"), model)
    matrices = [np.asarray(frames, np.float64) for frames in posteriors]

    def run(points: Sequence[DecodingSettings]) -> float:
        began = time.process_time()
        for one in points:
            decoder.reset_params(alpha=one.alpha, beta=one.beta)
            for matrix in matrices:
                decoder.decode(matrix, beam_width=one.beam_width)
        return (time.process_time() - began) / len(points)

    return run


def compare(name: str, units: Units, files: LanguageModelFiles, turns: int) -> None:
    """Print the ratios for one set of posteriors."""
    posteriors, alphabet = read(name, units)
    loop = stock(posteriors, alphabet, files)
    for sweep, grid in SWEEPS.items():
        points = [DecodingSettings(method="beam", alpha=a, beta=b, beam_width=width) for a, b, width in grid]
        few = points[:: len(points) // 12]
        times: dict[str, list[float]] = {"loop": [], "adapter": [], "grid": [], "points": []}
        found: list[list[str]] = []
        wanted: list[list[str]] = []
        for _ in range(turns):
            times["loop"].append(loop(few))
            began = time.process_time()
            with BeamDecoder(alphabet, files) as adapter:
                sets = [adapter.decode_set(posteriors, one) for one in few]
            times["adapter"].append((time.process_time() - began) / len(few))
            wanted = [[one.text for one in hypotheses] for hypotheses in sets]
            began = time.process_time()
            every = Kernel(alphabet, files).decode_points(posteriors, points)
            times["grid"].append((time.process_time() - began) / len(points))
            found = [[one.text for one in hypotheses] for hypotheses in every]
            began = time.process_time()
            kernel = Kernel(alphabet, files)
            alone = [kernel.decode_set(posteriors, one) for one in points]
            times["points"].append((time.process_time() - began) / len(points))
            if alone != every:
                raise SystemExit("a point alone and among others differ")
        if found[:: len(points) // 12] != wanted:
            raise SystemExit("the kernel's texts are not the adapter's")
        median = {rival: statistics.median(values) for rival, values in times.items()}
        ratios = {rival: median["loop"] / median[rival] for rival in ("grid", "points", "adapter")}
        print(
            f"{name}, {sweep}, {len(points)} points: loop {median['loop']:.2f} s a point; kernel {ratios['grid']:.0f} "
            f"times faster for the grid, {ratios['points']:.0f} point by point; adapter {ratios['adapter']:.1f}"
        )


def main() -> None:
    """Print a line for every set and sweep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    set_up()
    with tempfile.TemporaryDirectory() as folder:
        settings = LanguageModelSettings(text=ROOT / "data/an4/lm/train_text.txt", order=4)
        files = build_language_model(Store(Path(folder)), settings)
        for name, units in SETS.values():
            compare(name, units, files, args.turns)


if __name__ == "__main__":
    main()
