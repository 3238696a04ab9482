import importlib
import inspect
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from search_spaces.axes.section import Section
from search_spaces.errors import FusionError
from tests.trainers.made_members import ALPHABETS, member, posteriors
from trainers import fusion
from trainers.artifacts import Hypothesis
from trainers.combining.evidence import Evidence
from trainers.combining.members import Member, Pool
from trainers.combining.rule import FusionRule, HypothesisRule, PosteriorRule, WeightRule
from trainers.data.labels import Alphabet
from trainers.fusion import DEFAULT, find_rule, rule_names
from trainers.fusion.mbr import Mbr, MbrSettings, distances
from trainers.scoring.wer import score_words

NAMES = rule_names()
OF_HYPOTHESES = [name for name in NAMES if issubclass(find_rule(name), HypothesisRule)]
OF_POSTERIORS = [name for name in NAMES if issubclass(find_rule(name), PosteriorRule)]
OF_WEIGHTS = [name for name in NAMES if issubclass(find_rule(name), WeightRule)]

# what every rule promises, whoever wrote it: a new file in trainers/fusion is tested by these unasked


def language(texts):
    return np.array([-1.7 * len(text) - 0.3 for text in texts])


def combine(name, members, ids=()):
    """What a rule over hypotheses or posteriors makes of members: texts and their scores, or frames."""
    rule, pool = find_rule(name)(), Pool.of(members, ids)
    if name in OF_POSTERIORS:
        return rule.fuse(pool).log_probs.tolist()
    return [(one.id, one.text, one.acoustic, one.language) for one in rule.fuse(pool, Evidence(language))]


def some_members(name, seed, count=3):
    units = ["marked_char"] * count if name in OF_POSTERIORS else ["char", "word", "mixed", "marked_char"]
    weights = np.random.default_rng(seed).choice([0.5, 1.0, 1.0, 3.0], count).tolist()
    return [member(f"m{k}", seed + 17 * k, units[k], weight) for k, weight in enumerate(weights)]


def test_the_rules_that_come_with_the_project_are_found():
    assert {"joint_rescoring", "arithmetic", "geometric", "rover", "weights", "mbr"} <= set(NAMES)
    assert DEFAULT == "joint_rescoring"
    assert sorted(OF_HYPOTHESES + OF_POSTERIORS + OF_WEIGHTS) == NAMES == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_has_the_name_of_its_file_and_tells_a_reader_what_it_is(name):
    rule = find_rule(name)
    assert rule.name == name
    assert rule.__module__ == f"trainers.fusion.{name}"
    assert issubclass(rule, FusionRule)
    assert not inspect.isabstract(rule)
    assert importlib.import_module(rule.__module__).__doc__
    assert rule.__doc__
    assert 10 <= len(rule.summary) <= 100
    assert "\n" not in rule.summary
    assert not rule.summary.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_the_settings_of_a_rule_are_frozen_documented_and_have_defaults(name):
    kind = find_rule(name).Settings
    assert issubclass(kind, Section)
    default = kind()
    assert find_rule(name)().settings == default
    for setting in kind.model_fields:
        assert f"\n        {setting}: " in kind.__doc__
        with pytest.raises(ValidationError, match="frozen"):
            setattr(default, setting, 1)


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_reads_every_setting_that_it_declares(name):
    kind = find_rule(name).Settings
    source = inspect.getsource(sys.modules[kind.__module__]) + inspect.getsource(
        importlib.import_module(f"trainers.fusion.{name}")
    )
    for setting in kind.model_fields:
        assert f"settings.{setting}" in source


def test_a_new_rule_is_one_file(tmp_path, monkeypatch):
    (tmp_path / "first_of_all.py").write_text(
        '"""The first member alone."""\n'
        "from search_spaces.axes.section import Section\n"
        "from trainers.combining.rule import PosteriorRule\n"
        "class FirstOfAll(PosteriorRule):\n"
        '    name, summary, Settings = "first_of_all", "the first member alone", Section\n'
        "    def fuse(self, pool):\n"
        "        return pool.members[0].posteriors\n"
    )
    monkeypatch.setattr(fusion, "__path__", [*fusion.__path__, str(tmp_path)])
    assert "first_of_all" in rule_names()
    one = member("a")
    assert find_rule("first_of_all")().fuse(Pool.of([one])) == one.posteriors
    sys.modules.pop("trainers.fusion.first_of_all")
    find_rule.cache_clear()


