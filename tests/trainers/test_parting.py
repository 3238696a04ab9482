"""Which utterances of dev tune and which judge, and that nothing but a score depends on those that judge."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.artifacts import Hypothesis, Score
from trainers.data.parting import part_of, transcripts
from trainers.outcomes import load_errors
from trainers.pipeline import run_trial
from trainers.racing import shuffled
from trainers.scoring.references import References
from trainers.scoring.scorer import PLAIN
from trainers.spec import TUNING, Ingredient
from trainers.store import digest
from trainers.strategies import strategy_names

SHARES = st.floats(0.01, 0.99)
TEXTS = st.text("AB ", max_size=6)


@given(st.dictionaries(st.text(), TEXTS), SHARES, st.randoms())
def test_the_part_of_an_utterance_depends_on_nothing_but_its_id(texts, share, random):
    names = list(texts)
    random.shuffle(names)
    for some in (texts, {name: texts[name] for name in names[::2]}, dict.fromkeys(names, "OTHER WORDS")):
        for part in ("tuning", "selection"):
            found = transcripts(some, share, part)
            assert list(found.items()) == [(name, text) for name, text in some.items() if part_of(name, share) == part]


@given(st.text(), SHARES, SHARES)
def test_a_larger_share_takes_no_utterance_away_from_those_that_tune(name, one, other):
    low, high = sorted((one, other))
    assert part_of(name, low) == "selection" or part_of(name, high) == "tuning"


@given(st.lists(st.text(), unique=True), SHARES)
def test_those_that_tune_come_first_in_a_race(names, share):
    tuned = {index for index, name in enumerate(names) if part_of(name, share) == "tuning"}
    assert set(shuffled(names)[: len(tuned)]) == tuned


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("form", ["{}", "an4_{:05d}", "01April_2010_Thursday_heute_default-{}"])
def test_of_many_utterances_about_the_share_tunes(share, form):
    count = 10_000
    tuned = sum(part_of(form.format(number), share) == "tuning" for number in range(count))
    assert abs(tuned - share * count) < 4 * (share * (1 - share) * count) ** 0.5


def test_the_parts_are_the_same_in_every_version_and_on_every_machine():
    assert [number for number in range(8) if part_of(f"u{number}", 0.5) == "tuning"] == [2, 3, 5, 6]


@given(st.dictionaries(st.text(), TEXTS))
def test_a_set_that_is_not_parted_tunes_as_a_whole_and_judges_nothing(texts):
    assert transcripts(texts, None, "tuning") == texts
    assert transcripts(texts, None, "selection") == {}


@given(st.dictionaries(st.text(), st.tuples(TEXTS, TEXTS)), SHARES)
def test_the_scores_of_the_two_parts_add_up_to_that_of_the_set(pairs, share):
    hypotheses = [Hypothesis(name, said) for name, (_, said) in pairs.items()]
    told = {name: text for name, (text, _) in pairs.items()}
    found = [References(transcripts(told, share, part)).score(hypotheses) for part in ("tuning", "selection")]
    assert sum(found, Score()) == PLAIN.score_set(told.values(), (one.text for one in hypotheses))


def test_an_utterance_that_counts_and_was_not_recognised_is_no_error_less():
    with pytest.raises(KeyError, match="b"):
        References({"a": "GO", "b": "NO"}).score([Hypothesis("a", "GO")])


@pytest.fixture
def parted(make_spec, needs_of, tiny, write_manifest):
    """A strategy's trial with two utterances of dev that tune and two that judge, of which other things are said."""

    def make(strategy, said="", values=None, needs=None, share="0.25"):
        entries = [json.loads(line) for line in tiny.dev.read_text(encoding="utf-8").splitlines()]
        told = dict(said) if isinstance(said, dict) else dict.fromkeys(names(entries), said)
        for name, entry in zip(names(entries), entries, strict=True):
            if part_of(name, 0.25) == "selection":
                entry["text"] = told[name] or entry["text"]
        texts = "-".join(entry["text"] for entry in entries)
        data = {"train": "t", "dev": texts} | ({} if share is None else {TUNING: share})
        spec = make_spec(strategy, values, needs or needs_of(strategy), data=data)
        return replace(spec, dev=write_manifest(tiny.folder / f"dev_{digest(texts)}.jsonl", entries))

    return make


def names(entries):
    return [entry["feature_filepath"].removesuffix(".npy") for entry in entries]


@pytest.mark.parametrize("strategy", strategy_names())
def test_nothing_but_its_own_score_depends_on_what_is_said_in_the_part_that_judges(strategy, parted, store):
    specs = [parted(strategy, said) for said in ("", "GO GO GO GO GO")]
    one, other = (run_trial(spec, store, lambda report: True) for spec in specs)
    assert one.score.words < 8
    assert one.score == other.score
    assert other.selection.words == 10
    assert one.best_epoch == other.best_epoch
    assert [told(report) for report in one.epochs] == [told(report) for report in other.epochs]
    for spec, outcome in zip(specs, (one, other), strict=True):
        folder = store.path("outcomes", spec.key)
        for part, score in (("tuning", outcome.score), ("selection", outcome.selection)):
            found = load_errors(folder, part)
            assert (found.errors.sum(), found.words.sum()) == (score.errors, score.words)
        assert len(load_errors(folder).ids) == 4


