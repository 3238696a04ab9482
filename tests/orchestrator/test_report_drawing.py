"""Scales and labels of the drawings."""

from itertools import pairwise
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.report.drawing import Drawing, apart, linear, shortened, times

numbers = st.floats(-1e4, 1e4, allow_nan=False)


@given(st.lists(numbers, min_size=1, max_size=8))
def test_a_linear_scale_holds_its_values_and_has_round_numbers(values):
    scale = linear(values, 10, 110)
    assert scale.low - 1e-6 <= min(values) <= max(values) <= scale.high + 1e-6
    assert 2 <= len(scale.ticks) <= 8
    assert len(set(scale.ticks.values())) == len(scale.ticks)
    places = [scale(value) for value in sorted(values)]
    assert places == sorted(places)
    assert 10 <= places[0] <= places[-1] <= 110
    assert scale(scale.low) == 10
    assert scale(scale.high) == pytest.approx(110)


@given(st.lists(st.floats(0, 1e9, allow_nan=False), min_size=1, max_size=8))
def test_a_scale_of_times_holds_them_and_is_labelled_in_units(seconds):
    scale = times(seconds, 0, 100)
    assert 2 <= len(scale.ticks) <= 10
    places = [scale(value) for value in sorted(seconds)]
    assert places == sorted(places)
    assert 0 <= places[0] <= places[-1] <= 100
    assert all(label.split()[1] in ("s", "min", "h") for label in scale.ticks.values())


@given(st.lists(st.floats(0, 100), min_size=1, max_size=6))
def test_labels_are_kept_apart_in_their_order(places):
    found = apart(places, 15, 0, 100)
    order = sorted(range(len(places)), key=lambda index: places[index])
    gaps = [found[after] - found[before] for before, after in pairwise(order)]
    assert all(gap >= 15 - 1e-9 for gap in gaps)
    assert 0 <= min(found)
    assert max(found) <= 100


def test_words_of_a_drawing_are_escaped():
    drawing = Drawing(10, 10)
    drawing.words(1, 1, "<b> & </svg>")
    drawing.mark(1, 1, "dot", "<hint>")
    assert "<b>" not in str(drawing)
    assert [text for text in fromstring(str(drawing)).itertext() if text] == ["<b> & </svg>", "<hint>"]


def test_a_long_name_is_shortened():
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"
