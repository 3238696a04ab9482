"""Time a decoding sweep of AN4's dev set: the kernel against the loop over points and utterances that one would write.

Posteriors of two small recognisers, of characters and of words (tests/data/an4_posteriors), and AN4's 4-gram, at 30
alphas from 0 to 1.5 by 4 betas at beam 50, and at 30 alphas by beams of 10, 20, 50 and 100. Rivals in one run:

- the loop: pyctcdecode as it comes, built once, its weights reset at every point;
- the kernel, all points in a call and a point a call, what it reads in the posteriors included;
- without the kernel, at 30 of the 120 points, pyctcdecode in our adapter, which leaves out frames that change nothing:
  in one process, and in two, their start included.

The loop and the adapter take turns, ten points at a time. A ratio is the median of its turns'. Times are CPU time on
one core. For two processes it is that of the first, which hands out the work, and the mean of the two; beside it stands
the ratio on the clock, which says less the more the machine has to do.

Texts of the kernel and the loop are compared at every point, texts and scores of kernel, adapter and pool where these
two are run; the latter must be equal. The loop has one fault that we mend: it scores the empty last word, of silence or
behind a last space, as an unknown word. Where its text is not the kernel's, the loop with pyctcdecode's language model
so mended, and all else as it comes, is run on that utterance at that point: its text must be the kernel's, or the run
fails.

    python benchmarks/decoding.py
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from trainers.process import THREADS, set_up

os.environ.update(THREADS)  # before numpy reads them

import kenlm
import numpy as np
from pyctcdecode.alphabet import Alphabet as StockAlphabet
from pyctcdecode.decoder import BeamSearchDecoderCTC
from pyctcdecode.language_model import LanguageModel

from search_spaces.axes.decoding import DecodingSettings, LanguageModelSettings
from search_spaces.axes.features import Units
from trainers.artifacts import Hypothesis, Posteriors
from trainers.data.labels import WORD_START, Alphabet
from trainers.decoding.beam import BeamDecoder, WordModel
from trainers.decoding.kernel import Kernel
from trainers.decoding.language_model import LanguageModelFiles, build_language_model
from trainers.decoding.pool import DecoderPool
from trainers.store import Store

ROOT = Path(__file__).parent.parent
ALPHAS = np.linspace(0, 1.5, 30).tolist()
SWEEPS = {
    "alpha x beta": [(alpha, beta, 50) for alpha in ALPHAS for beta in (0.0, 1.5, 3.0, 4.5)],
    "alpha x beam": [(alpha, 2.0, beam) for alpha in ALPHAS for beam in (10, 20, 50, 100)],
}
SETS: dict[str, tuple[str, Units]] = {"characters": ("char", "char"), "words": ("word_seed2", "word")}
WORKERS = 2
BLOCKS = 12  # of a sweep, each with points from all over it
WITHOUT = 4  # of so many blocks one is decoded without the kernel too
T = TypeVar("T")


def read(name: str, units: Units) -> tuple[Posteriors, Alphabet]:
    """Posteriors of AN4's dev set, and what their columns are."""
    with np.load(ROOT / f"tests/data/an4_posteriors/{name}_dev.npz") as stored:
        mark = WORD_START if units == "word" else ""
        labels = ("", *(mark + str(label) for label in stored["labels"][1:]))
        offsets = np.concatenate([[0], np.cumsum(stored["lengths"])]).astype(np.int64)
        ids = tuple(map(str, range(len(offsets) - 1)))
        return Posteriors(ids, stored["log_probs"].astype(np.float32), offsets, labels), Alphabet(units, labels)


class Loop:
    """What one would write: for every point, for every utterance, ``decoder.decode``."""

    def __init__(
        self, posteriors: Posteriors, alphabet: Alphabet, files: LanguageModelFiles, model: type[LanguageModel]
    ) -> None:
        labels = StockAlphabet(list(alphabet.labels), is_bpe=alphabet.units != "char")
        config = kenlm.Config()
        config.show_progress = False
        config.arpa_complain = kenlm.ARPALoadComplain.NONE
        self._decoder = BeamSearchDecoderCTC(labels, model(kenlm.Model(str(files.arpa), config), files.words))
        self._matrices = [np.asarray(frames, np.float64) for frames in posteriors]

    def __call__(self, points: Sequence[DecodingSettings]) -> list[list[str]]:
        """Texts by point and utterance."""
        return [[self.decode(number, point) for number in range(len(self._matrices))] for point in points]

    def decode(self, number: int, point: DecodingSettings) -> str:
        """The text of one utterance at one point."""
        self._decoder.reset_params(alpha=point.alpha, beta=point.beta)
        text: str = self._decoder.decode(self._matrices[number], beam_width=point.beam_width)
        return text


def timed(clock: Callable[[], float], run: Callable[[], T]) -> tuple[float, T]:
    """Seconds of a clock, and what came of it."""
    began = clock()
    found = run()
    return clock() - began, found