def told(report):
    return {name: value for name, value in asdict(report).items() if name != "seconds"}


def test_generations_stop_by_the_part_that_tunes(parted, store):
    values = {"distillation.generations": 3}
    specs = [parted("self_distillation", said, values) for said in ("", "GO GO GO GO GO")]
    one, other = (run_trial(spec, store, lambda report: True) for spec in specs)
    assert one.notes == other.notes
    assert any("generation 1 of 3" in note for note in one.notes)
    assert one.score == other.score
    assert one.selection != other.selection


def test_another_share_is_another_trial(make_spec):
    data = {"train": "t", "dev": "d"}
    shares = [{}, {TUNING: "0.5"}, {TUNING: "0.4"}]
    specs = [make_spec(data={**data, **share}) for share in shares]
    assert [spec.tuning for spec in specs] == [None, 0.5, 0.4]
    assert len({spec.key for spec in specs}) == 3


ENSEMBLES = (
    {"ensemble.rule": "joint_rescoring", "ensemble.tune": True},
    {"ensemble.rule": "rover", "ensemble.tune": True},
    {"ensemble.rule": "arithmetic", "ensemble.tune": True},
    {"ensemble.selection": "best", "ensemble.members": 1},
    {
        "ensemble.selection": "given",
        "ensemble.weight_2": 0.25,
        "ensemble.rule": "arithmetic",
        "decoding.method": "greedy",
    },
)
WORSE = {"ensemble.selection": "given", "ensemble.weight_1": 0.0, "ensemble.weight_2": 1.0}
AVERAGES = {"ensemble.rule": "weights", "decoding.method": "greedy"}


@pytest.fixture
def said_by(parted, store):
    """What an ensemble says of each utterance of dev: a transcript with which it makes no error."""

    def say(values, needs):
        spec = parted("ensemble", "", values, needs)
        run_trial(spec, store, lambda report: True)
        lines = (store.path("outcomes", spec.key) / "hypotheses.jsonl").read_text(encoding="utf-8").splitlines()
        return {row["id"]: row["hypothesis"] for row in map(json.loads, lines)}

    return say


@pytest.fixture
def train_member(make_spec, store):
    def make(number=0, **values):
        spec = make_spec(values={f"train.{name}": value for name, value in values.items()}, number=number)
        key = run_trial(spec, store, lambda report: True).checkpoint
        return Ingredient("baseline", store.path("checkpoints", key), key, number)

    return make


@pytest.mark.parametrize("values", ENSEMBLES, ids=lambda values: "-".join(map(str, values.values())))
def test_members_and_weights_are_chosen_by_the_part_that_tunes(values, parted, said_by, train_member, store):
    pool = {"pool": (train_member(0, epochs=2, seed=2), train_member(1, epochs=3, seed=3))}
    values = {"decoding.alpha": 0.0, "decoding.beta": 0.0, **values}
    worse = said_by({**values, **WORSE}, pool)
    specs = [parted("ensemble", said, values, pool) for said in ("", worse)]
    one, other = (run_trial(spec, store, lambda report: True) for spec in specs)
    assert one.ensemble.members == other.ensemble.members
    assert one.ensemble.alone == other.ensemble.alone
    assert one.score == other.score
    whole = run_trial(parted("ensemble", worse, values, pool, share=None), store, lambda report: True)
    assert whole.ensemble.members != other.ensemble.members


@pytest.mark.parametrize("share", ["0.25", None])
def test_the_best_member_alone_is_judged_where_the_ensemble_is(share, parted, train_member, store):
    pool = {"pool": (train_member(0, epochs=2, seed=2), train_member(1, epochs=3, seed=3))}
    values = {"ensemble.selection": "best", "ensemble.members": 1}
    outcome = run_trial(parted("ensemble", "", values, pool, share), store, lambda report: True)
    assert (outcome.ensemble.single_score, outcome.ensemble.single_judged) == (outcome.score, outcome.judged)
    assert (outcome.selection is None) == (share is None)


def test_a_soup_is_chosen_by_the_part_that_tunes(parted, said_by, train_member, store):
    pool = {"pool": (train_member(epochs=12, keep_epochs=[1, 11, 12]),)}
    first = said_by({**AVERAGES, "weights.choose": "epochs", "weights.epochs": [1]}, pool)
    values = {**AVERAGES, "weights.choose": "greedy"}
    specs = [parted("ensemble", said, values, pool) for said in ("", first)]
    one, other = (run_trial(spec, store, lambda report: True) for spec in specs)
    assert one.ensemble.chosen == other.ensemble.chosen
    assert one.score == other.score
    assert one.selection != other.selection
    shares = [
        run_trial(parted("ensemble", first, values, pool, share), store, lambda report: True)
        for share in (None, "0.25")
    ]
    assert shares[0].ensemble.chosen != shares[1].ensemble.chosen
    assert shares[0].checkpoint != shares[1].checkpoint
