from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.axes.decoding import DecodingSettings
from search_spaces.errors import FusionError
from tests.trainers.made_members import member
from trainers.combining import proposals
from trainers.combining.combination import Averaged, Rescored, combine
from trainers.combining.evidence import Evidence
from trainers.combining.members import Pool
from trainers.combining.proposals import Proposals, scored
from trainers.combining.rule import HypothesisRule, PosteriorRule, RescoringSettings
from trainers.decoding.greedy import greedy_set
from trainers.fusion import find_rule, rule_names
from trainers.fusion.joint_rescoring import JointRescoring
from trainers.scoring.references import References
from trainers.store import Store

UNITS = ("char", "mixed", "marked_char")
REFERENCES = {"u0": "A B", "u1": "BA", "u2": "AB C A"}
HYPOTHESES = [name for name in rule_names() if issubclass(find_rule(name), HypothesisRule)]
POSTERIORS = [name for name in rule_names() if issubclass(find_rule(name), PosteriorRule)]


def language(texts):
    return np.array([-0.7 * len(text) for text in texts])


def pool_of(seed, units=UNITS):
    return [member(f"m{number}", seed + number, kind) for number, kind in enumerate(units)]


def table_of(members, count=30):
    return Evidence(language).table(Pool.of(members), count)


def rescored(members, name="joint_rescoring", alpha=0.4, beta=1.0):
    kind = find_rule(name)
    shared = {"n_best": 30, "alpha": alpha, "beta": beta}
    about = kind.Settings(**{key: value for key, value in shared.items() if key in kind.Settings.model_fields})
    return Rescored(members, kind(about), table_of(members), alpha, beta)


def texts(found):
    return [(one.id, one.text) for one in found]


@given(st.integers(0, 300))
def test_one_member_of_joint_rescoring_gives_its_own_rescored_best_hypothesis(seed):
    members = pool_of(seed)
    whole = rescored(members)
    for index, one in enumerate(members):
        point = np.eye(len(members))[index]
        rule = JointRescoring(RescoringSettings(alpha=0.4, beta=1.0))
        own = rule.fuse(Pool.of([replace(one, weight=1.0)]), Evidence(language))
        assert texts(whole.hypotheses(point)) == texts(whole.alone(index)) == texts(own)


@given(st.integers(0, 300), st.permutations(range(3)), st.sampled_from(HYPOTHESES))
def test_the_order_of_the_members_does_not_matter(seed, order, name):
    members = pool_of(seed)
    weights = np.array([0.5, 0.2, 0.3])
    found = rescored(members, name).hypotheses(weights)
    assert texts(rescored([members[index] for index in order], name).hypotheses(weights)) == texts(found)


@given(st.integers(0, 300), st.sampled_from(HYPOTHESES))
def test_a_member_of_weight_zero_is_as_if_it_were_not_there(seed, name):
    members = pool_of(seed)
    without = rescored(members[:2], name).hypotheses(np.array([0.6, 0.4]))
    assert texts(rescored(members, name).hypotheses(np.array([0.6, 0.4, 0.0]))) == texts(without)


@given(st.integers(0, 300), st.sampled_from(HYPOTHESES), st.floats(0.1, 50))
def test_weights_are_shares(seed, name, factor):
    combination = rescored(pool_of(seed), name)
    weights = np.array([0.5, 0.125, 0.375])
    assert texts(combination.hypotheses(weights)) == texts(combination.hypotheses(factor * weights))


@given(st.integers(0, 300), st.sampled_from(HYPOTHESES), st.sets(st.sampled_from(sorted(REFERENCES))))
def test_many_weightings_at_once_have_the_errors_of_each_in_the_utterances_that_count(seed, name, counting):
    combination = rescored(pool_of(seed), name)
    points = np.random.default_rng(seed).random((6, 3)) + 1e-3
    references = References({utterance: REFERENCES[utterance] for utterance in counting})
    found = combination.errors(points, references)
    assert found.tolist() == [references.score(combination.hypotheses(point)).errors for point in points]


