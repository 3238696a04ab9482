import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainers.combining import choosing

MEMBERS = 4


def counter(seed):
    """Errors that depend on the shares of the members alone, and what was asked of them."""
    alone = np.random.default_rng(seed).integers(20, 60, MEMBERS)
    asked = []

    def errors(points):
        asked.extend(points.tolist())
        shares = points / points.sum(axis=1, keepdims=True)
        return np.round(shares @ alone - 30 * (1 - (shares**2).sum(axis=1))).astype(np.int64)

    return errors, asked


def one(errors, weights):
    return int(errors(weights[None])[0])


@given(st.integers(0, 500), st.integers(1, 6))
def test_forward_selection_is_never_worse_than_the_best_member_and_keeps_to_its_size(seed, most):
    errors, _ = counter(seed)
    order = choosing.ranked(errors(np.eye(MEMBERS)).tolist())
    weights = choosing.forward(errors, order, most)
    assert one(errors, weights) <= one(errors, choosing.best(order, 1))
    assert 1 <= np.count_nonzero(weights) <= most
    assert (weights == np.round(weights)).all()


def test_forward_selection_may_pick_a_member_again():
    alone = np.array([10.0, 12.0, 40.0, 40.0])

    def errors(points):
        shares = points / points.sum(axis=1, keepdims=True)
        wanted = np.array([2 / 3, 1 / 3, 0, 0])
        return np.round(100 * np.abs(shares - wanted).sum(axis=1)).astype(np.int64)

    weights = choosing.forward(errors, choosing.ranked(alone.tolist()), 4)
    assert weights.tolist() == [2, 1, 0, 0]


@given(st.integers(0, 500))
def test_tuned_weights_are_never_worse_and_bring_in_nobody(seed):
    errors, asked = counter(seed)
    weights = np.array([1.0, 0.0, 1.0, 1.0])
    found = choosing.tuned(errors, weights)
    assert one(errors, found) <= one(errors, weights)
    assert found[1] == 0
    assert found.sum() > 0
    assert all(sum(point) > 0 for point in asked)


def test_members_are_ranked_by_errors_and_equal_ones_as_they_stand():
    order = choosing.ranked([5, 3, 5, 1])
    assert order == [3, 1, 0, 2]
    assert choosing.best(order, 2).tolist() == [0, 1, 0, 1]
    assert choosing.best(order, 9).tolist() == [1, 1, 1, 1]
    assert choosing.given(order, (0.5, 0.0, 0.25)).tolist() == [0.25, 0, 0, 0.5]
