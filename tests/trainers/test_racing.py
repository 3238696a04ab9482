"""Races over AN4's posteriors, by the kernel and by pyctcdecode: who is stopped, and what the others come to."""

from dataclasses import replace

import numpy as np
import pytest

from trainers import racing
from trainers.data.parting import part_of
from trainers.decoding import library as library_module
from trainers.decoding.library import library
from trainers.decoding.searching import Search
from trainers.outcomes import write_outcome
from trainers.racing import PARTS, decode_in_parts, rival_errors, shuffled
from trainers.scoring.references import References
from trainers.spec import Race, TrialOutcome

GOOD = {"decoding.alpha": 1.0, "decoding.beta": 3.0, "decoding.beam_width": 10}
NEAR = {**GOOD, "decoding.beta": 3.5}
BAD = {**GOOD, "decoding.alpha": 4.0, "decoding.beta": -3.0}


@pytest.fixture(scope="module")
def an4(an4_posteriors):
    """Every second utterance of AN4's dev set: posteriors of characters, their alphabet, and what was said in each."""
    posteriors, alphabet, references = an4_posteriors("char", "char")
    posteriors = posteriors.take(range(0, len(posteriors), 2))
    return posteriors, alphabet, References(dict(zip(posteriors.ids, references[::2], strict=True)))


@pytest.fixture(params=["kernel", "pyctcdecode"])
def search(request, an4, an4_model, monkeypatch, tmp_path):
    if request.param == "pyctcdecode":
        monkeypatch.setattr(library_module, "_FOLDER", tmp_path)
    library.cache_clear()
    with Search(an4[1], an4_model) as made:
        assert bool(made.note) == (request.param == "pyctcdecode")
        yield made
    library.cache_clear()


@pytest.fixture
def enter(make_spec, needs_of, at_hand, store, an4, search):
    """Trials at points, racing against the outcome of a point."""

    def make(points, rival=GOOD, tuning=None, **changes):
        specs = [
            make_spec("decoding", point, needs_of("decoding"), number=n) for n, point in enumerate([rival, *points])
        ]
        trials = [at_hand(spec, store) for spec in specs]
        ahead = trials.pop(0)
        key = ahead.spec.key
        if not store.has("outcomes", key):
            (found,) = search.decode(an4[0], [ahead.settings.decoding])
            outcome = TrialOutcome(score=an4[2].score(found), scorer=an4[2].scorer.name)
            store.entry("outcomes", key, lambda folder: write_outcome(folder, outcome, found, an4[2].texts, tuning))
        for trial in trials:
            trial.spec = replace(trial.spec, race=replace(Race("decoding#0", key, 0.0, 0.01), **changes))
        return trials

    return make


def errors_of(references, hypotheses):
    return {one.id: references.errors(one.id, one.text) for one in hypotheses}


def test_a_losing_point_is_stopped_and_the_others_have_what_they_would_have_alone(an4, search, enter, store):
    posteriors, _, references = an4
    trials = enter([GOOD, BAD, NEAR])
    ends = {racer.trial: (racer, lost) for racer, lost in decode_in_parts(search, posteriors, references, trials)}
    whole = search.decode(posteriors, [trial.settings.decoding for trial in trials])
    good, bad, near = trials
    assert [ends[trial][1] is None for trial in trials] == [True, False, True]
    assert ends[good][0].in_order() == whole[0]
    assert ends[near][0].in_order() == whole[2]
    racer, lost = ends[bad]
    order = shuffled(posteriors.ids)[: lost.decoded]
    assert racer.hypotheses == {index: whole[1][index] for index in order}
    decoded = [posteriors.ids[index] for index in order]
    own, rival = errors_of(references, whole[1]), rival_errors(store, bad.spec.race, posteriors.ids, references)
    assert (lost.errors, lost.rival_errors) == (
        sum(own[name] for name in decoded),
        sum(rival[name] for name in decoded),
    )
    assert sum(own.values()) > sum(rival.values())
    assert lost.decoded < lost.utterances == len(posteriors)
    assert str(lost).startswith(
        f"stopped: decoded {lost.decoded} of {len(posteriors)} utterances, {lost.errors} errors"
    )


