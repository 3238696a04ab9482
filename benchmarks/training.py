"""Time an epoch of training against the network alone, and a distillation epoch against a baseline epoch.

1. An epoch of the loop on AN4 (masks, batches, schedule, clipping, dev and saving included) against bare forward and
   backward of the same batches, made beforehand.
2. A self-distillation epoch, whose teacher's posteriors lie in the store, against a baseline epoch; and the same with
   the teacher run at every step, and with its 8 best label sequences.

Rivals take turns in one run, so that another load on the machine meets all of them; medians are printed.

    python benchmarks/training.py
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trainers.process import THREADS, set_up

os.environ.update(THREADS)  # before torch reads them

import numpy as np
import torch

from search_spaces.axes.settings import overlay
from trainers.checkpoint import load_checkpoint
from trainers.data.batches import Batch, make_batch, plan_epoch
from trainers.data.labels import Alphabet
from trainers.data.sets import encode_targets
from trainers.losses.ctc import ctc_loss
from trainers.model.build import build_network
from trainers.pipeline import resolve_settings, run_trial
from trainers.spec import Ingredient, TrialSpec
from trainers.store import Store
from trainers.teaching.frames import TeacherFrames
from trainers.trial import Trial

ROOT = Path(__file__).parent.parent
SETTINGS = {"units": "mixed", "train": {"epochs": 1, "lr": 6e-3, "batch_frames": 2400}}


def spec_of(strategy: str, seed: int, level: str = "frame", **needs: tuple[Ingredient, ...]) -> TrialSpec:
    """A trial of one epoch; another seed is another trial, so that nothing comes from the store."""
    tree = overlay(SETTINGS, {"train.seed": seed, "distillation.level": level})
    data = ROOT / "data" / "an4"
    return TrialSpec("benchmark", strategy, 0, strategy, tree, data / "train.jsonl", data / "dev.jsonl", needs=needs)


def bare(trial: Trial) -> Callable[[], float]:
    """Forward and backward of an epoch's batches, and nothing else; seconds."""
    alphabet = Alphabet.of("mixed", trial.train.references)
    features = trial.train.features
    network = build_network(trial.settings.model, features.dimensions, len(alphabet))
    targets = encode_targets(trial.train, alphabet, network.output_lengths)
    plan = plan_epoch(features.lengths, trial.settings.train.batch_frames, np.random.default_rng(1))
    batches = [make_batch(features, indices, targets) for indices in plan]

    def run() -> float:
        began = time.perf_counter()
        for batch in batches:
            network.zero_grad(set_to_none=True)
            ctc_loss(*network(batch.features, batch.lengths), batch.targets, batch.target_lengths).backward()
        return time.perf_counter() - began

    return run


@contextmanager
def run_at_every_step(teacher: Ingredient) -> Iterator[None]:
    """Let teachers read each batch anew, instead of what is kept of them."""
    network = load_checkpoint(teacher.folder).network()
    kept = TeacherFrames.__call__

    def read(self: TeacherFrames, batch: Batch, lengths: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            log_probs, _ = network(batch.features, batch.lengths)
        return log_probs

    TeacherFrames.__call__ = read  # type: ignore[method-assign]
    try:
        yield
    finally:
        TeacherFrames.__call__ = kept  # type: ignore[method-assign]


def padding(trial: Trial) -> float:
    """Share of a shuffled epoch's frames that is padding."""
    lengths = trial.train.features.lengths
    plan = plan_epoch(lengths, trial.settings.train.batch_frames, np.random.default_rng(1))
    return float(1 - lengths.sum() / sum(lengths[batch].max() * len(batch) for batch in plan))


def main() -> None:
    """Print the medians and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    args = parser.parse_args()
    set_up()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        teacher = run_trial(spec_of("baseline", 10_000), store, lambda report: True)
        source = Ingredient("teacher", store.path("checkpoints", teacher.checkpoint), teacher.checkpoint, 0)
        spec = spec_of("baseline", 0)
        trial = Trial(spec, resolve_settings(dict(spec.settings)), store, lambda report: True)
        alone = bare(trial)

        def epoch(strategy: str, seed: int, level: str = "frame", **needs: tuple[Ingredient, ...]) -> float:
            return run_trial(spec_of(strategy, seed, level, **needs), store, lambda report: True).seconds

        # the teacher reads the training set once, and is searched once
        epoch("self_distillation", 9_999, teacher=(source,))
        epoch("self_distillation", 9_999, "sequence", teacher=(source,))
        rivals = ("bare", "baseline", "self_distillation", "teacher at every step", "its 8 best sequences")
        times: dict[str, list[float]] = {name: [] for name in rivals}
        for turn in range(args.turns):
            times["bare"].append(alone())
            times["baseline"].append(epoch("baseline", turn))
            times["self_distillation"].append(epoch("self_distillation", turn, teacher=(source,)))
            with run_at_every_step(source):
                times["teacher at every step"].append(epoch("self_distillation", 5_000 + turn, teacher=(source,)))
            times["its 8 best sequences"].append(epoch("self_distillation", turn, "sequence", teacher=(source,)))
        median = {name: statistics.median(values) for name, values in times.items()}
        print(f"padding: {100 * padding(trial):.1f} % of the frames of a shuffled epoch")
        for name, seconds in median.items():
            print(f"{name}: {seconds:.2f} s")
        print(f"baseline epoch / bare forward and backward: {median['baseline'] / median['bare']:.2f}")
        print(f"distillation epoch / baseline epoch: {median['self_distillation'] / median['baseline']:.2f}")
        print(f"with the teacher at every step: {median['teacher at every step'] / median['baseline']:.2f}")
        print(f"with its 8 best sequences: {median['its 8 best sequences'] / median['baseline']:.2f}")


if __name__ == "__main__":
    main()
