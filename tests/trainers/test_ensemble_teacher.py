"""An ensemble as the teacher: what its members and its rule say of the training set, kept and learned from."""

import json

import numpy as np
import pytest

from search_spaces.errors import CheckpointError
from trainers.artifacts import Posteriors, Score
from trainers.checkpoint import load_checkpoint
from trainers.combining.evidence import Evidence
from trainers.combining.kept_ensemble import DESCRIPTION, keep_ensemble, load_ensemble
from trainers.combining.members import Member
from trainers.combining.report import EnsembleReport, Part
from trainers.combining.rule import HypothesisRule, PosteriorRule
from trainers.emission import emit
from trainers.fusion import find_rule, rule_names
from trainers.pipeline import resolve_settings, run_trial
from trainers.spec import Ingredient
from trainers.store import Store
from trainers.teaching.distilling import open_teacher
from trainers.teaching.n_best import KIND

OF_TEXTS = [name for name in rule_names() if issubclass(find_rule(name), HypothesisRule)]
OF_FRAMES = [name for name in rule_names() if issubclass(find_rule(name), PosteriorRule)]


def always(report):
    return True


@pytest.fixture(scope="module")
def members(make_spec, tmp_path_factory):
    """A store with three networks that have learnt the tiny data: two seeds, and one of other units and frame rate."""
    store = Store(tmp_path_factory.mktemp("members"))
    values = [
        {"train.seed": 1},
        {"train.seed": 2},
        {"units": "marked_char", "features.stack": 2, "model.encoder": "bilstm"},
    ]
    outcomes = [run_trial(make_spec(values={"train.epochs": 8, **more}), store, always) for more in values]
    return store, [outcome.checkpoint for outcome in outcomes]


@pytest.fixture
def taught_by(members, make_spec, at_hand):
    """A trial whose teacher is an ensemble, and its teacher."""
    store, keys = members

    def make(rule, weights, values=None, **settings):
        parts = tuple(
            Part(f"seeds#{i}", w, key, True) for i, (w, key) in enumerate(zip(weights, keys, strict=True)) if w
        )
        report = EnsembleReport(rule, parts, "", 1, (("seeds#0", Score(words=8)),))
        tree = {"ensemble": {"rule": rule, "n_best": 10}, "decoding": {"method": "beam", "alpha": 0.7, "beta": 2.0}}
        key, folder = keep_ensemble(store, report, resolve_settings({**tree, **settings}))
        spec = make_spec("distillation", values, {"teacher": (Ingredient("joint", folder, key, 3),)})
        return at_hand(spec, store)

    return make


@pytest.mark.parametrize("rule", [*OF_TEXTS, *OF_FRAMES])
@pytest.mark.parametrize("number", [0, 2])
def test_an_ensemble_of_one_teaches_what_its_member_does(taught_by, members, make_spec, at_hand, rule, number):
    store, keys = members
    trial = taught_by(rule, [float(index == number) for index in range(3)])
    alone = Ingredient("baseline", store.path("checkpoints", keys[number]), keys[number], 0)
    member = open_teacher(at_hand(make_spec("distillation", needs={"teacher": (alone,)}), store))
    teacher = open_teacher(trial)
    for (best,), theirs in zip(teacher.n_best(1), member.n_best(10), strict=True):
        assert best.id == theirs[0].id
        # rules of hypotheses rank the list anew, by exact likelihoods or by votes
        assert best.text in [one.text for one in theirs[: 1 if rule in OF_FRAMES else None]]
    if rule in OF_FRAMES:
        assert teacher.alphabet == member.alphabet
        ours, theirs = teacher.posteriors(), member.posteriors()
        assert ours.ids == theirs.ids
        for index in range(len(ours)):
            np.testing.assert_allclose(ours[index], theirs[index], rtol=2**-9, atol=0.02)


def test_its_hypotheses_are_the_likeliest_of_all_members_together_without_a_language_model(taught_by, members):
    store, keys = members
    weights = [0.5, 0.2, 0.3]
    trial = taught_by("joint_rescoring", weights)
    found = open_teacher(trial).n_best(4)
    everything = open_teacher(trial).n_best(50)
    networks = [load_checkpoint(store.path("checkpoints", key)) for key in keys]
    for index, (lists, all_lists) in enumerate(zip(found, everything, strict=True)):
        texts = [one.text for one in all_lists]
        totals = np.zeros(len(texts))
        for weight, network in zip(weights, networks, strict=True):
            features = trial.load("train", network.features).features
            frames, offsets = emit(network.network(), features)
            rows = frames[offsets[index] : offsets[index + 1]]
            posteriors = Posteriors((features.ids[index],), rows, np.array([0, len(rows)]), network.alphabet.labels)
            totals += weight * Evidence().acoustic(Member("m", posteriors, network.alphabet), [texts])[0]
        # half precision was between the two
        np.testing.assert_allclose([one.acoustic for one in all_lists], totals, atol=0.1, rtol=0.02)
        scores = [one.acoustic for one in all_lists]
        assert scores == sorted(scores, reverse=True)
        assert [(one.text, one.acoustic) for one in lists] == [(one.text, one.acoustic) for one in all_lists[:4]]
        assert len(set(texts)) == len(texts)


def test_the_mean_is_that_of_the_members_frames(taught_by, members):
    store, keys = members
    trial = taught_by("arithmetic", [0.75, 0.25, 0.0])
    found = open_teacher(trial).posteriors()
    networks = [load_checkpoint(store.path("checkpoints", key)) for key in keys[:2]]
    features = trial.load("train", networks[0].features).features
    (one, offsets), (other, _) = (emit(network.network(), features) for network in networks)
    mean = np.log(0.75 * np.exp(one) + 0.25 * np.exp(other))
    np.testing.assert_array_equal(found.offsets, offsets)
    for index in range(len(found)):
        np.testing.assert_allclose(found[index], mean[offsets[index] : offsets[index + 1]], rtol=2**-9, atol=0.03)


