import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.axes.distillation import DistillationSettings
from search_spaces.axes.settings import Settings, overlay, with_sections
from search_spaces.space import Axis, Categorical, Float, Int, Space, parse_range

finite = st.floats(-1e6, 1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"float": [0.1, 0.9]}, Float(0.1, 0.9)),
        ({"float": [0, 1]}, Float(0.0, 1.0)),
        ({"float": [1e-4, 1e-2], "log": True}, Float(1e-4, 1e-2, log=True)),
        ({"float": [0, 1], "step": 0.25}, Float(0.0, 1.0, step=0.25)),
        ({"float": [0, 1], "when": {"units": "char"}}, Float(0.0, 1.0)),
        ({"int": [2, 5]}, Int(2, 5)),
        ({"int": [2, 64], "log": True}, Int(2, 64, log=True)),
        ({"int": [2, 6], "step": 2}, Int(2, 6, step=2)),
        ({"choice": ["a", 1, 1.0, True, None]}, Categorical(("a", 1, 1.0, True, None))),
    ],
)
def test_a_range_is_read_as_it_is_written(spec, expected):
    found = parse_range(spec)
    assert found == expected
    assert [type(value) for value in found.corners()] == [type(value) for value in expected.corners()]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (3, ["is 3, not a range", "{float: [low, high]}", "'fixed:'"]),
        ("char", ["is 'char', not a range"]),
        ([1, 2], ["is [1, 2], not a range"]),
        ({}, ["exactly one of float, int, choice", "{choice: [a, b, ...]}"]),
        ({"float": [0, 1], "int": [0, 1]}, ["exactly one of float, int, choice"]),
        (
            {"float": [0, 1], "logarithm": True},
            ["unknown key 'logarithm' beside float", "valid: float, log, step, when"],
        ),
        ({"choice": [1, 2], "log": True}, ["unknown key 'log' beside choice", "valid: choice, when"]),
        ({"float": [0.9, 0.1]}, ["upside down", "0.9 is above high 0.1", "write [0.1, 0.9]"]),
        ({"int": [5, 2]}, ["upside down", "write [2, 5]"]),
        ({"float": [0, 1], "log": True}, ["log: true needs a low above 0; got 0"]),
        ({"int": [0, 5], "log": True}, ["log: true needs a low above 0; got 0"]),
        ({"float": [0.5]}, ["[low, high], two numbers; got [0.5]"]),
        ({"float": 0.5}, ["two numbers; got 0.5"]),
        ({"float": ["a", 1]}, ["two numbers"]),
        ({"float": [False, True]}, ["two numbers"]),
        ({"int": [1, 2.5]}, ["two whole numbers; got [1, 2.5]"]),
        ({"float": [1, 2], "log": "yes"}, ["log is true or false; got 'yes'"]),
        ({"float": [1, 2], "step": 0}, ["step is a number above 0; got 0"]),
        ({"int": [1, 2], "step": 0.5}, ["step is a whole number above 0; got 0.5"]),
        ({"float": [1, 2], "step": True}, ["step is a number above 0"]),
        ({"float": [1, 2], "step": 0.5, "log": True}, ["log and step do not go together"]),
        ({"choice": []}, ["at least one value"]),
        ({"choice": "abc"}, ["needs a list"]),
        ({"choice": [[1], 2]}, ["plain values"]),
        ({"choice": [1, 2, 1]}, ["names a value twice: [1, 2, 1]"]),
    ],
)
def test_a_bad_range_is_refused_with_what_would_be_right(spec, words):
    with pytest.raises(ValueError, match=re.escape(words[0])) as caught:
        parse_range(spec)
    for part in words:
        assert part in str(caught.value)


@given(finite, finite, st.floats(1e-3, 1e6))
def test_a_grid_over_real_numbers_stays_within_its_range_and_holds_every_step(a, b, step):
    low, high = sorted((a, b))
    high = min(high, low + 300 * step)
    values = Float(low, high, step=step).grid()
    assert values[0] == pytest.approx(low, abs=1e-9)
    assert all(low - 1e-9 <= value <= high + 1e-6 * step + 1e-9 for value in values)
    assert high - values[-1] < step * (1 + 1e-6)
    assert all(y - x == pytest.approx(step, rel=1e-4) for x, y in pairwise(values))


def test_a_grid_hits_the_high_end_in_spite_of_rounding():
    assert Float(0.0, 0.3, step=0.1).grid() == [0.0, 0.1, 0.2, 0.3]
    assert Float(0.1, 0.7, step=0.1).grid() == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]


