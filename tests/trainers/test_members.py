import pickle
from dataclasses import replace

import numpy as np
import pytest

from search_spaces.errors import FusionError
from tests.trainers.made_members import ALPHABETS, member, posteriors
from trainers.combining.members import Member, Pool
from trainers.data.labels import Alphabet


def refused(members, *ids):
    with pytest.raises(FusionError) as caught:
        Pool.of(members, ids)
    return caught.value.faults


def without(one, *ids):
    """A member that lacks utterances."""
    kept = [index for index, name in enumerate(one.posteriors.ids) if name not in ids]
    parts = [one.posteriors[index] for index in kept]
    offsets = np.cumsum([0, *map(len, parts)]).astype(np.int64)
    names = tuple(one.posteriors.ids[index] for index in kept)
    return replace(one, posteriors=replace(one.posteriors, ids=names, log_probs=np.concatenate(parts), offsets=offsets))


def changed(one, frame, values):
    log_probs = one.posteriors.log_probs.copy()
    log_probs[frame] = values
    return replace(one, posteriors=replace(one.posteriors, log_probs=log_probs))


def test_an_empty_pool_is_refused():
    assert refused([]) == ("there are no members",)
    assert refused([member("a", weight=0.0)]) == ("no member has a positive weight",)


def test_what_is_missing_where_is_named_for_all_at_once():
    faults = refused(
        [without(member("a"), "u1"), member("b", 1), without(member("c", 2), "u0", "u2")], "u0", "u1", "u9"
    )
    assert faults == (
        "the set that is asked for lacks u2",
        "a lacks u1, u9",
        "b lacks u9",
        "c lacks u0, u9, u2",
    )


def test_long_lists_of_missing_utterances_are_cut():
    many = Member("many", posteriors(ALPHABETS["char"], 0, frames=(1,) * 9), ALPHABETS["char"])
    assert refused([member("few", frames=(1,)), many]) == (
        "the set that is asked for lacks u1, u2, u3, u4, u5 and 3 more",
        "few lacks u1, u2, u3, u4, u5 and 3 more",
    )


@pytest.mark.parametrize("value", [np.nan, -np.inf, np.inf])
def test_what_is_no_number_is_refused_with_its_place(value):
    (fault,) = refused([member("a"), changed(member("b", 1), 10, value)])
    assert fault == "b has 1 utterances whose frames are no log-probabilities: frame 1 of u1 holds no numbers"


def test_frames_that_do_not_sum_to_one_are_refused_with_their_sum():
    (fault,) = refused([changed(member("a"), [3, 20], np.log(0.25))])
    assert fault == "a has 2 utterances whose frames are no log-probabilities: frame 3 of u0 sums to 1.25, not to 1"


def test_half_precision_sums_to_one():
    one = member("a")
    rounded = one.posteriors.log_probs.astype(np.float16).astype(np.float32)
    Pool.of([replace(one, posteriors=replace(one.posteriors, log_probs=rounded))])


def test_an_utterance_without_frames_is_refused():
    assert refused([member("a", frames=(3, 0, 2))]) == ("a has no frame of u1",)


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_a_weight_below_zero_or_no_number_is_refused(weight):
    assert refused([member("a", weight=weight)]) == (f"a has the weight {weight}; it should be a number from 0 on",)


def test_two_members_of_one_name_are_refused():
    assert refused([member("a"), member("a", 1), member("b", 2)]) == ("a is there twice",)


def test_posteriors_of_another_alphabet_are_refused_with_the_difference():
    other = Alphabet("char", ("", " ", "A", "B", "D"))
    (fault,) = refused([replace(member("a"), alphabet=other)])
    assert fault == "the posteriors of a are not of its alphabet: they alone: 'C'; it alone: 'D'"


def test_posteriors_of_another_shape_than_their_utterances_are_refused():
    one = member("a")
    short = replace(one, posteriors=replace(one.posteriors, log_probs=one.posteriors.log_probs[:-1]))
    (fault,) = refused([short])
    assert "shape (33, 5)" in fault
    assert "34 frames of 5 labels" in fault


def test_columns_in_another_order_than_the_alphabet_are_put_into_it():
    one = member("a")
    order = [3, 1, 0, 4, 2]
    labels = tuple(one.posteriors.labels[column] for column in order)
    mixed = replace(one.posteriors, log_probs=one.posteriors.log_probs[:, order], labels=labels, blank=2)
    (found,) = Pool.of([replace(one, posteriors=mixed)]).members
    assert found.posteriors.labels == one.alphabet.labels
    assert found.posteriors.blank == 0
    assert (found.posteriors.log_probs == one.posteriors.log_probs).all()


def test_utterances_come_in_the_order_that_is_asked_for():
    one = member("a")
    pool = Pool.of([one], ["u2", "u0", "u1"])
    (found,) = pool.members
    assert pool.ids == found.posteriors.ids == ("u2", "u0", "u1")
    for name in pool.ids:
        before, after = one.posteriors.ids.index(name), pool.ids.index(name)
        assert (found.posteriors[after] == one.posteriors[before]).all()


def test_without_an_order_it_is_the_first_member_s():
    one = member("a")
    assert Pool.of([Pool.of([one], ["u1", "u2", "u0"]).members[0], member("b", 1)]).ids == ("u1", "u2", "u0")


def test_a_member_of_weight_zero_is_not_even_looked_at():
    broken = changed(member("b", 1, weight=0.0), 0, np.nan)
    assert [one.name for one in Pool.of([broken, member("a")]).members] == ["a"]


def test_an_utterance_without_a_hypothesis_is_refused_where_hypotheses_are_needed():
    pool = Pool.of([replace(member("a"), hypotheses={"u1": member("a").hypotheses["u1"]})])
    with pytest.raises(FusionError, match="a has no hypothesis of u0, u2"):
        pool.lists(pool.members[0], 3)


def test_the_error_survives_the_way_between_processes():
    error = FusionError(["one", "two"])
    assert pickle.loads(pickle.dumps(error)).faults == error.faults
    assert str(error) == "these systems cannot be combined:\n  one\n  two"