@pytest.mark.parametrize("name", POSTERIORS)
def test_a_mean_of_one_is_that_member_and_weights_of_zero_are_absent(name):
    members = pool_of(3, ("char", "char", "char"))
    decoded = []

    def decode(alphabet, posteriors):
        decoded.append(posteriors)
        return greedy_set(posteriors, alphabet)

    ids = members[0].posteriors.ids
    whole, two = (Averaged(part, find_rule(name)(), decode, ids) for part in (members, members[:2]))
    for index in range(3):
        assert texts(whole.hypotheses(np.eye(3)[index])) == texts(whole.alone(index))
    whole.hypotheses(np.array([1.0, 3.0, 0.0]))
    two.hypotheses(np.array([0.25, 0.75]))
    np.testing.assert_array_equal(decoded[-1].log_probs, decoded[-2].log_probs)
    errors = whole.errors(np.array([[1.0, 3.0, 0.0], [2.0, 6.0, 0.0]]), References(REFERENCES))
    assert errors[0] == errors[1]
    assert len(decoded) == 9  # the second point is the first, whose errors are known


def test_means_of_other_labels_are_refused_with_the_difference():
    members = pool_of(1, ("char", "mixed"))
    combination = Averaged(members, find_rule("arithmetic")(), lambda *_: [], members[0].posteriors.ids)
    with pytest.raises(FusionError, match="m0 and m1 have other labels: m0 alone: ' ', 'C'; m1 alone: '▁A', '▁AB'"):
        combination.hypotheses(np.array([1.0, 1.0]))


def test_nobody_and_no_weight_are_refused():
    with pytest.raises(FusionError, match="there are no members"):
        combine([], find_rule("rover")(), (), (0.0, 0.0), lambda: None, lambda *_: [])
    with pytest.raises(FusionError, match="no member has a positive weight"):
        rescored(pool_of(1)).hypotheses(np.zeros(3))


@given(st.integers(0, 300))
def test_evidence_of_a_table_knows_what_it_was_made_of(seed):
    members = pool_of(seed)
    table = table_of(members)
    evidence = Evidence.of(table, [one.name for one in members])
    again = evidence.table(Pool.of(members), 30)
    assert again.texts == table.texts
    for field in ("starts", "acoustic", "proposed", "language", "words"):
        np.testing.assert_array_equal(getattr(again, field), getattr(table, field))
    part = [list(table.texts[start:end]) for start, end in zip(table.starts[:-1], table.starts[1:], strict=True)]
    np.testing.assert_array_equal(np.concatenate(evidence.acoustic(members[0], part)), table.acoustic[0])


@pytest.mark.parametrize("method", ["greedy", "beam"])
def test_lists_and_tables_are_made_once_and_shared_by_pools(store, monkeypatch, method):
    members = {one.name: replace(one, hypotheses={}) for one in pool_of(5)}
    decoding = DecodingSettings(method=method, beam_width=8)
    found = Proposals(store, decoding, None).table(members, 5)

    def propose(*_):
        raise AssertionError("searched")

    monkeypatch.setattr(proposals, "propose", propose)
    # weights of the search are no part of what is proposed
    again = Proposals(Store(store.root), decoding.model_copy(update={"alpha": 1.5, "beta": 0.0}), None)
    same = again.table(dict(reversed(members.items())), 5)
    assert same.texts == found.texts
    np.testing.assert_array_equal(same.acoustic, found.acoustic)
    fewer = again.table({name: members[name] for name in ("m0", "m2")}, 5)
    assert fewer.acoustic.shape[0] == 2
    assert set(fewer.texts) <= set(found.texts)
    if method == "greedy":
        assert (np.diff(found.starts) <= 3).all()
        assert (found.language == 0).all()
    with pytest.raises(AssertionError, match="searched"):  # another width is another search
        Proposals(store, decoding.model_copy(update={"beam_width": 9}), None).table(members, 5)


def test_a_table_holds_no_more_of_a_member_than_it_may_propose():
    members = pool_of(2)
    table = scored(members, 1, None)
    assert (np.add.reduceat(table.proposed.astype(int), table.starts[:-1], axis=1) == 1).all()
