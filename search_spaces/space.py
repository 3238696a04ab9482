"""What a study searches: axes with their ranges, and the space they span."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Float:
    """A real number between ``low`` and ``high``, both included; ``log`` spreads it over magnitudes."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def contains(self, value: Value) -> bool:
        """Whether the value lies in the range; a step does not bind a value that a user enqueues."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def grid(self) -> list[Value] | None:
        """Every value, or None when there are infinitely many."""
        if self.step is None:
            return [self.low] if self.low == self.high else None
        count = math.floor((self.high - self.low) / self.step + 1e-9)
        return [round(self.low + i * self.step, 12) for i in range(count + 1)]

    def corners(self) -> list[Value]:
        """Values that stand for the whole range when it is checked: both ends, and one within that is not whole."""
        within = self.low + (self.step or (self.high - self.low) / math.sqrt(5))
        return [self.low, self.high, *([within] if within < self.high else [])]

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + (" (log)" if self.log else "")


@dataclass(frozen=True, slots=True)
class Int:
    """A whole number between ``low`` and ``high``, both included."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    def contains(self, value: Value) -> bool:
        """Whether the value is whole and lies in the range."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def grid(self) -> list[Value] | None:
        """Every value."""
        return list(range(self.low, self.high + 1, self.step))

    def corners(self) -> list[Value]:
        """Values that stand for the whole range when it is checked: all of a few, else both ends and the second."""
        values = range(self.low, self.high + 1, self.step)
        return list(values) if len(values) <= 256 else [self.low, self.high, self.low + self.step]

    def __str__(self) -> str:
        return f"{self.low} to {self.high}" + (" (log)" if self.log else "")


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of a few values; a search takes them as without an order."""

    choices: tuple[Value, ...]

    def contains(self, value: Value) -> bool:
        """Whether the value is one of the choices, of the same type."""
        return any(value == choice and type(value) is type(choice) for choice in self.choices)

    def grid(self) -> list[Value] | None:
        """Every value."""
        return list(self.choices)

    def corners(self) -> list[Value]:
        """Values that stand for the whole range when it is checked."""
        return list(self.choices)

    def __str__(self) -> str:
        return "one of " + ", ".join(map(str, self.choices))


Range = Float | Int | Categorical


@dataclass(frozen=True, slots=True)
class Axis:
    """One searched setting.

    Attributes:
        name: Dotted name of the setting, such as ``train.lr``.
        range: The values it may take.
        when: The axis exists only where the settings named here have these values.
    """

    name: str
    range: Range
    when: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Space:
    """The axes of a study, in the order in which they are sampled: a condition's axis before what depends on it."""

    axes: tuple[Axis, ...] = ()

    def __iter__(self) -> Any:
        return iter(self.axes)

    def __len__(self) -> int:
        return len(self.axes)

    @property
    def names(self) -> tuple[str, ...]:
        """Dotted names of all axes."""
        return tuple(axis.name for axis in self.axes)

    @property
    def conditional(self) -> bool:
        """Whether some axis exists only under a condition."""
        return any(axis.when for axis in self.axes)

    def describe(self) -> dict[str, Any]:
        """The space as plain values, equal for equal spaces."""
        return {
            axis.name: {"kind": type(axis.range).__name__.lower(), **_fields(axis.range), "when": dict(axis.when)}
            for axis in self.axes
        }

    def digest(self) -> str:
        """A short hash of `describe`; two studies can share trials only if it is equal."""
        return hashlib.sha256(json.dumps(self.describe(), sort_keys=True).encode()).hexdigest()[:16]


def _fields(value: Range) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def parse_range(spec: Any) -> Range:
    """The range that a campaign file writes as ``{float: [0.1, 0.9]}``, ``{int: [2, 5]}`` or ``{choice: [1, 2]}``.

    Raises:
        ValueError: The text says what is wrong and what would be right.
    """
    forms = "write {float: [low, high]}, {int: [low, high]} or {choice: [a, b, ...]}"
    if not isinstance(spec, Mapping):
        raise ValueError(f"is {spec!r}, not a range; {forms}; a fixed value belongs under 'fixed:'")
    kinds = [kind for kind in ("float", "int", "choice") if kind in spec]
    if len(kinds) != 1:
        raise ValueError(f"needs exactly one of float, int, choice; {forms}")
    kind = kinds[0]
    allowed = {"float": {"log", "step"}, "int": {"log", "step"}, "choice": set()}[kind] | {kind, "when"}
    unknown = sorted(set(spec) - allowed)
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r} beside {kind}; valid: {', '.join(sorted(allowed))}")
    if kind == "choice":
        return _parse_choice(spec["choice"])
    return _parse_interval(kind, spec[kind], spec.get("log", False), spec.get("step"))


def _parse_choice(choices: Any) -> Categorical:
    if not isinstance(choices, list) or not choices:
        raise ValueError("choice needs a list with at least one value")
    if any(isinstance(choice, list | dict) for choice in choices):
        raise ValueError("choice takes plain values: text, numbers, true, false, null")
    if len({(type(choice), choice) for choice in choices}) < len(choices):
        raise ValueError(f"choice names a value twice: {choices}")
    return Categorical(tuple(choices))


def _parse_interval(kind: str, bounds: Any, log: Any, step: Any) -> Float | Int:
    number = int if kind == "int" else int | float
    if not (
        isinstance(bounds, list)
        and len(bounds) == 2
        and all(isinstance(bound, number) and not isinstance(bound, bool) for bound in bounds)
    ):
        raise ValueError(f"{kind} needs [low, high], two {'whole ' if kind == 'int' else ''}numbers; got {bounds!r}")
    low, high = bounds
    if low > high:
        raise ValueError(f"is upside down: low {low:g} is above high {high:g}; write [{high:g}, {low:g}]")
    if not isinstance(log, bool):
        raise ValueError(f"log is true or false; got {log!r}")
    if log and low <= 0:
        raise ValueError(f"log: true needs a low above 0; got {low:g}")
    if step is not None:
        if not isinstance(step, number) or isinstance(step, bool) or step <= 0:
            raise ValueError(f"step is a {'whole ' if kind == 'int' else ''}number above 0; got {step!r}")
        if log:
            raise ValueError("log and step do not go together")
    if kind == "int":
        return Int(low, high, log, step or 1)
    return Float(float(low), float(high), log, None if step is None else float(step))