def children_seconds() -> float:
    """CPU time of the processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Rivals:
    """The ways to decode a set at many points."""

    def __init__(self, name: str, units: Units, files: LanguageModelFiles) -> None:
        self.posteriors, self.alphabet = read(name, units)
        self.files = files
        self.loop = Loop(self.posteriors, self.alphabet, files, LanguageModel)
        self.mended = Loop(self.posteriors, self.alphabet, files, WordModel)

    def grid(self, points: Sequence[DecodingSettings]) -> list[list[Hypothesis]]:
        """The kernel, all points in a call."""
        return Kernel(self.alphabet, self.files).decode_points(self.posteriors, points)

    def points(self, points: Sequence[DecodingSettings]) -> list[list[Hypothesis]]:
        """The kernel, a point a call."""
        kernel = Kernel(self.alphabet, self.files)
        return [kernel.decode_set(self.posteriors, point) for point in points]

    def adapter(self, points: Sequence[DecodingSettings]) -> list[list[Hypothesis]]:
        """Our adapter of pyctcdecode, in one process."""
        with BeamDecoder(self.alphabet, self.files) as decoder:
            return decoder.decode_points(self.posteriors, points)

    def pool(self, points: Sequence[DecodingSettings]) -> list[list[Hypothesis]]:
        """Our adapter in two processes."""
        with DecoderPool(self.alphabet, self.files, WORKERS) as pool:
            return pool.decode_points(self.posteriors, points)


def compare(rivals: Rivals, points: Sequence[DecodingSettings], turns: int) -> str:
    """How much faster than the loop the others are, and how its texts differ."""
    ratios: list[dict[str, float]] = []
    few = [number for start in range(0, BLOCKS, WITHOUT) for number in range(start, len(points), BLOCKS)]
    few_points = [points[number] for number in few]
    for _ in range(turns):
        grid, found = timed(time.process_time, lambda: rivals.grid(points))
        alone, by_point = timed(time.process_time, lambda: rivals.points(points))
        texts: dict[DecodingSettings, list[str]] = {}
        seconds = Counter[str]()
        for number in range(BLOCKS):
            block = points[number::BLOCKS]
            clock, (cpu, said) = timed(
                time.perf_counter, partial(timed, time.process_time, partial(rivals.loop, block))
            )
            texts |= zip(block, said, strict=True)
            seconds["all"] += cpu
            if number % WITHOUT == 0:
                one, reference = timed(time.process_time, partial(rivals.adapter, block))
                seconds.update(loop=cpu, one=one, clock=clock)
                if plain(reference) != plain(found[number::BLOCKS]):
                    raise SystemExit("kernel and adapter differ")
        before = children_seconds()
        several, (busy, shared) = timed(
            time.perf_counter, lambda: timed(time.process_time, lambda: rivals.pool(few_points))
        )
        busy += (children_seconds() - before) / WORKERS
        if plain(shared) != plain([found[number] for number in few]):
            raise SystemExit("kernel and pool differ")
        if plain(found) != plain(by_point):
            raise SystemExit("a point alone and among others differ")
        ratios.append(
            {
                "loop": seconds["all"] / len(points),
                "grid": seconds["all"] / grid,
                "points": seconds["all"] / alone,
                "one": seconds["loop"] / seconds["one"],
                "pool": seconds["clock"] / several,
                "busy": seconds["loop"] / busy,
            }
        )
    middle = {name: statistics.median(turn[name] for turn in ratios) for name in ratios[0]}
    differ, of = others([texts[point] for point in points], found, rivals.mended, points)
    return (
        f"loop {middle['loop']:.2f} s a point; kernel {middle['grid']:.0f} times faster for the grid, "
        f"{middle['points']:.0f} point by point; without it {middle['one']:.2f} times in one process, "
        f"{middle['busy']:.2f} in {WORKERS} by CPU time and {middle['pool']:.2f} by the clock; "
        f"{differ} of {of} texts of the loop differ, all by the empty last word"
    )


def plain(found: Sequence[Sequence[Hypothesis]]) -> list[list[tuple[str, float | None, float | None]]]:
    """Texts and scores, without the times that the kernel does not give."""
    return [[(one.text, one.acoustic, one.language) for one in hypotheses] for hypotheses in found]


def others(
    texts: Sequence[Sequence[str]],
    found: Sequence[Sequence[Hypothesis]],
    mended: Loop,
    points: Sequence[DecodingSettings],
) -> tuple[int, int]:
    """How many texts of the loop are not the kernel's, and how many there are.

    Raises:
        SystemExit: One is not the kernel's either where the empty last word is mended.
    """
    differ = 0
    for point, said, hypotheses in zip(points, texts, found, strict=True):
        for number, (text, hypothesis) in enumerate(zip(said, hypotheses, strict=True)):
            if text == hypothesis.text:
                continue
            differ += 1
            if mended.decode(number, point) != hypothesis.text:
                raise SystemExit(f"utterance {number} at {point}: {text!r} where the kernel has {hypothesis.text!r}")
    return differ, sum(map(len, texts))


def main() -> None:
    """Print a line for every set and sweep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    set_up()
    with tempfile.TemporaryDirectory() as folder:
        settings = LanguageModelSettings(text=ROOT / "data/an4/lm/train_text.txt", order=4)
        files = build_language_model(Store(Path(folder)), settings)
        for name, (stored, units) in SETS.items():
            rivals = Rivals(stored, units, files)
            for sweep, grid in SWEEPS.items():
                points = [DecodingSettings(method="beam", alpha=a, beta=b, beam_width=width) for a, b, width in grid]
                print(f"{name}, {sweep}, {len(points)} points: {compare(rivals, points, args.turns)}", flush=True)


if __name__ == "__main__":
    main()