def test_a_file_without_its_class_is_a_fault_of_the_program(monkeypatch):
    module = types.ModuleType("trainers.fusion.misnamed")
    module.__file__ = "misnamed.py"
    monkeypatch.setitem(sys.modules, "trainers.fusion.misnamed", module)
    with pytest.raises(TypeError, match=r"must hold a class Misnamed\(FusionRule\) whose name is 'misnamed'"):
        find_rule("misnamed")


@pytest.mark.parametrize("name", [*OF_HYPOTHESES, *OF_POSTERIORS])
@settings(max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_a_rule_does_not_depend_on_the_order_of_its_members(name, seed):
    members = some_members(name, seed)
    results = [
        combine(name, order, ["u1", "u0", "u2"]) for order in (members, members[::-1], members[1:] + members[:1])
    ]
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("name", [*OF_HYPOTHESES, *OF_POSTERIORS])
@settings(max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_a_weight_of_zero_is_absence(name, seed):
    members = some_members(name, seed, 2)
    extra = member("a", seed + 5, "marked_char" if name in OF_POSTERIORS else "char", 0.0)
    assert combine(name, [extra, *members]) == combine(name, members)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_a_weight_of_zero_is_absence_in_a_table_too(seed):
    members = some_members("joint_rescoring", seed, 2)
    with_it = Evidence(language).table(Pool.of([*members, member("z", seed + 5, "char")]), 4)
    without = Evidence(language).table(Pool.of(members), 4)
    weights = [one.weight for one in members]
    chosen = [
        [table.texts[index] for index in table.best(shares, 0.4, 2.0)]
        for table, shares in ((with_it, [*weights, 0.0]), (without, weights))
    ]
    assert chosen[0] == chosen[1]


@pytest.mark.parametrize("name", OF_HYPOTHESES)
def test_a_rule_gives_every_utterance_one_hypothesis_and_joins_other_units_and_frame_rates(name):
    members = [
        member("a", 1, "char"),
        member("b", 2, "word", frames=(5, 7, 6)),
        member("c", 3, "mixed"),
        member("d", 4, "marked_char", frames=(20, 30, 25)),
    ]
    found = combine(name, members, ["u2", "u0", "u1"])
    assert [one[0] for one in found] == ["u2", "u0", "u1"]


@pytest.mark.parametrize("name", OF_HYPOTHESES)
def test_members_that_agree_are_believed(name):
    lists = {f"u{index}": [Hypothesis(f"u{index}", text, -1.0)] for index, text in enumerate(["A B", "", "AB"])}
    members = [replace(member(key, seed), hypotheses=lists) for seed, key in enumerate("abc")]
    assert [one[1] for one in combine(name, members)] == ["A B", "", "AB"]


@pytest.mark.parametrize("name", OF_HYPOTHESES)
def test_a_member_without_hypotheses_is_refused_by_name(name):
    with pytest.raises(FusionError, match="b has no hypothesis of u0, u1, u2"):
        combine(name, [member("a"), replace(member("b", 1), hypotheses={})])


@pytest.mark.parametrize("units", list(ALPHABETS))
@settings(max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_joint_rescoring_of_one_member_is_that_member_s_own_rescored_best(units, seed):
    one = member("a", seed, units)
    rule = find_rule("joint_rescoring")
    found = rule(rule.Settings(alpha=0.7, beta=1.5)).fuse(Pool.of([one]), Evidence(language))
    for index, (name, fused) in enumerate(zip(one.posteriors.ids, found, strict=True)):
        texts = [each.text for each in one.hypotheses[name]]
        values = Evidence().acoustic(one, [texts if k == index else [] for k in range(3)])[index]
        words = np.array([len(text.split()) for text in texts])
        scores = values + 0.7 * language(texts) + 1.5 * words
        if np.isfinite(scores).any():
            assert scores[texts.index(fused.text)] == pytest.approx(scores.max(), abs=1e-9)
            assert fused.acoustic + fused.language == pytest.approx(scores.max(), abs=1e-9)


@pytest.mark.parametrize("name", OF_POSTERIORS)
@settings(max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_the_mean_of_equal_posteriors_is_the_same_and_sums_to_one(name, seed):
    one = member("a", seed)
    alike = np.array(combine(name, [one, replace(one, name="b", weight=0.3)]))
    assert alike == pytest.approx(one.posteriors.log_probs, abs=1e-5)
    mixed = np.array(combine(name, some_members(name, seed)))
    assert np.logaddexp.reduce(mixed, axis=1) == pytest.approx(0, abs=1e-5)


def test_the_means_are_those_of_their_formulas():
    one, other = member("a", 1, weight=1.0), member("b", 2, weight=3.0)
    p, q = (np.exp(each.posteriors.log_probs.astype(np.float64)) for each in (one, other))
    assert np.exp(combine("arithmetic", [one, other])) == pytest.approx(0.25 * p + 0.75 * q, abs=1e-6)
    product = p**0.25 * q**0.75
    assert np.exp(combine("geometric", [one, other])) == pytest.approx(
        product / product.sum(1, keepdims=True), abs=1e-6
    )


@pytest.mark.parametrize("name", OF_POSTERIORS)
def test_labels_in_another_order_are_brought_into_the_first_member_s(name):
    one, other = member("a", 1), member("b", 2)
    order = [0, 3, 1, 4, 2]
    labels = tuple(other.alphabet.labels[column] for column in order)
    turned = Member(
        "b",
        replace(other.posteriors, log_probs=other.posteriors.log_probs[:, order], labels=labels),
        Alphabet("char", labels),
    )
    assert combine(name, [one, turned]) == combine(name, [one, other])


@pytest.mark.parametrize("name", OF_POSTERIORS)
def test_other_labels_and_other_frames_are_refused_at_once_with_both(name):
    members = [
        member("a", 1, "char"),
        replace(member("b", 2, "char", frames=(9, 7, 11)), frame_seconds=0.06),
        member("c", 3, "word"),
    ]
    with pytest.raises(FusionError) as caught:
        combine(name, members)
    frames, labels, advice = caught.value.faults
    assert "a (a frame every 30 ms) and b (a frame every 60 ms) differ in their frames in 1 of 3 utterances" in frames
    assert frames.endswith("14 and 7 in u1")
    assert labels.startswith("a and c have other labels: a alone: ' ', 'A', 'B', 'C'; c alone: '▁A', '▁AB'")
    assert "joint_rescoring, rover and mbr" in advice


@given(st.lists(st.lists(st.sampled_from(["A", "BB", "c"]), max_size=5).map(" ".join), min_size=1, max_size=6))
def test_distances_are_word_errors(texts):
    wanted = [[score_words(one.split(), other.split()).errors for other in texts] for one in texts]
    assert distances(tuple(texts)).tolist() == wanted


def test_mbr_takes_the_text_in_the_middle_and_with_a_large_scale_the_likeliest():
    alphabet = ALPHABETS["char"]
    frames = posteriors(alphabet, 0, frames=(30,), sharpness=0.0)
    texts = ["A A A", "A B A", "A A B", "C C C C C C"]
    one = Member("a", frames, alphabet, hypotheses={"u0": [Hypothesis("u0", text) for text in texts]})
    likely = {"C C C C C C": 1.0}

    def favour(asked):
        return np.array([likely.get(text, 0.0) for text in asked])

    def fused(scale, alpha):
        # the posteriors are flat: texts of one length are equally likely, and beta is no part of it
        rule = Mbr(MbrSettings(scale=scale, alpha=alpha, beta=0.0))
        return rule.fuse(Pool.of([one]), Evidence(favour))[0].text

    assert fused(1e-3, 0.0) == "A A A"
    assert fused(50.0, 20.0) == "C C C C C C"
