"""Time the rescoring of an ensemble, and measure every fusion rule on AN4's dev set.

Members are three small recognisers of AN4, one of characters and two of words (tests/data/an4_posteriors), with AN4's
4-gram. Timed are exact CTC likelihoods of 50 pooled hypotheses of each of 127 utterances under four members (the fourth
is that of characters, flattened), writing the hypotheses in labels included: ours against a loop of torch's ctc_loss,
turn by turn in one process, on one core. Their values are compared, and a sweep over weights is timed.

Then word errors of 710: of each member, of the two of words, and of all three; at given weights of language model and
words, and at the best of a grid, which is chosen on dev and so flatters all of them alike.

    python benchmarks/fusion.py
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from trainers.process import THREADS, set_up

os.environ.update(THREADS)  # before numpy reads them

import numpy as np
import torch
from decoding import ROOT, read

from search_spaces.axes.decoding import DecodingSettings, LanguageModelSettings
from search_spaces.axes.features import Units
from trainers.artifacts import Hypothesis
from trainers.combining.evidence import Evidence
from trainers.combining.members import Member, Pool
from trainers.combining.rule import HypothesisRule, PosteriorRule, RescoringSettings
from trainers.data.manifest import read_manifest
from trainers.decoding.adjust import adjust_set
from trainers.decoding.beam import BeamDecoder
from trainers.decoding.greedy import greedy_set
from trainers.decoding.language_model import LanguageModelFiles, build_language_model
from trainers.decoding.searching import search_set
from trainers.decoding.text_scores import TextScorer
from trainers.fusion import find_rule, rule_names
from trainers.scoring.references import References
from trainers.scoring.scorer import PLAIN
from trainers.store import Store

SETS: dict[str, Units] = {"char": "char", "word_seed2": "word", "word_seed3": "word"}
SEARCH = DecodingSettings(method="beam", alpha=0.5, beta=1.5, beam_width=100)
WIDE = SEARCH.model_copy(update={"token_min_logp": -9.0, "beam_prune_logp": -30.0})
GRID = list(product(np.linspace(0, 2, 21).tolist(), np.linspace(0, 6, 13).tolist()))
HYPOTHESES, POINTS = 50, 1000


def n_best(member: Member, files: LanguageModelFiles, settings: DecodingSettings, count: int) -> Member:
    """A member with its hypotheses."""
    posteriors = member.posteriors
    with BeamDecoder(member.alphabet, files) as decoder:
        pairs = zip(posteriors.ids, posteriors, strict=True)
        return replace(
            member, hypotheses={name: decoder.n_best(frames, settings, count, name) for name, frames in pairs}
        )


def loop(members: Sequence[Member], texts: Sequence[Sequence[str]]) -> list[list[float]]:
    """The plain loop: likelihoods of all texts that a member can write, by member."""
    found = []
    for member in members:
        values = []
        for frames, lists in zip(member.posteriors, texts, strict=True):
            log_probs, lengths = torch.from_numpy(frames)[:, None], torch.tensor([len(frames)])
            for text in lists:
                labels = member.alphabet.encode(text) if text else []
                if labels is None:
                    continue
                targets, counts = torch.tensor([labels], dtype=torch.int64), torch.tensor([len(labels)])
                loss = torch.nn.functional.ctc_loss(log_probs, targets, lengths, counts, reduction="sum")
                values.append(-loss.item())
        found.append(values)
    return found


def ours(members: Sequence[Member], texts: Sequence[Sequence[str]]) -> list[list[float]]:
    """The same by evidence that knows nothing yet."""
    evidence = Evidence()
    every = [np.concatenate(evidence.acoustic(member, texts)) for member in members]
    return [values[np.isfinite(values)].tolist() for values in every]


def speed(members: Sequence[Member], turns: int) -> None:
    """Print how much faster than the loop the likelihoods are."""
    first = members[0]
    flat = adjust_set(first.posteriors, DecodingSettings(temperature=2.0))
    four = [*members, replace(first, name="flattened", posteriors=flat)]
    ids = first.posteriors.ids
    pooled = [dict.fromkeys(one.text for member in members for one in member.hypotheses[name]) for name in ids]
    texts = [list(lists)[:HYPOTHESES] for lists in pooled]
    times: dict[str, list[float]] = {"loop": [], "ours": []}
    values: dict[str, list[list[float]]] = {}
    for _ in range(turns):
        for name, rescore in (("loop", loop), ("ours", ours)):
            began = time.process_time()
            values[name] = rescore(four, texts)
            times[name].append(time.process_time() - began)
    error = max(float(np.abs(np.subtract(*pair)).max()) for pair in zip(values["loop"], values["ours"], strict=True))
    median = {name: statistics.median(each) for name, each in times.items()}
    ratio = statistics.median(slow / fast for slow, fast in zip(times["loop"], times["ours"], strict=True))
    print(
        f"{sum(map(len, texts))} hypotheses of {len(texts)} utterances under {len(four)} members: loop "
        f"{median['loop']:.2f} s, ours {median['ours']:.3f} s, {ratio:.1f} times faster; they differ by "
        f"{error:.1e} at most, since torch adds in single precision"
    )


def sweep(members: Sequence[Member], evidence: Evidence, references: Sequence[str]) -> None:
    """Print how long many points over one table take."""
    table = evidence.table(Pool.of(members), 30)
    errors = table.errors(References(dict(zip(table.ids, references, strict=True))))
    rng = np.random.default_rng(0)
    began = time.process_time()
    best = table.best(rng.random((POINTS, len(members))), rng.random(POINTS), 3 * rng.random(POINTS))
    found = errors[best].sum(axis=1)
    print(
        f"{POINTS} random points over {len(table.texts)} hypotheses: {time.process_time() - began:.2f} s, "
        f"{found.min()} to {found.max()} errors; {np.minimum.reduceat(errors, table.starts[:-1]).sum()} at best\n"
    )


def decoded(member: Member, files: LanguageModelFiles, references: Sequence[str]) -> str:
    """Errors of posteriors: greedily, at the given point, and at the best of the grid."""

    def errors(found: Sequence[Hypothesis]) -> int:
        return PLAIN.score_set(references, (one.text for one in found)).errors

    points = [SEARCH, *(SEARCH.model_copy(update={"alpha": alpha, "beta": beta}) for alpha, beta in GRID)]
    given, *grid = map(errors, search_set(member.alphabet, files, member.posteriors, points).hypotheses)
    least = int(np.argmin(grid))
    greedy = errors(greedy_set(member.posteriors, member.alphabet))
    return f"{given} ({share(given, references)}), best {grid[least]} at {point(GRID[least])}, greedy {greedy}"


def fused(name: str, members: Sequence[Member], evidence: Evidence, references: Sequence[str]) -> str:
    """Errors of a rule over hypotheses: as it comes, and at the best of the grid if it has one."""
    kind = find_rule(name)
    assert issubclass(kind, HypothesisRule)
    pool = Pool.of(members)

    def errors(rule: HypothesisRule) -> int:
        return PLAIN.score_set(references, (one.text for one in rule.fuse(pool, evidence))).errors

    given = errors(kind())
    said = f"{given} ({share(given, references)})"
    if issubclass(kind.Settings, RescoringSettings):
        found = [errors(kind(kind.Settings(alpha=alpha, beta=beta))) for alpha, beta in GRID]
        least = int(np.argmin(found))
        said += f", best {found[least]} ({share(found[least], references)}) at {point(GRID[least])}"
    return said


def share(errors: int, references: Sequence[str]) -> str:
    """Errors in percent of the reference words."""
    return f"{100 * errors / sum(len(text.split()) for text in references):.1f} %"


def point(values: tuple[float, float]) -> str:
    """A point of the grid."""
    return f"alpha {values[0]:.1f}, beta {values[1]:.1f}"


def main() -> None:
    """Print times, and then a line for every member and every rule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    args = parser.parse_args()
    set_up()
    with tempfile.TemporaryDirectory() as folder:
        settings = LanguageModelSettings(text=ROOT / "data/an4/lm/train_text.txt", order=4)
        files = build_language_model(Store(Path(folder)), settings)
        members = [Member(name, *read(name, units)) for name, units in SETS.items()]
        references = [utterance.text for utterance in read_manifest(ROOT / "data/an4/dev.jsonl")]
        speed([n_best(member, files, WIDE, HYPOTHESES) for member in members], args.turns)
        evidence = Evidence(TextScorer(files))
        listed = [n_best(member, files, SEARCH, 30) for member in members]
        sweep(listed, evidence, references)
        for member in members:
            print(f"{member.name}: {decoded(member, files, references)}")
        for title, some in (("both of words", listed[1:]), ("all three", listed)):
            for name in rule_names():
                kind = find_rule(name)
                if issubclass(kind, HypothesisRule):
                    print(f"{name}, {title}: {fused(name, some, evidence, references)}")
                elif issubclass(kind, PosteriorRule) and title == "both of words":
                    mean = replace(some[0], posteriors=kind().fuse(Pool.of(some)))
                    print(f"{name}, {title}: {decoded(mean, files, references)}")


if __name__ == "__main__":
    main()