def test_where_dev_is_parted_a_race_is_over_the_part_that_tunes(an4, search, enter, store):
    posteriors, _, references = an4
    tuned = References({name: text for name, text in references.texts.items() if part_of(name, 0.5) == "tuning"})
    trials = enter([BAD], tuning=0.5)
    ((racer, lost),) = decode_in_parts(search, posteriors, tuned, trials)
    rival = rival_errors(store, trials[0].spec.race, posteriors.ids, tuned)
    decoded = [one.id for one in racer.in_order() if one.id in tuned]
    own = errors_of(references, racer.in_order())
    assert set(rival) == set(tuned.texts)
    assert (lost.decoded, lost.utterances) == (len(decoded), len(tuned))
    assert lost.errors == sum(own[name] for name in decoded)
    assert lost.rival_errors == sum(rival[name] for name in decoded)


def test_a_set_that_takes_less_than_the_race_asks_for_is_decoded_to_its_end(an4, search, enter):
    (racer, lost), *_ = decode_in_parts(search, an4[0], an4[2], enter([BAD], seconds=3600.0))
    assert lost is None
    assert len(racer.hypotheses) == len(an4[0])


def test_a_rival_that_cannot_be_compared_stops_nobody(an4, search, enter, store):
    posteriors, _, references = an4
    (gone,) = enter([BAD], key="nothing")
    assert rival_errors(store, gone.spec.race, posteriors.ids, references) is None
    (there,) = enter([BAD])
    race = there.spec.race
    assert rival_errors(store, race, posteriors.ids, references) is not None
    assert rival_errors(store, race, posteriors.ids[::-1], references) is None
    assert rival_errors(store, race, posteriors.ids, References(dict.fromkeys(references.texts, "MORE"))) is None
    assert [lost for _, lost in decode_in_parts(search, posteriors, references, [gone])] == [None]


def test_the_parts_of_a_set_that_takes_long_are_told_to_those_who_still_run(an4, search, enter, monkeypatch):
    monkeypatch.setattr(racing, "_SHOWN", 0.0)
    trials, told = enter([GOOD, BAD]), {}
    for trial in trials:
        trial.tell = told.setdefault(trial.spec.number, []).append
    ends = [lost for _, lost in decode_in_parts(search, an4[0], an4[2], trials)]
    lost = next(one for one in ends if one is not None)
    good, bad = told.values()
    sizes = [len(part) for part in np.array_split(np.arange(len(an4[0])), PARTS)]
    assert [report.decoded for report in good] == np.cumsum(sizes)[1:-1].tolist()
    assert [report.decoded for report in bad] == [n for n in np.cumsum(sizes)[1:-1].tolist() if n < lost.decoded]
    assert all(report.utterances == len(an4[0]) and report.seconds > 0 for report in good)


def test_a_set_that_takes_a_moment_tells_nobody(an4, enter, search, monkeypatch):
    monkeypatch.setattr(racing, "_SHOWN", 3600.0)
    (trial,) = enter([GOOD])
    trial.tell = lambda report: pytest.fail("told")
    ((_, lost),) = decode_in_parts(search, an4[0], an4[2], [trial])
    assert lost is None


def test_a_set_of_fewer_utterances_than_parts_is_decoded(an4, search, enter):
    few = an4[0].take([4, 1, 7])
    (trial,) = enter([GOOD])
    ((racer, lost),) = decode_in_parts(search, few, References({name: an4[2].texts[name] for name in few.ids}), [trial])
    assert lost is None
    assert [one.id for one in racer.in_order()] == list(few.ids)


def test_the_order_is_told_by_the_ids_alone_and_is_not_that_of_the_set():
    ids = [f"utterance {number}" for number in range(50)]
    order = [ids[index] for index in shuffled(ids)]
    assert sorted(order) == sorted(ids)
    assert order not in (ids, ids[::-1])
    assert [ids[::-1][index] for index in shuffled(ids[::-1])] == order


def test_whom_a_trial_races_against_is_no_part_of_its_key(make_spec, needs_of):
    spec = make_spec("decoding", GOOD, needs_of("decoding"))
    assert replace(spec, race=Race("decoding#0", "key", 5.0, 0.01)).key == spec.key