def test_utterances_are_read_in_parts_and_come_to_the_same(taught_by, monkeypatch, tmp_path):
    whole, mean = taught_by("joint_rescoring", [0.5, 0.2, 0.3]), taught_by("geometric", [0.5, 0.5, 0.0])
    expected, frames = open_teacher(whole).n_best(3), open_teacher(mean).posteriors()
    monkeypatch.setattr("trainers.teaching.ensemble_teacher._TOGETHER", 5)
    monkeypatch.setattr("trainers.teaching.ensemble_teacher._FORMAT", -1)  # or what is kept would be read
    found, others = open_teacher(whole).n_best(3), open_teacher(mean).posteriors()
    assert [[one.text for one in lists] for lists in found] == [[one.text for one in lists] for lists in expected]
    np.testing.assert_allclose(others.log_probs, frames.log_probs, atol=1e-3)


@pytest.mark.parametrize("level", ["frame", "span", "guided", "sequence"])
@pytest.mark.parametrize("rule", OF_FRAMES)
def test_a_mean_teaches_at_every_level(taught_by, level, rule):
    trial = taught_by(rule, [0.5, 0.5, 0.0], {"distillation.level": level, "train.epochs": 1})
    assert run_trial(trial.spec, trial.store, always).score.words == 8


@pytest.mark.parametrize("rule", OF_TEXTS)
def test_a_rule_of_hypotheses_teaches_sequences_whatever_the_units_and_is_refused_elsewhere(taught_by, rule):
    values = {"distillation.level": "sequence", "train.epochs": 1, "units": "mixed"}
    trial = taught_by(rule, [0.4, 0.3, 0.3], values)
    assert run_trial(trial.spec, trial.store, always).score.words == 8
    for level in ("frame", "span", "guided"):
        trial = taught_by(rule, [0.4, 0.3, 0.3], {"distillation.level": level})
        said = f"joint#3 is an ensemble by {rule}, .*teaches at distillation.level sequence alone"
        with pytest.raises(CheckpointError, match=said):
            run_trial(trial.spec, trial.store, always)


def test_a_mean_of_other_labels_than_the_student_s_is_refused_and_teaches_sequences(taught_by):
    trial = taught_by("arithmetic", [0.0, 0.0, 1.0], {"distillation.level": "guided"})
    with pytest.raises(CheckpointError, match="joint#3: the teacher's alphabet is not the student's"):
        run_trial(trial.spec, trial.store, always)
    trial = taught_by("arithmetic", [0.0, 0.0, 1.0], {"distillation.level": "sequence", "train.epochs": 1})
    assert run_trial(trial.spec, trial.store, always).score.words == 8


@pytest.mark.parametrize("rule", ["joint_rescoring", "arithmetic"])
def test_members_are_heard_and_combined_once_for_all_students(taught_by, monkeypatch, rule):
    values = {"distillation.level": "sequence", "train.epochs": 1}
    first = taught_by(rule, [0.9, 0.1, 0.0], values)
    run_trial(first.spec, first.store, always)
    monkeypatch.setattr("trainers.source.emit_batches", None)
    monkeypatch.setattr("trainers.teaching.n_best.BeamDecoder", None)
    monkeypatch.setattr(find_rule(rule), "fuse", None)
    second = taught_by(rule, [0.9, 0.1, 0.0], {**values, "distillation.alpha": 0.7})
    lists = {path.name for path in (first.store.root / KIND).iterdir()}
    assert open_teacher(second).n_best(8) == open_teacher(first).n_best(8)
    assert {path.name for path in (first.store.root / KIND).iterdir()} == lists


def test_another_weight_rule_setting_or_member_is_another_teacher_and_the_same_is_the_same(taught_by):
    made = [
        taught_by("mbr", [0.5, 0.5, 0.0]),
        taught_by("mbr", [0.6, 0.4, 0.0]),
        taught_by("mbr", [0.5, 0.0, 0.5]),
        taught_by("mbr", [0.5, 0.5, 0.0], mbr={"scale": 0.2}),
        taught_by("rover", [0.5, 0.5, 0.0]),
    ]
    keys = [trial.spec.needs["teacher"][0].key for trial in made]
    assert len(set(keys)) == len(keys)
    assert taught_by("mbr", [0.5, 0.5, 0.0]).spec.key == made[0].spec.key
    assert len({trial.spec.key for trial in made}) == len(made)


def test_what_says_who_is_in_an_ensemble_comes_back_and_a_broken_one_is_refused(taught_by, tmp_path):
    folder = taught_by("mbr", [0.5, 0.5, 0.0], mbr={"scale": 0.2}).spec.needs["teacher"][0].folder
    kept = load_ensemble(folder)
    assert (kept.rule.name, kept.rule.settings.scale, kept.rule.settings.alpha, kept.n_best) == ("mbr", 0.2, 0.7, 10)
    assert [(part.name, part.weight) for part in kept.parts] == [("seeds#0", 0.5), ("seeds#1", 0.5)]
    found = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    for broken, said in (
        ({**found, "format": 9}, "has format 9"),
        ({**found, "rule": "vote"}, "cannot be read"),
        ({}, "cannot be"),
    ):
        (tmp_path / DESCRIPTION).write_text(json.dumps(broken), encoding="utf-8")
        with pytest.raises(CheckpointError, match=said):
            load_ensemble(tmp_path)
