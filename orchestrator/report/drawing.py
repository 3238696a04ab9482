"""A drawing of a few lines, marks and words as inline SVG, and the axes around it.

Colours and fonts are those of classes in the page's style sheet, so that a drawing follows it into the dark; words stay
words, to be searched and copied.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

_STEPS = (1, 2, 2.5, 5, 10)
_TIMES = {count: f"{count} s" for count in (1, 2, 5, 10, 20, 30)}
_TIMES |= {60 * count: f"{count} min" for count in (1, 2, 5, 10, 20, 30)}
_TIMES |= {3600 * 10**power * count: f"{10**power * count:,} h" for power in range(6) for count in (1, 2, 5)}
_COARSE = [1, 10, 60, 600, *(3600 * 10**power for power in range(6))]
_MOST_TIMES = 6
_LETTER = 7.2  # units that a letter is wide, about


@dataclass(frozen=True, slots=True)
class Scale:
    """Where values lie along a side of a drawing.

    Attributes:
        low: Value at its beginning.
        high: Value at its end.
        start: Place of the beginning.
        end: Place of the end.
        ticks: What is written along it, by value.
        bend: What values are spaced by; the identity, or the logarithm.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: Mapping[float, str]
    bend: Callable[[float], float] = float

    def __call__(self, value: float) -> float:
        """The place of a value; one outside lies at the nearer end."""
        low, high = self.bend(self.low), self.bend(self.high)
        inside = min(max(value, self.low), self.high)
        return self.start + (self.bend(inside) - low) / (high - low) * (self.end - self.start)


def linear(values: Sequence[float], start: float, end: float, ticks: int = 5) -> Scale:
    """A scale of round numbers that holds all values.

    Args:
        values: At least one.
        start: Place of its beginning.
        end: Place of its end.
        ticks: How many numbers there are, about.
    """
    low, high = min(values), max(values)
    rough = max(high - low, 1e-6 + abs(high) * 1e-3) / ticks
    size = 10 ** math.floor(math.log10(rough))
    step = next(step * size for step in _STEPS if step * size >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    marks = [round(step * number, 10) for number in range(first, last + 1)]
    return Scale(marks[0], marks[-1], start, end, {mark: f"{mark:g}".replace("-", "−") for mark in marks})


def times(seconds: Sequence[float], start: float, end: float) -> Scale:
    """A logarithmic scale of durations that holds all of them.

    Args:
        seconds: At least one.
        start: Place of its beginning.
        end: Place of its end.
    """
    marks = list(_TIMES)
    inside = [min(max(value, marks[0]), marks[-1]) for value in seconds]
    low = max(mark for mark in marks if mark <= min(inside))
    high = min((mark for mark in marks if mark >= max(inside) and mark > low), default=marks[-1])
    shown = {float(mark): label for mark, label in _TIMES.items() if low <= mark <= high}
    if len(shown) > _MOST_TIMES:
        shown = {mark: label for mark, label in shown.items() if mark in _COARSE}
    return Scale(low, high, start, end, shown, math.log)


class Drawing:
    """An SVG element that grows.

    Args:
        width: Units, at the size that letters are set for.
        height: Units.
    """

    def __init__(self, width: float, height: float) -> None:
        self._root = Element("svg", {"viewBox": f"0 0 {width:g} {height:g}", "class": "chart"})

    def __str__(self) -> str:
        return tostring(self._root, encoding="unicode")

    def line(self, x: float, y: float, to_x: float, to_y: float, kind: str) -> None:
        """A straight line of a class."""
        SubElement(self._root, "line", {**_places(x1=x, y1=y, x2=to_x, y2=to_y), "class": kind})

    def path(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """A line through points."""
        where = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        SubElement(self._root, "polyline", {"points": where, "class": kind})

    def mark(self, x: float, y: float, kind: str, hint: str = "", *, square: bool = False) -> None:
        """A dot or a square, and what is shown when the pointer rests on it."""
        if square:
            box = {**_places(x=x - 4, y=y - 4), "width": "8", "height": "8"}
            found = SubElement(self._root, "rect", {**box, "class": kind})
        else:
            found = SubElement(self._root, "circle", {**_places(cx=x, cy=y), "r": "4.5", "class": kind})
        if hint:
            SubElement(found, "title").text = hint

    def words(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> None:
        """Text whose base line begins, has its middle or ends there."""
        found = SubElement(self._root, "text", {**_places(x=x, y=y), "class": kind, "text-anchor": anchor})
        found.text = text

    def below(self, scale: Scale, top: float, bottom: float, title: str) -> None:
        """The axis below, its grid up to the top."""
        for value, label in scale.ticks.items():
            self.line(scale(value), top, scale(value), bottom, "grid")
            self.words(scale(value), bottom + 15, label, "tick", "middle")
        self.words((scale.start + scale.end) / 2, bottom + 32, title, "name", "middle")

    def beside(self, scale: Scale, left: float, right: float, title: str) -> None:
        """The axis on the left, its grid to the right; its title stands above."""
        for value, label in scale.ticks.items():
            self.line(left, scale(value), right, scale(value), "grid")
            self.words(left - 6, scale(value) + 4, label, "tick", "end")
        self.words(left - 30, min(scale.start, scale.end) - 10, title, "name")


def _places(**places: float) -> dict[str, str]:
    return {name: f"{place:.1f}" for name, place in places.items()}


def width_of(texts: Sequence[str]) -> float:
    """Units that the longest text takes, about."""
    return _LETTER * max(map(len, texts), default=0)


def shortened(text: str, letters: int) -> str:
    """A text that is no longer than so many letters."""
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def apart(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places near the given ones, in the same order, that are a gap apart and between two ends if there is room.

    Args:
        places: Where each would be.
        gap: Units between two of them.
        low: The least place.
        high: The greatest place.
    """
    order = sorted(range(len(places)), key=lambda index: places[index])
    found: dict[int, float] = {}
    least = low
    for index in order:
        found[index] = max(places[index], least)
        least = found[index] + gap
    most = high
    for index in reversed(order):
        found[index] = min(found[index], most)
        most = found[index] - gap
    return [found[index] for index in range(len(places))]