@given(st.integers(-50, 50), st.integers(0, 50), st.integers(1, 7))
def test_a_grid_over_whole_numbers_is_what_the_range_contains(low, width, step):
    found = Int(low, low + width, step=step)
    assert found.grid() == [value for value in range(low, low + width + 1) if (value - low) % step == 0]
    assert all(found.contains(value) for value in found.grid())


def test_a_range_without_a_step_has_a_grid_only_if_it_is_one_value():
    assert Float(0.5, 0.5).grid() == [0.5]
    assert Float(0.5, 0.6).grid() is None
    assert Categorical(("a", 3)).grid() == ["a", 3]


@pytest.mark.parametrize(
    ("found", "inside", "outside"),
    [
        (Float(0.0, 1.0), [0, 0.0, 0.5, 1, 1.0], [-0.1, 1.1, True, "0.5", None, float("nan")]),
        (Int(2, 5), [2, 3, 5], [1, 6, 2.0, True, "3", None]),
        (Categorical((1, "a", None)), [1, "a", None], [1.0, True, "b", 0]),
        (Categorical((True,)), [True], [1, "true"]),
    ],
)
def test_a_value_belongs_to_a_range_only_with_its_own_type(found, inside, outside):
    assert all(found.contains(value) for value in inside)
    assert not any(found.contains(value) for value in outside)


def test_ranges_are_shown_as_a_reader_would_write_them():
    assert str(Float(1e-4, 0.5, log=True)) == "0.0001 to 0.5 (log)"
    assert str(Int(2, 5)) == "2 to 5"
    assert str(Categorical(("char", 3))) == "one of char, 3"


@given(low=finite, high=finite)
def test_the_values_that_stand_for_a_range_of_real_numbers_lie_in_it_and_are_not_all_whole(low, high):
    low, high = sorted((low, high))
    found = Float(low, high)
    assert all(found.contains(value) for value in found.corners())
    if high - low > 1e-3:
        assert any(value != int(value) for value in found.corners())


def test_two_spaces_have_the_same_digest_only_if_they_are_the_same():
    axis = Axis("train.lr", Float(1e-4, 1e-2, log=True))
    others = [
        Axis("train.clip", Float(1e-4, 1e-2, log=True)),
        Axis("train.lr", Float(1e-4, 2e-2, log=True)),
        Axis("train.lr", Float(1e-4, 1e-2)),
        Axis("train.lr", Float(1e-4, 1e-2, step=1e-4)),
        Axis("train.lr", Float(1e-4, 1e-2, log=True), {"units": "char"}),
        Axis("train.lr", Categorical((1e-4, 1e-2))),
    ]
    assert Space((axis,)).digest() == Space((Axis("train.lr", Float(1e-4, 1e-2, log=True)),)).digest()
    assert len({Space((other,)).digest() for other in [axis, *others]}) == len(others) + 1
    assert Space((Axis("a", Categorical((1,))),)).digest() != Space((Axis("a", Categorical((True,))),)).digest()


def test_a_space_knows_its_names_and_whether_it_is_conditional():
    plain = Space((Axis("units", Categorical(("char", "word"))),))
    both = Space((*plain, Axis("train.lr", Float(0.1, 1.0), {"units": "char"})))
    assert both.names == ("units", "train.lr")
    assert len(both) == 2
    assert both.conditional
    assert not plain.conditional


def test_values_are_laid_over_a_tree_without_touching_it():
    tree = {"train": {"lr": 0.1, "epochs": 2}, "units": "char", "language_model": None}
    found = overlay(tree, {"train.lr": 0.2, "units": "word", "model.hidden": 8, "language_model.order": 3})
    assert found == {
        "train": {"lr": 0.2, "epochs": 2},
        "units": "word",
        "model": {"hidden": 8},
        "language_model": {"order": 3},
    }
    assert tree == {"train": {"lr": 0.1, "epochs": 2}, "units": "char", "language_model": None}


names = st.sampled_from(["units", "train.lr", "train.epochs", "model.hidden"])


@given(st.dictionaries(names, st.integers()), st.dictionaries(names, st.integers()))
def test_the_last_layer_of_values_wins(first, second):
    assert overlay(overlay({}, first), second) == overlay({}, {**first, **second})


def test_a_strategy_s_section_is_added_with_its_defaults_and_comes_back_with_its_type():
    model = with_sections({"distillation": DistillationSettings})
    found = model.model_validate({"distillation": {"alpha": 0.3}})
    assert found.section("distillation", DistillationSettings).alpha == 0.3
    assert model().section("distillation", DistillationSettings) == DistillationSettings()
    with pytest.raises(TypeError, match="section train is TrainSettings, not DistillationSettings"):
        found.section("train", DistillationSettings)
    assert "distillation" not in Settings.model_fields
