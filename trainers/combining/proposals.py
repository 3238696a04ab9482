"""What is expensive about an ensemble, computed once and kept in the store: n-best lists, and tables of their scores.

A list depends on its member, the width of the search and the language model, and a table on its lists; neither depends
on the weights that a study searches. So the search that proposes hypotheses has weights of its own, which are fixed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from search_spaces.axes.decoding import DecodingSettings
from trainers.artifacts import Hypothesis
from trainers.combining.evidence import Evidence, ScoreTable
from trainers.combining.members import Member, Pool
from trainers.decoding.beam import BeamDecoder
from trainers.decoding.greedy import greedy_set
from trainers.decoding.language_model import LanguageModelFiles
from trainers.decoding.pool import DecoderPool
from trainers.decoding.text_scores import TextScorer
from trainers.store import Store, digest

LISTS, TABLES = "n_best", "score_tables"
_ALPHA, _BETA = 0.5, 1.5  # of the search that proposes
_FORMAT = 1
_LISTS_FILE, _TABLE_FILE, _ARRAYS_FILE = "n_best.json", "table.json", "table.npz"


def proposing(decoding: DecodingSettings) -> DecodingSettings:
    """The search that proposes hypotheses: as wide as the settings say, at weights that no study searches."""
    return decoding.model_copy(update={"alpha": _ALPHA, "beta": _BETA, "posteriors": ""})


def propose(
    member: Member, decoding: DecodingSettings, decoder: BeamDecoder | DecoderPool | None
) -> Mapping[str, list[Hypothesis]]:
    """A member's hypotheses of every utterance, the best first: as many as the beam is wide, or the greedy one alone.

    Args:
        member: The member.
        decoding: Width and thresholds of the search.
        decoder: Of the member's alphabet; None decodes greedily.
    """
    posteriors = member.posteriors
    if decoder is None:
        return {one.id: [one] for one in greedy_set(posteriors, member.alphabet)}
    found = decoder.n_best_set(posteriors, proposing(decoding), decoding.beam_width)
    return dict(zip(posteriors.ids, found, strict=True))


def scored(members: Sequence[Member], count: int, scorer: TextScorer | None) -> ScoreTable:
    """The table of members with their hypotheses; its rows are the members by name.

    Args:
        members: The pool.
        count: Hypotheses of an utterance that a member puts in at most.
        scorer: The language model; None scores without one.
    """
    pool = Pool.of([replace(member, weight=1.0) for member in members], members[0].posteriors.ids)
    return Evidence(scorer).table(pool, count)


class Proposals:
    """The proposals of pools over one set, each computed once, whatever trial or process asks.

    Args:
        store: Where they are kept.
        decoding: Width and thresholds of the search; its weights do not matter.
        files: The language model; None where there is none.
    """

    def __init__(self, store: Store, decoding: DecodingSettings, files: LanguageModelFiles | None) -> None:
        self._store = store
        self._decoding = decoding
        self._files = files
        # all that changes what is proposed: what is done to the posteriors before is part of it
        self._about = [_FORMAT, proposing(decoding).model_dump(), files.key if files else ""]

    def table(self, members: Mapping[str, Member], count: int) -> ScoreTable:
        """The score table of a pool; its rows are the members by name.

        Args:
            members: The pool, without hypotheses, by the keys of their posteriors.
            count: Hypotheses of an utterance that a member puts in at most.
        """
        named = sorted((member.name, key) for key, member in members.items())

        def make(folder: Path) -> None:
            whole = [replace(member, hypotheses=self._lists(key, member)) for key, member in members.items()]
            scorer = TextScorer(self._files, self._decoding.unknown_offset) if self._files else None
            _write(folder, scored(whole, count, scorer))

        return _read(self._store.entry(TABLES, digest([self._about, count, named]), make))

    def _lists(self, key: str, member: Member) -> Mapping[str, list[Hypothesis]]:
        def make(folder: Path) -> None:
            if self._decoding.method == "greedy":
                found = propose(member, self._decoding, None)
            else:
                with BeamDecoder(member.alphabet, self._files) as decoder:
                    found = propose(member, self._decoding, decoder)
            rows = {name: [(one.text, one.acoustic, one.language) for one in lists] for name, lists in found.items()}
            (folder / _LISTS_FILE).write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")

        place = self._store.entry(LISTS, digest([self._about, key]), make) / _LISTS_FILE
        rows = json.loads(place.read_text(encoding="utf-8"))
        return {name: [Hypothesis(name, *row) for row in lists] for name, lists in rows.items()}


def _write(folder: Path, table: ScoreTable) -> None:
    about = {"ids": table.ids, "texts": table.texts}
    (folder / _TABLE_FILE).write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
    arrays = {name: getattr(table, name) for name in ("starts", "acoustic", "proposed", "language", "words")}
    np.savez(folder / _ARRAYS_FILE, **arrays)


def _read(folder: Path) -> ScoreTable:
    about = json.loads((folder / _TABLE_FILE).read_text(encoding="utf-8"))
    with np.load(folder / _ARRAYS_FILE) as arrays:
        return ScoreTable(tuple(about["ids"]), texts=tuple(about["texts"]), **{name: arrays[name] for name in arrays})
